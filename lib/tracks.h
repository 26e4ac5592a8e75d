/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tracks.h - durations of all hops of a path, and the order of its packets.
 *
 * The times of some packets are kept as they are, in rows, and go to the histograms together: a packet
 * then touches a cache line, not some of each hop, and a small flow needs no histograms. Rows that are
 * full are a task of their own. So are the times of a packet that took too long for a row.
 */
#ifndef VNT_TRACKS_H
#define VNT_TRACKS_H

#include "join.h"
#include "latency.h"
#include "pool.h"
#include "ranges.h"
#include "reorder.h"

#define LOADS 32

/* What the rows before became. */
struct settled {
	struct reorder reorder;
	struct track tracks[]; /* each hop, then end to end */
};

/* When the first sighting was, and how long after it the others were. */
struct row {
	uint64_t first_ns;
	uint32_t after_ns[];
};

/* Of one path; all zero, but for nhops, has seen nothing. */
struct tracks {
	uint32_t nhops;
	uint32_t nrows;          /* packets whose times are still in `rows` */
	uint64_t *rows;          /* of each packet: as struct row, in whole words */
	struct settled *settled; /* NULL before the first rows are; a task may be at it */
	uint64_t *spans;         /* per probe of the path, those of tracks_note(); or NULL */
};

/* Rows that are full, and the last of tracks that are released. */
struct load {
	uint32_t nhops;
	uint32_t nrows;
	uint64_t *rows; /* or NULL: the end */
	struct settled *settled;
	bool times; /* the rows are one packet's nhops + 1 times instead */
};

/* What is to be settled, in its order; all zero is empty. It stays where it is. */
struct backlog {
	struct pool *pool;   /* or NULL: it is done at once */
	unsigned int thread; /* that adds to it */
	size_t count;        /* of the loads that are being added */
	size_t settling;     /* ... that the task has */
	struct load loads[2][LOADS];
	int side; /* that is added to */
	int err;  /* -ENOMEM once the task had none */
	struct task task;
};

/* The next packet: nhops + 1 sightings, in their order. 0 or -ENOMEM. */
int tracks_add(struct tracks *tracks, const struct sighting *seen, struct backlog *backlog);
int tracks_add_seat(struct tracks *tracks, const struct seat *seat, struct backlog *backlog);

/* Fetches into the cache where the next one goes. */
void tracks_prefetch(const struct tracks *tracks);

/* Notes in which spans these were seen. 0 or -ENOMEM. */
int tracks_note(struct tracks *tracks, const struct sighting *seen, const struct ranges *ranges);

/* Forgets all packets, also those in the backlog. */
void tracks_drop(struct tracks *tracks, struct backlog *backlog);

/* Waits until all is settled. 0 or -ENOMEM: then, too, nothing is left in it. */
int backlog_settle(struct backlog *backlog);

/* These are for tracks of which nothing is in a backlog: */
int tracks_merge(struct tracks *sum, struct tracks *tracks); /* settles `sum`; 0 or -ENOMEM */
int tracks_latency(const struct tracks *tracks,
		   struct latency *latency); /* end to end; after that; 0 or -ENOMEM */
void tracks_release(struct tracks *tracks);

/* The probe that is at this place of the path, for ranges_bound(). */
struct place_seen tracks_place(const struct tracks *tracks, uint32_t at, uint16_t probe);

#endif
