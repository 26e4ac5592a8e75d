/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * activity.h - which probes of a trace were observing, also where the trace does not say so.
 *
 * A recorder that was killed leaves no end epochs, and a damaged range hides all its probes for a
 * while. Without epochs for that, packets that nobody looked at would pass for lost.
 *
 * Damage may also hide that a probe's sampling rate changed. So one that samples is not known to
 * observe behind any damage before the trace says again that it does, and at which rate.
 */
#ifndef VNT_ACTIVITY_H
#define VNT_ACTIVITY_H

#include "trace.h"

enum activity_state {
	ACTIVITY_UNKNOWN, /* no epoch names it so far */
	ACTIVITY_ACTIVE,
	ACTIVITY_PAUSED, /* by a made-up epoch, until the trace says otherwise */
	ACTIVITY_ENDED,
};

struct pending {
	struct epoch_row epoch; /* of the probes that are active */
	bool sampling;          /* of those that sample, */
	bool others;            /* and of those that do not */
};

struct activity {
	enum activity_state *states; /* per probe, as the trace's epochs say */
	bool *sampling;              /* and whether it leaves out anything */
	size_t nprobes;
	struct epoch_row *rows;
	uint64_t last_ns; /* the latest time that the trace is known to cover */
	/* Epochs to make up, at most a pause and its end. */
	struct pending pending[2];
	size_t npending;
	bool ended;
};

int activity_open(struct activity *activity, size_t nprobes); /* 0 or -ENOMEM */

/* Follows the batches of the trace, in their order. */
void activity_note(struct activity *activity, const struct batch *batch);

/* There was damage before the batch that comes next, though no event is missing. */
void activity_gap(struct activity *activity);

/* Did all probes start and end? The recorder writes their ends last: nothing is missing behind. */
bool activity_complete(const struct activity *activity);

/* The trace ends here: probes that it left active end with it. */
void activity_end(struct activity *activity);

/* True, and epochs that the trace lacks in *batch; they come next in its order. The rows live until
 * the next call. */
bool activity_next(struct activity *activity, struct batch *batch);

void activity_release(struct activity *activity);

#endif
