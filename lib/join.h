/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * join.h - from a stream of events in time order to journeys.
 *
 * A journey is all events of one (flow, key). It ends when the stream's time has passed its first
 * event by more than the horizon. Journeys wait in a ring, in order of their first event, and are
 * found by a hash table of 8-byte slots: finding one costs a cache line of slots and the journey's own.
 */
#ifndef VNT_JOIN_H
#define VNT_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define JOURNEY_INLINE 8 /* sightings kept in the journey itself; a power of two */

struct sighting {
	uint64_t time_ns;
	uint16_t probe;
	uint16_t cpu;
	uint32_t data; /* bytes of TCP data, 0 in any other packet */
};

struct journey {
	uint64_t flow;
	uint64_t key;
	uint32_t length; /* as its first event has it */
	uint32_t count;  /* sightings; use journey_sightings() */
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

struct join;

int join_open(struct join **join, uint64_t horizon_ns, journey_fn done, void *context);

/*
 * Journeys that end are handed out in order of their first event. An event that is older than the
 * one before it counts as of the same time. 0, -ENOMEM, or what `done` returned.
 */
int join_push(struct join *join, const struct vnt_event *events, size_t count);

/* Which bits of the flow are part of a packet's ID: all, unless this says otherwise, before events come.
 * The flow of a journey is that of its first event. */
void join_mask_flows(struct join *join, uint64_t mask);
int join_flush(struct join *join);  /* ends all journeys */
void join_close(struct join *join); /* accepts NULL; hands nothing out */

#endif
