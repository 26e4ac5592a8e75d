/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * epochs.h - when which probe was observing packets.
 *
 * Starts and ends come in time order and cut time into numbered segments; an instant is remembered
 * as the number of its segment, so that the question "was that probe observing then?" may be asked
 * later, about any probe. A probe that no epoch names observes from its domain's first event on.
 */
#ifndef VNT_EPOCHS_H
#define VNT_EPOCHS_H

#include "trace.h"

struct epochs;

int epochs_open(struct epochs **epochs, const struct trace_info *info); /* 0 or -ENOMEM */
int epochs_probe(struct epochs *epochs, const struct epoch_row *row);
int epochs_domain(struct epochs *epochs, uint16_t domain, uint64_t time_ns); /* its first event */

/* How many of the starts and ends known by now are before `time_ns`, or at it. */
uint32_t epochs_until(const struct epochs *epochs, uint64_t time_ns);

/* The segment of an instant, as long as no more starts and ends come. */
struct segment {
	uint64_t begin_ns;
	uint64_t last_ns;
	uint32_t until; /* epochs_until() of all of it */
};

struct segment epochs_segment(const struct epochs *epochs, uint64_t time_ns);

bool epochs_same(const struct epochs *epochs, uint32_t until,
		 uint64_t time_ns); /* are they so many? */

/*
 * Was the probe observing at a time before which `from` starts and ends lie, and did it not end
 * among those up to number `until`?
 */
bool epochs_observed(const struct epochs *epochs, uint16_t probe, uint32_t from, uint32_t until);
void epochs_close(struct epochs *epochs); /* accepts NULL */

#endif
