/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rates.h - which packets each probe left out because it samples, over time.
 *
 * Samples are nested (sample.h): the level of a packet and the thresholds say which probes would
 * have kept it, whether it came there or not. Those that would not are blind to it, and nothing that
 * they did not see is held against it. A probe is asked about a window of time, by its lowest threshold
 * in it, so that it does not matter when exactly a packet would have come by.
 */
#ifndef VNT_RATES_H
#define VNT_RATES_H

#include "join.h"
#include "paths.h"
#include "ranges.h"
#include "trace.h"

#define NOT_BLIND PATH_EMPTY /* the set of no probes */

/* Of a packet: what was seen where it is known that all packets like it are seen. */
struct judged {
	const struct sighting *seen;
	size_t n;
	uint32_t blind; /* set of the probes where it is not known */
	uint32_t length;
	const struct ranges *ranges; /* that what is seen is noted by; or NULL */
};

/* What a packet in the trace stands for. */
struct weight {
	double packets; /* 1 where everything was kept; 0 of one that others stand for */
	double units;
	uint64_t unit; /* what was sampled: the packet, or a window of sequence space of TCP data */
};

struct rates;

/* flow_mask: as trace_flow_mask() has it. 0 or -ENOMEM. */
int rates_open(struct rates **rates, size_t nprobes, uint64_t flow_mask);
int rates_add(struct rates *rates, const struct epoch_row *row);

/* Has any probe left out anything up to now? If not, there is nothing to ask. */
bool rates_sampling(const struct rates *rates);

/* The window that all that follows is about. It only moves on. 0 or -ENOMEM. */
int rates_move(struct rates *rates, uint64_t from_ns, uint64_t until_ns);

/* All sightings are in the window. */
void rates_weigh(const struct rates *rates, const struct journey *journey,
		 const struct sighting *seen, size_t n, struct weight *weight);

/* No probe twice. judged->seen is `seen`, or lives until the next call. */
void rates_judge(struct rates *rates, const struct journey *journey, const struct sighting *seen,
		 size_t n, struct judged *judged);

bool rates_blind(const struct rates *rates, uint32_t set, uint16_t probe);
void rates_close(struct rates *rates); /* accepts NULL */

#endif
