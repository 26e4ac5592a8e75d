/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * join.h - from a stream of legs (legs.h), in order of their first event, to journeys.
 *
 * A journey is all events of one (flow, key). It ends when the stream's time has passed its first
 * event by more than the horizon; what of a leg comes later is another leg. Journeys wait in a ring, in order
 * of their first event, 88 bytes each unless they are unusual, and are found by their hash. So few bytes they
 * are handed out in, too: whoever looks at one expands it.
 */
#ifndef VNT_JOIN_H
#define VNT_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "legs.h"

#define JOURNEY_INLINE LEG_MAX /* sightings kept in the journey itself; a power of two */

#define SIGHTING_FRAGMENT (1u << 31)

struct sighting {
	uint64_t time_ns;
	uint16_t probe;
	uint16_t segment; /* as in struct vnt_event */
	/* Payload of TCP data and of super-packets. Where a fragment is among the sightings, its length, with
	 * SIGHTING_FRAGMENT, and behind one that of a whole packet. Else 0. */
	uint32_t data;
};

struct journey {
	uint64_t flow;
	uint64_t key;
	uint32_t number; /* of its first leg; numbers wrap around */
	uint32_t length; /* this and the next three: as its first event has it */
	uint32_t payload;
	uint16_t flags;
	uint16_t id;
	bool undecided; /* the ID does not say whether it is part of another one (segments.h) */
	uint32_t count; /* sightings; use journey_sightings() */
	union {
		struct sighting few[JOURNEY_INLINE];
		struct sighting *many;
	};
};

static inline const struct sighting *journey_sightings(const struct journey *journey)
{
	return journey->count > JOURNEY_INLINE ? journey->many : journey->few;
}

/* Takes one finished journey, keeps nothing of it; 0 or -errno. */
typedef int (*journey_fn)(void *context, const struct journey *journey);

/* A journey in few bytes: what its sightings nearly always are, or where they are. */
struct seat {
	uint64_t flow;
	uint64_t key;
	uint64_t first_ns;
	union {
		struct {
			uint32_t after_ns[JOURNEY_INLINE - 1]; /* of all but the first sighting */
			uint32_t few;                          /* sightings; or SEAT_MANY */
		};
		struct {
			struct sighting *many;
			uint32_t nmany;
			uint32_t room;
		};
	};
	uint32_t length;
	uint32_t payload;
	uint16_t flags;
	uint16_t id;
	uint32_t number;
	uint16_t probes[JOURNEY_INLINE];
};
_Static_assert(sizeof(struct seat) == 88, "there is one for each packet in flight");

#define SEAT_MANY UINT32_MAX

/* Sightings that are not in the seat itself. */
static inline uint32_t seat_many(const struct seat *seat)
{
	return seat->few == SEAT_MANY ? seat->nmany : 0;
}

/* Sightings that are more than JOURNEY_INLINE stay the seat's. */
void seat_journey(const struct seat *seat, struct journey *journey);

/* As a journey_fn. */
typedef int (*seat_fn)(void *context, const struct seat *seat);

struct join;

int join_open(struct join **join, uint64_t horizon_ns, seat_fn done, void *context);

/* Bytes that the journeys in flight may take, at least JOIN_MEMORY_MIN; at first there is no limit. */
#define JOIN_MEMORY_MIN (64u << 10)
void join_limit(struct join *join, size_t memory);

/* The probes that sightings are of: of those at the same time those of one input stay in their order, and others
 * come in that of the inputs. Until this is said all are of one. */
void join_probes(struct join *join, const struct probe *probes);

/*
 * Journeys that end are handed out in order of their first event. *taken says how many legs were joined up to
 * an error, or up to one of which the join took a part only: then join_rest() has the other one. 0, -ENOMEM,
 * what `done` returned, or -ENOBUFS: the journeys do not fit into the limit.
 */
int join_push(struct join *join, const struct leg *legs, size_t count, size_t *taken);

/* Is there a rest, to be pushed when its turn comes? It is fetched at once. */
bool join_rest(struct join *join, struct leg *rest);

/* Begins with a journey that another join had in flight: before any leg, in order of their
 * numbers. As join_push(). */
int join_adopt(struct join *join, const struct seat *adopted);

int join_flush(struct join *join); /* ends all journeys */
int join_flush_some(struct join *join,
		    size_t count); /* so many, the first ones; 1: there are more */
int join_evict(struct join *join, seat_fn taker, void *context); /* the same, to `taker` */
size_t join_memory(const struct join *join);                     /* bytes that it takes now */
uint64_t join_now(const struct join *join);                      /* time of the last leg */
size_t join_needed(const struct join *join); /* bytes that would have been enough, after -ENOBUFS */
void join_close(struct join *join);          /* accepts NULL; hands nothing out */

/* The same for all events of a packet; never 0. */
uint32_t join_hash(uint64_t flow, uint64_t key);

/* Which bits of the flow are part of a packet's ID: all, unless this says otherwise, before events come.
 * The flow of a journey is that of its first event. */
void join_mask_flows(struct join *join, uint64_t mask);

#endif
