/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * flows.h - what the packets of each flow did: which paths they went, and how long it took.
 *
 * A variant is one sequence of probes that packets of one flow were seen at. It is full while no
 * longer variant of the flow contains it; only full variants have latencies, and only if they have hops.
 */
#ifndef VNT_FLOWS_H
#define VNT_FLOWS_H

#include "epochs.h"
#include "join.h"
#include "latency.h"
#include "map.h"
#include "paths.h"
#include "rates.h"
#include "reorder.h"

#define NO_VARIANT MAP_NONE

/* Packets by what else was observing: epochs_observed() of epochs.h tells from the segments, and
 * rates_blind() of rates.h from the set. */
struct watch {
	uint32_t begin; /* for sightings [begin, end) of the variant */
	uint32_t end;
	uint32_t from;
	uint32_t until;
	uint32_t blind;
	uint64_t count;
	uint64_t bytes;
};

struct variant {
	uint32_t path;
	uint32_t next; /* of the same flow, older; or NO_VARIANT */
	bool full;
	uint64_t count;
	uint64_t bytes;
	struct watch watch;     /* of the packet before */
	struct tracks tracks;   /* empty unless full and of two probes or more */
	struct reorder reorder; /* too */
	struct watch *watches;  /* those of other packets */
	size_t nwatches;
	size_t watches_room;
};

struct flow {
	uint64_t hash;
	uint64_t packets;
	uint64_t bytes;
	uint64_t first_ns; /* when the first packet was first seen */
	uint64_t last_ns;  /* when the last one was: a packet's way is no time of the flow */
	uint32_t variants; /* the newest, or NO_VARIANT */
	uint32_t recent;   /* of the packet before */
	uint32_t longest;  /* full variant of most probes, or NO_VARIANT */
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

/* All zero holds no flows. */
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
};

int flows_name(struct flows *flows,
	       const struct flow_row *row); /* the 5-tuple; the first one stays */

/* Index of the flow, added if it is new; MAP_NONE if there is no memory. */
uint32_t flows_find(struct flows *flows, uint64_t hash);

/* Counts one packet of the flow, first seen at that time. */
void flows_count(struct flows *flows, uint32_t flow, uint32_t length, uint64_t time_ns);

/* The packet just counted stands for as many. */
void flows_weigh(struct flows *flows, uint32_t flow, const struct weight *weight, uint32_t length);

/* The journey of one packet, no probe twice, judged->n > 0. `until` as in struct watch. 0 or
 * -ENOMEM. */
int flows_journey(struct flows *flows, uint32_t flow, const struct judged *judged,
		  const struct epochs *epochs, uint32_t until);
void flows_release(struct flows *flows);

#endif
