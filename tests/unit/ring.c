// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <string.h>

#include "lib/ring.h"

#define SLOTS 8

static struct vnt_ring ring;
static struct vnt_slot slots[SLOTS];

static void reset(void)
{
	memset(&ring, 0, sizeof(ring));
	memset(slots, 0, sizeof(slots));
}

static void publish(__u64 position)
{
	slots[position % SLOTS].event.key = position;
	vnt_slot_publish(&slots[position % SLOTS], position);
}

TestSuite(ring, .init = reset);

Test(ring, a_full_ring_refuses_and_keeps_what_it_has)
{
	__u64 position;

	for (__u64 i = 0; i < SLOTS; i++) {
		cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
		cr_assert_eq(position, i);
		publish(position);
	}
	cr_assert(!vnt_ring_reserve(&ring, SLOTS, 1, &position));
	cr_assert_eq(ring.head, SLOTS);
	cr_assert_eq(vnt_ring_peek(slots, SLOTS, 0)->event.key, 0);
	vnt_ring_release(&ring, 1);
	cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
	cr_assert_eq(position, SLOTS);
}

/* A probe interrupted between reserve and publish holds back what nested in it, until it publishes. */
Test(ring, nested_events_are_read_in_order_of_reservation)
{
	__u64 outer, inner;

	cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &outer));
	cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &inner));
	publish(inner);
	cr_assert_null(vnt_ring_peek(slots, SLOTS, outer));
	cr_assert_not_null(vnt_ring_peek(slots, SLOTS, inner));
	publish(outer);
	cr_assert_eq(vnt_ring_peek(slots, SLOTS, outer)->event.key, outer);
}

Test(ring, a_slot_of_the_lap_before_is_not_taken_for_a_new_one)
{
	__u64 position;

	for (__u64 i = 0; i < 3 * SLOTS; i++) {
		cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
		cr_assert_null(vnt_ring_peek(slots, SLOTS, position));
		publish(position);
		cr_assert_eq(vnt_ring_peek(slots, SLOTS, position)->event.key, i);
		vnt_ring_release(&ring, position + 1);
	}
}

/* The reader may have passed a head that an interrupted writer still holds. */
Test(ring, a_tail_ahead_of_a_stale_head_is_not_a_full_ring)
{
	__u64 position;

	ring.head = 5;
	ring.tail = 6;
	cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
	ring.head = ring.tail = ~0ull - 1;
	for (int i = 0; i < SLOTS; i++)
		cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
	cr_assert(!vnt_ring_reserve(&ring, SLOTS, 1, &position));
}
