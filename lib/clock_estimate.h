/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_estimate.h - the clocks of several inputs, from the packets that more than one of them saw.
 *
 * Reads every input once and rewinds it. Inputs recorded under one kernel have one clock. What has no
 * clock in common with another input, not even over others, is left to clock_place().
 */
#ifndef VNT_CLOCK_ESTIMATE_H
#define VNT_CLOCK_ESTIMATE_H

#include "reader.h"
#include "timeline.h"

/* What is found of one input. */
struct clock_estimate {
	bool fitted; /* what follows is set */
	size_t root; /* the input, an earlier one, whose clock this one was brought to */
	struct timeline timeline; /* CLOCK_MONOTONIC to that of the root */
	struct clock_fit fit;     /* of the input's own reference */
	struct range_row *ranges; /* of it, in times of the root; or NULL */
	size_t nranges;
};

/* Reads nothing if there is only one clock. Fills `estimates`, `count` of them and all zero, also in part on
 * error; release each with clock_estimate_release(). 0, -ENOMEM, or -errno of reading, then *failed is the input. */
int clock_estimate(struct reader *const *readers, size_t count, struct clock_estimate *estimates,
		   log_fn log, void *log_context, size_t *failed);
void clock_estimate_release(struct clock_estimate *estimate);

#endif
