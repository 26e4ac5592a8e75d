/* SPDX-License-Identifier: GPL-2.0-only */
/* segments_feed.h - events, as they come from a trace, through a join to segments. */
#ifndef SEGMENTS_FEED_H
#define SEGMENTS_FEED_H

#include "join_feed.h"
#include "lib/segments.h"

/* For qsort(): by time. */
static inline int feed_compare(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	return a->probe - b->probe;
}

/* seat_fn; the context is a struct segments. */
static inline int feed_put(void *segments, const struct seat *seat)
{
	struct journey journey;

	seat_journey(seat, &journey);
	return segments_put(segments, &journey);
}

#endif
