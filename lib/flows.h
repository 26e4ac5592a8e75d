/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * flows.h - what the packets of each flow did: which paths they went, and how long it took.
 */
#ifndef VNT_FLOWS_H
#define VNT_FLOWS_H

#include "epochs.h"
#include "forks.h"
#include "join.h"
#include "map.h"
#include "paths.h"
#include "variant.h"

/* Packets that branched. */
struct branched {
	uint32_t path;  /* all the probes that saw one */
	uint32_t blind; /* as in struct watch */
	uint32_t next;  /* of the same flow, or MAP_NONE */
	uint32_t other; /* of the same flow and path, or MAP_NONE */
	uint64_t count;
};

struct flow {
	uint64_t hash;
	uint64_t packets;
	uint64_t bytes;
	uint64_t first_ns; /* when the first packet was first seen */
	uint64_t last_ns;  /* when the last one was: a packet's way is no time of the flow */
	uint32_t variants; /* the newest, or NO_VARIANT */
	uint32_t recent;   /* of the packet before */
	uint32_t branched; /* the newest, or MAP_NONE */
	uint32_t whole;    /* path of a packet that most probes saw, or PATH_EMPTY */
	bool known;
	struct vnt_flow tuple;
	/* Where probes sample: estimates of what was left out, and the units that were not. */
	double unseen_packets;
	double unseen_bytes;
	double units; /* that these stand for, and of them the first and the last one */
	double first_units;
	double last_units;
	uint64_t unit; /* the last one */
};

/* All zero but for the forks, which are released with it, holds no flows. */
struct flows {
	struct flow *flows;
	size_t count;
	size_t room;
	struct variant *variants;
	size_t nvariants;
	size_t variants_room;
	struct paths paths;
	struct map by_hash;    /* -> flow */
	struct map by_variant; /* flow and path -> variant */
	struct forks *forks;
	struct branched *branched;
	size_t nbranched;
	size_t branched_room;
	struct map by_branched; /* flow and path -> branched */
	struct sighting *copy;  /* scratch: of one copy */
	size_t copy_room;
	struct backlog backlog; /* of the tracks */
	uint64_t copies;        /* journeys beyond the first of each packet */
	uint64_t ambiguous;     /* packets that branched, nobody knows where */
};

int flows_name(struct flows *flows,
	       const struct flow_row *row); /* the 5-tuple; the first one stays */

/* NULL: not known. */
const struct vnt_flow *flows_tuple(const struct flows *flows, uint64_t hash);

/* Index of the flow, added if it is new; MAP_NONE if there is no memory. */
uint32_t flows_find(struct flows *flows, uint64_t hash);

/* So few are in the cache anyway. */
#define FLOWS_CACHED 2048
static inline bool flows_cached(const struct flows *flows)
{
	return flows->count <= FLOWS_CACHED;
}

/* Fetches into the cache what these journeys will need, FLOWS_AHEAD at most. found: their flows, or
 * MAP_NONE where there is none yet. */
#define FLOWS_AHEAD 32
void flows_prefetch(const struct flows *flows, const struct seat *seats, size_t count,
		    uint32_t *found);

/* Counts one packet of the flow, first seen at that time. */
void flows_count(struct flows *flows, uint32_t flow, uint32_t length, uint64_t time_ns);

/* The packet just counted stands for as many. */
void flows_weigh(struct flows *flows, uint32_t flow, const struct weight *weight, uint32_t length);

/* Index of the variant, NO_VARIANT if no packet or copy of the flow went that path. */
uint32_t flows_find_variant(const struct flows *flows, uint32_t flow, uint32_t path);

/*
 * Identical packets, one behind the other: *pass is how many sightings each of them has. If all were
 * seen wherever any of the flow is, by paths that are known, before the next one set out, order tells
 * them apart; in any other case all `n` sightings are taken as one packet's. 0 or -ENOMEM.
 */
int flows_pass(struct flows *flows, uint32_t flow, const struct sighting *seen, size_t n,
	       size_t *pass);

/* The journey of one packet, or those of its copies; no probe twice, judged->n > 0. `until` as in
 * struct watch. 0 or -ENOMEM. */
int flows_journey(struct flows *flows, uint32_t flow, const struct judged *judged,
		  const struct epochs *epochs, uint32_t until);

/*
 * A packet that went the way that the one before of the flow did, without copies: as nearly all do. *done:
 * this was one, and it is counted as flows_count(), flows_pass() and flows_journey() would in more steps, if
 * nothing is blind, and all starts and ends that matter are before it: `until` of them. It is counted for its
 * path: to the path's probes that is still to be added. 0 or -ENOMEM.
 */
int flows_repeat(struct flows *flows, uint32_t flow, const struct seat *seat, uint32_t until,
		 bool *done);
void flows_release(struct flows *flows);

#endif
