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

/* Reserves and fills a record; each slot carries the position it is for. */
static __u64 write_record(__u32 count)
{
	__u64 position = 0;

	cr_assert(vnt_ring_reserve(&ring, SLOTS, count, &position));
	for (__u64 at = position + 1; at < position + count; at++)
		memset(slots[at % SLOTS].bytes, (int)at, VNT_SLOT_BYTES);
	slots[position % SLOTS].follow = count - 1;
	publish(position);
	return position;
}

static void check_record(__u64 position, __u32 count)
{
	const struct vnt_slot *slot = vnt_ring_peek(slots, SLOTS, position);

	cr_assert_not_null(slot);
	cr_assert_eq(slot->event.key, position);
	cr_assert_eq(slot->follow, count - 1);
	for (__u64 at = position + 1; at < position + count; at++)
		for (int i = 0; i < VNT_SLOT_BYTES; i++)
			cr_assert_eq(slots[at % SLOTS].bytes[i], (__u8)at);
}

Test(ring, large_records_go_over_the_end_and_are_read_whole)
{
	__u64 next = 0;

	for (__u32 round = 0; round < 1000; round++) {
		const __u32 count = 1 + round % SLOTS;

		cr_assert_null(vnt_ring_peek(slots, SLOTS, next));
		cr_assert_eq(write_record(count), next);
		check_record(next, count);
		next += count;
		vnt_ring_release(&ring, next);
	}
}

Test(ring, a_record_is_refused_unless_all_of_it_fits)
{
	__u64 position;

	write_record(SLOTS - 2);
	cr_assert(!vnt_ring_reserve(&ring, SLOTS, 3, &position));
	cr_assert_eq(ring.head, SLOTS - 2, "nothing is taken");
	write_record(2);
	cr_assert(!vnt_ring_reserve(&ring, SLOTS, 1, &position));
	vnt_ring_release(&ring, SLOTS - 2);
	check_record(SLOTS - 2, 2);
	cr_assert(!vnt_ring_reserve(&ring, SLOTS, SLOTS - 1, &position));
	write_record(SLOTS - 2);
	check_record(SLOTS - 2, 2);
}

/* Data of a slot that follows must not pass for the sequence of a record of the next lap. */
Test(ring, data_is_not_taken_for_a_sequence)
{
	__u64 position;

	write_record(2);
	memset(slots[1].bytes, 0xff, VNT_SLOT_BYTES);
	for (__u64 number = 0; number < 4 * SLOTS; number++)
		cr_assert_neq(slots[1].sequence, number + 1);
	vnt_ring_release(&ring, 2);
	write_record(SLOTS - 1);
	vnt_ring_release(&ring, SLOTS + 1);
	cr_assert(vnt_ring_reserve(&ring, SLOTS, 1, &position));
	cr_assert_null(vnt_ring_peek(slots, SLOTS, position));
}
