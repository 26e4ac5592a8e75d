/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * raw_clock.h - CLOCK_MONOTONIC to CLOCK_MONOTONIC_RAW and back, by a domain's CLOCK anchors.
 *
 * NTP slews the one and leaves the other alone, so that two raw clocks differ by a line that
 * bends only as slowly as crystals warm up. Between two anchors the times are interpolated; all
 * times are nanoseconds.
 */
#ifndef VNT_RAW_CLOCK_H
#define VNT_RAW_CLOCK_H

#include "trace.h"

struct raw_anchor {
	uint64_t mono_ns;
	uint64_t raw_ns;
	uint64_t tsc;      /* 0 where there is none */
	int64_t slept_ns;  /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
	int64_t wall_ns;   /* clock_wall_offset() */
	uint32_t width_ns; /* of the bracket */
	uint32_t era;      /* suspensions before it */
	double doubt_ns;   /* how wrong a raw time may be from here to the next one */
};

/* All zero has no anchors, and takes both clocks for the same. */
struct raw_clock {
	struct raw_anchor *anchors; /* in order of time, once settled */
	size_t count;
	size_t room;
};

/* What is known of a time that was converted. */
struct raw_time {
	uint64_t raw_ns;
	double doubt_ns;
	uint32_t era;
	bool torn; /* the domain was suspended between the anchors on both sides: of either era */
};

/* Raw times are signed where they are reckoned with; no machine runs for as long as this. */
#define RAW_TIME_MAX (INT64_MAX / 4)

/* a - b, also of times out of hostile files. */
static inline int64_t time_since(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t time_plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

int raw_clock_note(struct raw_clock *clock, const struct anchor_row *anchor); /* 0 or -ENOMEM */

/* After the last anchor and before the first conversion: puts them in order, drops those that are
 * of no use. */
void raw_clock_settle(struct raw_clock *clock);

/* False: too few anchors to know anything of the raw clock. */
bool raw_clock_known(const struct raw_clock *clock);

/* How often CLOCK_REALTIME did not go on as the clock did: it was set, or the machine slept; and by how much
 * at most. */
size_t raw_clock_jumps(const struct raw_clock *clock, int64_t *largest_ns);

struct raw_time raw_clock_convert(const struct raw_clock *clock, uint64_t mono_ns);
uint64_t raw_clock_mono(const struct raw_clock *clock, uint64_t raw_ns);
/* The clocks when the time stamp counter got to a count, of which nothing but the readings on both sides
 * is known: that it counts evenly. False if it did not get there while it was read. */
bool raw_clock_counted(const struct raw_clock *clock, uint64_t tsc, uint64_t *mono_ns,
		       struct raw_time *time);

/* How wrong a raw time between two may be. */
double raw_clock_doubt(const struct raw_clock *clock, int64_t from, int64_t to);
void raw_clock_release(struct raw_clock *clock);

#endif
