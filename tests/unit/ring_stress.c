// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring under real nesting: one thread writes, two signals interrupt it and each other at any
 * instruction and write too, another thread reads and checks every record. In rings of all sizes
 * down to two slots, where nearly every event finds it full or is the only one.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ring.h"

#define SLOTS_MAX 1024
#define LARGE     4    /* slots of the largest record */
#define LEVELS    3    /* the thread, SIGUSR1, SIGUSR2 */
#define ENOUGH    5000 /* events of each signal */
#define ROUNDS    100000000
#define BURST     20 /* events of one signal */

static struct vnt_ring ring;
static struct vnt_slot slots[SLOTS_MAX] __attribute__((aligned(64)));
static __u64 ring_slots;

static struct {
	__u64 attempts[LEVELS]; /* only that level writes its own */
	__u64 dropped[LEVELS];
	__u64 read[LEVELS];
	int done;
} counts;

static struct vnt_slot *slot_at(__u64 position)
{
	return &slots[position & (ring_slots - 1)];
}

static __u32 slots_of(__u64 number)
{
	const __u32 count = 1 + number % LARGE;

	return count < ring_slots ? count : ring_slots;
}

/* The same numbers in every word, so that a torn record shows. */
static void write_event(int level)
{
	__u64 number = counts.attempts[level], position;
	__u32 count = slots_of(number);
	struct vnt_slot *slot;

	VNT_WRITE_ONCE(counts.attempts[level], number + 1);
	if (!vnt_ring_reserve(&ring, ring_slots, count, &position)) {
		counts.dropped[level]++;
		return;
	}
	slot = slot_at(position);
	slot->kind = level;
	slot->follow = count - 1;
	slot->event.time_ns = number;
	slot->event.flow = number * 3;
	slot->event.key = number * 7;
	slot->event.length = number;
	slot->event.payload = ~number;
	for (__u32 i = 1; i < count; i++)
		memset(slot_at(position + i)->bytes, (int)(number + level + i), VNT_SLOT_BYTES);
	vnt_slot_publish(slot, position);
}

static void interrupt(int signal)
{
	for (int i = 0; i < BURST; i++)
		write_event(signal == SIGUSR1 ? 1 : 2);
}

static void *write_all(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&counts.done, __ATOMIC_ACQUIRE))
		if ((__s64)(VNT_READ_ONCE(ring.head) - vnt_ring_tail(&ring)) <=
		    (__s64)ring_slots / 2)
			write_event(0); /* a full ring would leave nothing to interrupt */
	return NULL;
}

static bool is_filled(const __u8 *bytes, __u8 value)
{
	return bytes[0] == value && !memcmp(bytes, bytes + 1, VNT_SLOT_BYTES - 1);
}

/* Returns the position of the next record. */
static __u64 check(const struct vnt_slot *slot, __u64 position, __u64 *next)
{
	__u64 number = slot->event.time_ns;

	cr_assert(slot->kind < LEVELS);
	cr_assert(number >= next[slot->kind], "level %u goes back", slot->kind);
	cr_assert_eq(slot->follow, slots_of(number) - 1);
	cr_assert_eq(slot->event.flow, number * 3);
	cr_assert_eq(slot->event.key, number * 7);
	cr_assert_eq(slot->event.length, (__u32)number);
	cr_assert_eq(slot->event.payload, (__u32)~number);
	for (__u32 i = 1; i <= slot->follow; i++)
		cr_assert(is_filled(slot_at(position + i)->bytes, number + slot->kind + i));
	next[slot->kind] = number + 1;
	counts.read[slot->kind]++;
	return position + 1 + slot->follow;
}

static bool enough(void)
{
	return VNT_READ_ONCE(counts.attempts[1]) > ENOUGH &&
	       VNT_READ_ONCE(counts.attempts[2]) > ENOUGH;
}

static void read_published(__u64 *next)
{
	const struct vnt_slot *slot;

	while ((slot = vnt_ring_peek(slots, ring_slots, ring.tail)))
		vnt_ring_release(&ring, check(slot, ring.tail, next));
}

ParameterizedTestParameters(ring_stress, every_event_is_read_whole_once_and_in_order_or_counted)
{
	static __u64 sizes[] = {2, 4, 16, SLOTS_MAX};

	return cr_make_param_array(__u64, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

ParameterizedTest(__u64 *size, ring_stress, every_event_is_read_whole_once_and_in_order_or_counted)
{
	const struct sigaction action = {.sa_handler = interrupt};
	__u64 next[LEVELS] = {}, seen = 0;
	pthread_t writer;

	ring_slots = *size;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	cr_assert_eq(pthread_create(&writer, NULL, write_all, NULL), 0);
	for (int round = 0; round < ROUNDS && !enough(); round++) {
		/* No more signals than the thread can stand. */
		if (seen != VNT_READ_ONCE(counts.attempts[0])) {
			seen = VNT_READ_ONCE(counts.attempts[0]);
			/* Both at once: the second runs first. */
			if (round % 3 != 0)
				pthread_kill(writer, SIGUSR1);
			if (round % 3 != 1)
				pthread_kill(writer, SIGUSR2);
		}
		read_published(next);
		sched_yield();
	}
	__atomic_store_n(&counts.done, 1, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	read_published(next);
	cr_assert_eq(ring.head, ring.tail);
	for (int level = 0; level < LEVELS; level++) {
		cr_assert(counts.attempts[level] > (level ? ENOUGH : 100),
			  "level %d: only %llu events", level, counts.attempts[level]);
		cr_assert(counts.read[level] > 0);
		cr_assert_eq(counts.read[level] + counts.dropped[level], counts.attempts[level],
			     "level %d", level);
	}
}
