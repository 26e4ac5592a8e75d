// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/order.h"

#define CPUS   5
#define EVENTS 20000

static int by_time(const void *a, const void *b)
{
	const struct vnt_event *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* Each CPU's times grow, but for a nested probe now and then, which is a little older. */
static void make_events(struct vnt_event *events, size_t count)
{
	uint64_t clocks[CPUS] = {};

	for (size_t i = 0; i < count; i++) {
		uint16_t cpu = rand() % CPUS;

		clocks[cpu] += rand() % 1000;
		events[i] = (struct vnt_event){.time_ns = 5000 + clocks[cpu], .cpu = cpu, .key = i};
		if (rand() % 50 == 0)
			events[i].time_ns -= rand() % 3000;
	}
}

Test(order, many_queues_give_one_sorted_sequence)
{
	static struct vnt_event events[EVENTS], out[EVENTS];
	struct order *order;

	srand(1);
	make_events(events, EVENTS);
	cr_assert_eq(order_open(&order, CPUS), 0);
	for (size_t i = 0; i < EVENTS; i++)
		cr_assert_eq(order_add(order, events[i].cpu, &events[i]), 0);
	cr_assert_eq(order_take(order, UINT64_MAX, out, EVENTS), EVENTS);
	qsort(events, EVENTS, sizeof(events[0]), by_time);
	for (size_t i = 0; i < EVENTS; i++)
		cr_assert_eq(out[i].time_ns, events[i].time_ns);
	order_close(order);
}

Test(order, nothing_at_or_after_the_watermark_is_handed_out)
{
	const uint64_t times[] = {10, 20, 30, 30, 40};
	struct vnt_event out[8];
	struct order *order;

	cr_assert_eq(order_open(&order, 2), 0);
	for (size_t i = 0; i < 5; i++) {
		struct vnt_event event = {.time_ns = times[i]};

		cr_assert_eq(order_add(order, i % 2, &event), 0);
	}
	cr_assert_eq(order_take(order, 0, out, 8), 0);
	cr_assert_eq(order_take(order, 30, out, 8), 2);
	cr_assert_eq(out[1].time_ns, 20);
	cr_assert_eq(order_take(order, 31, out, 1), 1);
	cr_assert_eq(order_take(order, 31, out, 8), 1);
	cr_assert_eq(order_held(order, 0) + order_held(order, 1), 1);
	order_close(order);
}

/* Adding and taking in turns, as a recorder does, must neither lose, repeat nor disorder anything. */
Test(order, adding_and_taking_in_turns_keeps_every_event_once)
{
	static struct vnt_event events[EVENTS];
	static bool seen[EVENTS];
	struct vnt_event out[300];
	struct order *order;
	size_t total = 0, got;

	srand(2);
	make_events(events, EVENTS);
	cr_assert_eq(order_open(&order, CPUS), 0);
	for (size_t i = 0; i < EVENTS; i++) {
		cr_assert_eq(order_add(order, events[i].cpu, &events[i]), 0);
		if (i % 777)
			continue;
		got = order_take(order, events[i].time_ns, out, 300);
		for (size_t k = 0; k < got; k++) {
			cr_assert(!seen[out[k].key]);
			seen[out[k].key] = true;
			cr_assert(!k || out[k - 1].time_ns <= out[k].time_ns);
		}
		total += got;
	}
	while ((got = order_take(order, UINT64_MAX, out, 300)))
		total += got;
	cr_assert_eq(total, EVENTS);
	order_close(order);
}

Test(order, close_accepts_null)
{
	order_close(NULL);
}
