/* SPDX-License-Identifier: GPL-2.0-only */
/* join_private.h - the journeys in flight that join.c joins, and join_index.c finds. */
#ifndef VNT_JOIN_PRIVATE_H
#define VNT_JOIN_PRIVATE_H

#include "join.h"

#define JOIN_AHEAD 64 /* legs that are fetched for at once, before the ones before are joined */
#define BUCKET     8

/*
 * Where some journeys are found: those whose hash chooses it, and those that the bucket before had no
 * room for. They come and go in the same order, so what is older than the ring is no more there.
 */
struct bucket {
	union {
		uint16_t tags[BUCKET]; /* of their hashes */
		uint64_t tags4[BUCKET / 4];
	};
	uint32_t numbers[BUCKET];
	uint32_t newest; /* the one behind it is the oldest */
	uint32_t full;   /* number of the newest that had to go to the next bucket */
	uint64_t pad;
};
_Static_assert(sizeof(struct bucket) == 64, "one line of the cache");

struct join {
	struct seat *ring;
	uint32_t ring_size; /* power of two; journey n is at n & (ring_size - 1) */
	uint32_t ring_used; /* seats: behind these it was not used yet */
	uint32_t front;     /* number of the oldest journey; numbers wrap around */
	uint32_t count;
	struct bucket *buckets;
	size_t nbuckets;
	size_t many;                /* bytes of the sightings that are not in the ring */
	size_t memory;              /* bytes that all of it may take */
	size_t needed;              /* when it was too little */
	const struct probe *probes; /* or NULL */
	bool has_rest;
	struct leg rest;
	uint64_t horizon_ns;
	uint64_t now_ns;
	uint64_t flow_mask;
	seat_fn done;
	void *context;
};

static inline struct seat *join_seat(const struct join *join, uint32_t number)
{
	return &join->ring[number & (join->ring_size - 1)];
}

static inline bool in_flight(const struct join *join, uint32_t number)
{
	return number - join->front < join->count;
}

/* It has ended, if it was handed out or not. */
static inline bool join_is_over(const struct join *join, const struct seat *seat)
{
	return join->now_ns - seat->first_ns > join->horizon_ns;
}

uint32_t join_hash_packet(const struct join *join, uint64_t flow, uint64_t key);

/* For the size of the ring, with all journeys that are in it. 0 or -ENOMEM. */
int join_index_make(struct join *join);
size_t join_index_size(size_t seats); /* bytes, for a ring of that size */

/* The journey comes next: its number is that behind the last one in flight. */
void join_index_add(struct join *join, uint32_t number, uint32_t hash);

/* The journey that a packet's legs are part of now, or NULL. */
struct seat *join_index_find(const struct join *join, uint64_t flow, uint64_t key, uint32_t hash);

/* Fetches into the cache where the journeys of the legs are found, JOIN_AHEAD at most; and a while later
 * these. */
void join_index_fetch(const struct join *join, const struct leg *legs, size_t count,
		      uint32_t *hashes);
void join_index_fetch_seats(const struct join *join, const uint32_t *hashes, size_t count);

static inline size_t join_ahead(size_t left)
{
	return left < JOIN_AHEAD ? left : JOIN_AHEAD;
}

#endif
