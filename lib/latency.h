/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * latency.h - durations of consecutive packets between two probes.
 */
#ifndef VNT_LATENCY_H
#define VNT_LATENCY_H

#include "hist.h"
#include "report.h"

/* All zero has seen nothing. Those of several flows add up with track_merge(). */
struct track {
	struct hist hist;
	uint64_t jitter16;            /* RFC 3550, 6.4.1, in sixteenths as in its A.8 */
	int64_t last_ns;              /* the duration before */
	unsigned __int128 jitter_sum; /* of merged tracks: jitter16 times count */
};

/* 0, or -ENOMEM: it can only be released. count > 0. */
int track_add(struct track *track, int64_t duration_ns);
int track_add_short(struct track *track, const uint32_t *durations, size_t count);
int track_merge(struct track *sum, const struct track *track);
int track_merge_short(struct track *sum, const uint32_t *durations, size_t count);

/* Fills all but the bound. A track is either added to or merged into. */
void track_latency(struct track *track, struct latency *latency);
void track_release(struct track *track);

/* Hard bound on the error of a duration between two probes at any time: none within a domain. */
int64_t latency_bound(const struct trace_info *info, uint16_t from, uint16_t to);

#endif
