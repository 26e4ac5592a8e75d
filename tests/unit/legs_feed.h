/* SPDX-License-Identifier: GPL-2.0-only */
/* legs_feed.h - events as legs to what takes these. */
#ifndef LEGS_FEED_H
#define LEGS_FEED_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/legs.h"

#define FEED_EVENTS 2048

/* Of one stream of events; all zero at first. */
struct legs_feed {
	struct legs legs;
	uint32_t number;
	uint64_t now_ns;
};

/* What an event is alone. */
static inline struct leg leg_of(const struct vnt_event *event)
{
	return (struct leg){
		.flow = event->flow,
		.key = event->key,
		.first_ns = event->time_ns,
		.count = 1,
		.segment = event->segment,
		.length = event->length,
		.payload = event->payload,
		.flags = event->flags,
		.id = event->id,
		.probes = {event->probe},
	};
}

static inline struct count_row count_of(const struct vnt_event *event, uint64_t time_ns)
{
	return (struct count_row){
		.probe = event->probe,
		.cpu = event->cpu,
		.events = 1,
		.outer = event->outer,
		.bytes = event->length,
		.first_ns = time_ns,
		.last_ns = time_ns,
	};
}

/* The first events, at most FEED_EVENTS, to feed->legs; returns how many. An event that is older than one before
 * counts as of the same time. */
static inline size_t feed_legs(struct legs_feed *feed, const struct vnt_event *events, size_t count)
{
	struct legs *legs = &feed->legs;

	count = count < FEED_EVENTS ? count : FEED_EVENTS;
	if (!legs->room)
		cr_assert_eq(legs_open(legs, FEED_EVENTS), 0);
	for (size_t i = 0; i < count; i++) {
		if (events[i].time_ns > feed->now_ns)
			feed->now_ns = events[i].time_ns;
		legs->legs[i] = leg_of(&events[i]);
		legs->legs[i].first_ns = feed->now_ns;
		legs->legs[i].number = feed->number++;
		legs->counts[i] = count_of(&events[i], feed->now_ns);
	}
	legs->count = legs->ncounts = count;
	return count;
}

/* To each call of `put` the legs of some events, until it returns an error or all were put. */
static inline int feed_all(struct legs_feed *feed, const struct vnt_event *events, size_t count,
			   int (*put)(void *taker, const struct legs *legs), void *taker)
{
	int err = 0;

	for (size_t done = 0; done < count && !err;) {
		done += feed_legs(feed, events + done, count - done);
		err = put(taker, &feed->legs);
	}
	return err;
}

#endif
