/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * variant.h - one sequence of probes that packets of one flow, or copies of them (forks.h), were seen at.
 *
 * It is full while no longer variant of the flow contains it; only full variants have latencies, and only
 * if they have hops.
 */
#ifndef VNT_VARIANT_H
#define VNT_VARIANT_H

#include "epochs.h"
#include "map.h"
#include "rates.h"
#include "tracks.h"

#define NO_VARIANT MAP_NONE
#define PLAIN_NONE UINT32_MAX

/* Packets by what else was observing: epochs_observed() of epochs.h tells from the segments, and
 * rates_blind() of rates.h from the set. */
struct watch {
	uint32_t begin; /* for sightings [begin, end) of the variant */
	uint32_t end;
	uint32_t from;
	uint32_t until;
	uint32_t blind;
	bool copy; /* packets that branched: the copies that went this way */
	uint64_t count;
	uint64_t bytes;
};

struct variant {
	uint32_t path;
	uint32_t next; /* of the same flow, older; or NO_VARIANT */
	bool full;
	uint32_t plain; /* until of the watch, if it is one of variant_repeat(); or PLAIN_NONE */
	uint64_t count;
	uint64_t bytes;
	struct watch watch;    /* of the packet before */
	struct tracks tracks;  /* empty unless full and of two probes or more */
	struct watch *watches; /* those of other packets */
	size_t nwatches;
	size_t watches_room;
};

/* One more packet; `until` as in struct watch. 0 or -ENOMEM. */
int variant_journey(struct variant *variant, const struct judged *judged,
		    const struct epochs *epochs, uint32_t until, bool copy,
		    struct backlog *backlog);

/* The same of a packet, with few sightings, that all of one segment watched. */
int variant_repeat(struct variant *variant, const struct seat *seat, uint32_t until,
		   struct backlog *backlog);

void variant_release(struct variant *variant);

#endif
