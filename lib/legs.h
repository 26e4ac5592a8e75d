/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * legs.h - what one trace saw of one packet, a few thousand events apart.
 *
 * A block of a trace says which of its events are of one packet (columns.h), so these are put together
 * without a search, and without the events: what is merged and joined then (join.h) are a few legs a packet.
 */
#ifndef VNT_LEGS_H
#define VNT_LEGS_H

#include "timeline.h"
#include "trace.h"

struct chunk;  /* chunk.h */
struct packet; /* columns.h */

#define LEG_MAX 8 /* sightings; of more it takes another leg */

struct leg {
	uint64_t flow;
	uint64_t key;
	uint64_t first_ns;
	uint32_t after_ns[LEG_MAX - 1]; /* of all but the first sighting */
	uint16_t count;                 /* sightings */
	uint16_t segment; /* this and the next four: of all of them, as in struct vnt_event */
	uint32_t length;
	uint32_t payload;
	uint16_t flags;
	uint16_t id;
	uint32_t number; /* legs are counted in their order */
	uint16_t probes[LEG_MAX];
};
_Static_assert(sizeof(struct leg) == 88, "many are copied");

/* How they are made; what it refers to stays with whoever wants them. */
struct legs_shape {
	uint32_t span_ns;                /* that a leg may take */
	const struct timeline *timeline; /* that all times go through */
	const uint16_t *probes;          /* what each probe becomes */
};

/* What some events become, with room for as many. */
struct legs {
	size_t room;
	size_t count;
	size_t ncounts;
	struct leg *legs;         /* in order of their first event, without their numbers */
	struct count_row *counts; /* of all the events */
	uint64_t first_ns;        /* of the first and the last event, as the trace has it */
	uint64_t last_ns;
	size_t touched;        /* bytes, by the most so far */
	size_t near;           /* as in timeline_map() */
	uint16_t begin;        /* what the first leg is in its block; they count from 1 */
	uint16_t by_cpu[1024]; /* -> counts */
};

int legs_open(struct legs *legs, size_t room); /* of zeros; BLOCK_ROWS at most; 0 or -ENOMEM */
void legs_close(struct legs *legs);            /* also if all is zero */
size_t legs_memory(const struct legs *legs);   /* bytes that were used so far */

/* They are of the next events now: none yet. `begin` is what the first of them is in its block. */
void legs_begin(struct legs *legs, uint16_t begin);

/* The next `count` events: chunk->packet are indexes, and chunk->time times, which go through the timeline. */
void legs_add(struct legs *legs, const struct legs_shape *shape, struct chunk *chunk, size_t count,
	      struct packet *packets);

/* All of them were added: the counts get the probes that these become, too. */
void legs_end(struct legs *legs, const struct legs_shape *shape);

/* Cuts it behind so many sightings, at least one; *rest is what is left of it. */
void leg_cut(struct leg *leg, uint16_t count, struct leg *rest);

/* NULL: all are of one. */
static inline uint32_t probe_input(const struct probe *probes, uint16_t probe)
{
	return probes ? probes[probe].input : 0;
}

static inline uint64_t leg_time(const struct leg *leg, uint16_t sighting)
{
	return leg->first_ns + (sighting ? leg->after_ns[sighting - 1] : 0);
}

#endif
