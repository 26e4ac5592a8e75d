/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * latency.h - durations of the hops of a path, of consecutive packets, and their order.
 *
 * The times of some packets are kept as they are and go to the histograms together: a packet then
 * touches a cache line or two, not some of each hop, and a small flow needs no histograms.
 */
#ifndef VNT_LATENCY_H
#define VNT_LATENCY_H

#include "hist.h"
#include "join.h"
#include "ranges.h"
#include "reorder.h"
#include "report.h"

/* All zero has seen nothing. Tracks of several flows add up with track_merge(). */
struct track {
	struct hist hist;
	uint64_t jitter16;            /* RFC 3550, 6.4.1, in sixteenths as in its A.8 */
	int64_t last_ns;              /* the duration before */
	unsigned __int128 jitter_sum; /* of merged tracks: jitter16 times count */
};

/* 0, or -ENOMEM: it can only be released. */
int track_add(struct track *track, const int64_t *durations, size_t count);
int track_merge(struct track *sum, const struct track *track);

/* Fills all but the bound. A track is either added to or merged into. */
void track_latency(struct track *track, struct latency *latency);
void track_release(struct track *track);

/* Of one path; all zero, but for nhops, has seen nothing. */
struct tracks {
	uint32_t nhops;
	uint32_t nrows;       /* packets whose times are still in `rows` */
	uint64_t *rows;       /* nhops + 1 of each packet */
	struct track *tracks; /* each hop, then end to end; NULL before the first tracks_settle() */
	struct reorder reorder;
	uint64_t *spans; /* per probe of the path, those of tracks_note(); or NULL */
};

int tracks_add(struct tracks *tracks, const struct sighting *seen); /* nhops + 1 of them */

/* Fetches into the cache where the next one goes. */
void tracks_prefetch(const struct tracks *tracks);

/* Notes in which spans these were seen. 0 or -ENOMEM. */
int tracks_note(struct tracks *tracks, const struct sighting *seen, const struct ranges *ranges);
int tracks_settle(struct tracks *tracks);                    /* all that is in `rows` to the rest */
int tracks_merge(struct tracks *sum, struct tracks *tracks); /* settles both */
void tracks_release(struct tracks *tracks);

/* The probe that is at this place of the path, for ranges_bound(). */
struct place_seen tracks_place(const struct tracks *tracks, uint32_t at, uint16_t probe);

/* Hard bound on the error of a duration between two probes at any time: none within a domain. */
int64_t latency_bound(const struct trace_info *info, uint16_t from, uint16_t to);

#endif
