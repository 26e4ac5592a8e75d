/* SPDX-License-Identifier: GPL-2.0-only */
/* legs_feed.h - events as legs to what takes these. */
#ifndef LEGS_FEED_H
#define LEGS_FEED_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/legs.h"

/* Of one stream of events; all zero at first, but for maker.span_ns where events have packet numbers. */
struct legs_feed {
	struct legs_maker maker;
	struct legs legs;
	uint32_t number;
	uint64_t now_ns;
	struct vnt_event events[LEGS_EVENTS];
	uint16_t probes[MAX_PROBES];
};

/* The first events, at most LEGS_EVENTS, to feed->legs; returns how many. An event that is older than one before
 * counts as of the same time. */
static inline size_t feed_legs(struct legs_feed *feed, const struct vnt_event *events, size_t count)
{
	const struct timeline timeline = {0};
	size_t near = 0;

	count = count < LEGS_EVENTS ? count : LEGS_EVENTS;
	if (!feed->legs.room)
		cr_assert_eq(legs_open(&feed->legs, LEGS_EVENTS), 0);
	for (size_t i = 0; i < count; i++) {
		feed->events[i] = events[i];
		if (events[i].time_ns > feed->now_ns)
			feed->now_ns = events[i].time_ns;
		feed->events[i].time_ns = feed->now_ns;
		feed->probes[events[i].probe] = events[i].probe;
	}
	legs_make(&feed->maker, &feed->legs, feed->events, count, &timeline, &near, feed->probes);
	for (size_t i = 0; i < feed->legs.count; i++)
		feed->legs.legs[i].number = feed->number++;
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
