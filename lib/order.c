// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

struct queue {
	struct vnt_event *events;
	size_t first;
	size_t end;
	size_t room;
};

struct order {
	unsigned int cpus;
	struct queue queues[];
};

int order_open(struct order **order, unsigned int cpus)
{
	*order = calloc(1, sizeof(**order) + cpus * sizeof(struct queue));
	if (!*order)
		return -ENOMEM;
	(*order)->cpus = cpus;
	return 0;
}

void order_close(struct order *order)
{
	if (!order)
		return;
	for (unsigned int i = 0; i < order->cpus; i++)
		free(order->queues[i].events);
	free(order);
}

size_t order_held(const struct order *order, unsigned int cpu)
{
	return order->queues[cpu].end - order->queues[cpu].first;
}

/* Makes room for one more: by moving to the front if half of the array was used up, else by growing. */
static int queue_grow(struct queue *queue)
{
	size_t held = queue->end - queue->first, room = queue->room ? queue->room * 2 : 1024;
	struct vnt_event *events;

	if (queue->first > queue->room / 2) {
		memmove(queue->events, queue->events + queue->first, held * sizeof(*queue->events));
	} else {
		events = malloc(room * sizeof(*events));
		if (!events)
			return -ENOMEM;
		if (held)
			memcpy(events, queue->events + queue->first, held * sizeof(*events));
		free(queue->events);
		queue->events = events;
		queue->room = room;
	}
	queue->first = 0;
	queue->end = held;
	return 0;
}

int order_add(struct order *order, unsigned int cpu, const struct vnt_event *event)
{
	struct queue *queue = &order->queues[cpu];
	size_t at;

	if (queue->end == queue->room && queue_grow(queue))
		return -ENOMEM;
	for (at = queue->end; at > queue->first; at--) {
		if (queue->events[at - 1].time_ns <= event->time_ns)
			break;
		queue->events[at] = queue->events[at - 1];
	}
	queue->events[at] = *event;
	queue->end++;
	return 0;
}

/* The queue with the oldest event, and in *next_ns the oldest of the others. */
static struct queue *oldest(struct order *order, uint64_t *next_ns)
{
	struct queue *best = NULL;
	uint64_t best_ns = UINT64_MAX;

	*next_ns = UINT64_MAX;
	for (unsigned int i = 0; i < order->cpus; i++) {
		struct queue *queue = &order->queues[i];
		uint64_t time_ns;

		if (queue->first == queue->end)
			continue;
		time_ns = queue->events[queue->first].time_ns;
		if (!best || time_ns < best_ns) {
			*next_ns = best_ns;
			best_ns = time_ns;
			best = queue;
		} else if (time_ns < *next_ns) {
			*next_ns = time_ns;
		}
	}
	return best;
}

size_t order_take(struct order *order, uint64_t watermark_ns, struct vnt_event *out, size_t max)
{
	size_t taken = 0;

	while (taken < max) {
		uint64_t until;
		struct queue *queue = oldest(order, &until);

		if (!queue || queue->events[queue->first].time_ns >= watermark_ns)
			break;
		if (until > watermark_ns - 1)
			until = watermark_ns - 1;
		do {
			out[taken++] = queue->events[queue->first++];
		} while (taken < max && queue->first < queue->end &&
			 queue->events[queue->first].time_ns <= until);
		if (queue->first == queue->end)
			queue->first = queue->end = 0;
	}
	return taken;
}
