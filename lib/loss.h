/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loss.h - packets that were seen at one probe of a path, but not at the next (RFC 7680).
 *
 * A packet that was not seen because nobody was looking is not lost: it does not count as sent. Nor
 * does one that the probe would have left out because it samples.
 */
#ifndef VNT_LOSS_H
#define VNT_LOSS_H

#include "report.h"
#include "stats_private.h"

struct amount {
	uint64_t packets;
	uint64_t bytes;
};

struct passage {
	struct amount sent;
	struct amount received;
	double missed_to; /* events that the tracer itself may have missed at the end */
};

struct loss {
	const struct stats *stats;
	struct loss_report *rows;
	size_t count;
	size_t room;
	uint64_t complete; /* packets that were seen at all probes of their full path */
	uint64_t partial;
	struct map by_pair; /* both probes -> rows */
	/* Of the variant at hand: the probes of its full path, and which sighting is at each. */
	size_t length;
	uint16_t *probes;
	uint32_t *sightings;
	uint16_t *scratch;
};

/* One row for every two consecutive probes of the paths, in their order. 0 or -ENOMEM. */
int loss_open(struct loss *loss, const struct stats *stats, const struct path_report *paths,
	      size_t npaths);

/* Adds the packets of the flow to the rows. Returns the ratio of those that were lost between the first
 * probe of its full paths and the last one. */
double loss_flow(struct loss *loss, const struct flow *flow);

/* Computes the ratios and hands the rows over. */
void loss_take(struct loss *loss, struct report *report);
void loss_release(struct loss *loss);

#endif
