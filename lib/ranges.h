/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ranges.h - the hard bound of durations between domains whose clocks are known better at some times than
 * at others (struct range_row).
 *
 * Time is divided into spans, RANGES_SPANS at most, at the edges of all ranges. Of each place on a
 * packet's way is noted, a bit for each, in which spans packets were there.
 */
#ifndef VNT_RANGES_H
#define VNT_RANGES_H

#include "trace.h"

#define RANGES_SPANS 64

/* All zero has no ranges. */
struct ranges {
	struct range_row *rows;
	size_t count;
	size_t room;
	uint64_t starts[RANGES_SPANS]; /* of all spans but the first one, in order */
	unsigned int nstarts;
};

/* Before anything is noted. 0 or -ENOMEM. */
int ranges_add(struct ranges *ranges, const struct range_row *row);

/* The bit of the span that a time is in. */
uint64_t ranges_span(const struct ranges *ranges, uint64_t time_ns);

/* A probe, and the spans in which packets were there; 0: nothing was noted. */
struct place_seen {
	uint16_t probe;
	uint64_t spans;
};

/* Of durations from one to the other: none within a domain. */
int64_t ranges_bound(const struct ranges *ranges, const struct trace_info *info,
		     struct place_seen from, struct place_seen to);
void ranges_release(struct ranges *ranges);

#endif
