// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring under real nesting: one thread writes, two signals interrupt it and each other at any
 * instruction and write too, another thread reads and checks every record.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ring.h"

#define SLOTS  1024
#define LEVELS 3     /* the thread, SIGUSR1, SIGUSR2 */
#define ENOUGH 50000 /* events of each signal */
#define ROUNDS 100000000
#define BURST  20 /* events of one signal */

static struct vnt_ring ring;
static struct vnt_slot slots[SLOTS] __attribute__((aligned(64)));

static struct {
	__u64 attempts[LEVELS]; /* only that level writes its own */
	__u64 dropped[LEVELS];
	__u64 read[LEVELS];
	int done;
} counts;

/* The same numbers in every word, so that a torn record shows. */
static void write_event(int level)
{
	__u64 number = counts.attempts[level]++, position;
	struct vnt_slot *slot;

	if (!vnt_ring_reserve(&ring, SLOTS, 1, &position)) {
		counts.dropped[level]++;
		return;
	}
	slot = &slots[position % SLOTS];
	slot->kind = level;
	slot->event.time_ns = number;
	slot->event.flow = number * 3;
	slot->event.key = number * 7;
	slot->event.length = number;
	slot->event.payload = ~number;
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
		if (VNT_READ_ONCE(ring.head) - VNT_READ_ONCE(ring.tail) < SLOTS / 2)
			write_event(0); /* a full ring would leave nothing to interrupt */
	return NULL;
}

static void check(const struct vnt_slot *slot, __u64 *next)
{
	__u64 number = slot->event.time_ns;

	cr_assert(slot->kind < LEVELS);
	cr_assert(number >= next[slot->kind], "level %u goes back", slot->kind);
	cr_assert_eq(slot->event.flow, number * 3);
	cr_assert_eq(slot->event.key, number * 7);
	cr_assert_eq(slot->event.length, (__u32)number);
	cr_assert_eq(slot->event.payload, (__u32)~number);
	next[slot->kind] = number + 1;
	counts.read[slot->kind]++;
}

static bool enough(void)
{
	return VNT_READ_ONCE(counts.attempts[1]) > ENOUGH &&
	       VNT_READ_ONCE(counts.attempts[2]) > ENOUGH;
}

static void read_published(__u64 *next)
{
	const struct vnt_slot *slot;

	while ((slot = vnt_ring_peek(slots, SLOTS, ring.tail))) {
		check(slot, next);
		vnt_ring_release(&ring, ring.tail + 1);
	}
}

Test(ring_stress, every_event_is_read_whole_once_and_in_order_or_counted)
{
	const struct sigaction action = {.sa_handler = interrupt};
	__u64 next[LEVELS] = {};
	pthread_t writer;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	cr_assert_eq(pthread_create(&writer, NULL, write_all, NULL), 0);
	for (int round = 0; round < ROUNDS && !enough(); round++) {
		pthread_kill(writer, SIGUSR1);
		pthread_kill(writer, SIGUSR2);
		read_published(next);
		sched_yield();
	}
	__atomic_store_n(&counts.done, 1, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	read_published(next);
	for (int level = 0; level < LEVELS; level++) {
		cr_assert(counts.attempts[level] > (level ? ENOUGH : 1000),
			  "level %d: only %llu events", level, counts.attempts[level]);
		cr_assert(counts.read[level] > 0);
		cr_assert_eq(counts.read[level] + counts.dropped[level], counts.attempts[level],
			     "level %d", level);
	}
}
