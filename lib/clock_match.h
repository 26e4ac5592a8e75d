/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_match.h - packets that two clocks saw, as bounds on the difference of these.
 *
 * The clocks are not known yet, so packets are matched by their ID alone. A packet that left one
 * domain at a device (tx) and entered another one (rx) proves that the one was before the other,
 * if it was not the other way round: what is seen of a forwarding domain fits both. So bounds are
 * kept apart by the two devices, a link: one that does not exist contradicts itself (clock_pair.h).
 *
 * Packets beyond some 4000 a second tell no more of a clock unless they are faster than all others: of
 * each direction of a link TURN_MAX are taken from each TURN_NS, in the order of their hashes, and
 * those that are.
 */
#ifndef VNT_CLOCK_MATCH_H
#define VNT_CLOCK_MATCH_H

#include "clock_sample.h"
#include "map.h"
#include "margin.h"
#include "raw_clock.h"

#define TURN_NS  (1 << 22) /* clocks hardly drift meanwhile */
#define TURN_MAX 16

/* Of all inputs, numbered from the first one's on. */
struct clock_probe {
	uint32_t clock; /* number of its clock, or CLOCK_NONE */
	uint32_t port;  /* the same for rx and tx of one device */
	bool tx;
};

#define CLOCK_NONE UINT32_MAX

/* When clock b was at x, clock a was not less or not more than y ahead. Both are raw times. */
struct clock_point {
	int64_t x;
	int64_t y;
	uint32_t link;
	uint32_t era; /* suspensions of both before it */
	float doubt_ns;
	uint8_t side;     /* enum side */
	uint8_t rejected; /* by clock_pair.c */
	bool counted;     /* no packet, but a reading of a counter (clock_tsc.h): never rejected */
};

struct clock_link {
	uint32_t a; /* clocks; a < b */
	uint32_t b;
	size_t first; /* of its points */
	size_t count;
};

/* What was taken of one direction of a link, of one TURN_NS. */
struct clock_turn {
	int64_t fastest; /* delay, if both clocks agreed */
	uint32_t count;
	uint32_t pad;
};

/* In order of link, and of x. */
struct clock_points {
	struct clock_point *points;
	size_t count;
	size_t room;
	struct clock_link *links;
	size_t nlinks;
	size_t links_room;
	struct map by_ports;
	struct clock_turn *turns;
	size_t nturns;
	size_t turns_room;
	struct map by_turn;
};

/* Puts the sample in order. Packets that a probe saw twice are left out: nothing says which is which.
 * 0 or -ENOMEM. */
int clock_match(struct clock_sample *sample, const struct clock_probe *probes,
		const struct raw_clock *clocks, struct clock_points *points);
int compare_points(const void *left, const void *right); /* for qsort(): link, x */
void clock_points_release(struct clock_points *points);

#endif
