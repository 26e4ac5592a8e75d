/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * legs.h - what one trace saw of one packet, a few events apart.
 *
 * A trace names the packet that an event is of by a number (event.h), so its own events are put together
 * without a search: what is merged and joined then (join.h) are a few legs a packet, not each event.
 */
#ifndef VNT_LEGS_H
#define VNT_LEGS_H

#include "timeline.h"
#include "trace.h"

#define LEG_MAX     8    /* sightings; of more it takes another leg */
#define LEGS_EVENTS 2048 /* at most that many events apart */

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

/* What some events become, with room for as many. */
struct legs {
	size_t room;
	size_t count;
	size_t ncounts;
	struct leg *legs;
	struct count_row *counts;
};

int legs_open(struct legs *legs, size_t room); /* LEGS_EVENTS at most; 0 or -ENOMEM */
void legs_close(struct legs *legs);            /* also if all is zero */
size_t legs_memory(const struct legs *legs);   /* bytes */

/* What making them takes; all zero at first, but for span_ns. */
struct legs_maker {
	uint32_t span_ns;              /* that a leg may take */
	uint32_t packets[LEGS_EVENTS]; /* of each leg */
	uint16_t by_packet[2 * LEGS_EVENTS];
	uint16_t by_cpu[1024];
};

/*
 * At most legs->room events, in time order, become legs in order of their first event, without their numbers,
 * and counts. Times go through the timeline, `near` as in timeline_map(); probes[] is what each probe becomes.
 */
void legs_make(struct legs_maker *maker, struct legs *legs, const struct vnt_event *events,
	       size_t count, const struct timeline *timeline, size_t *near, const uint16_t *probes);

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
