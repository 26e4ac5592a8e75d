/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_tsc.h - the clocks of a machine and of its KVM guests, from their time stamp counters.
 *
 * A host says how the counters of its virtual machines follow from its own (struct vm_row). So each clock
 * reading of a guest has its place between two of the host, as exactly as both were read. Which machine a
 * guest is, nobody says: it is the only one whose counter agrees, at every reading, with what packets
 * prove of the two clocks (clock_pair.h). Machines differ by when they were started, packets by
 * microseconds; where several agree none is taken.
 *
 * A counter counts as said between two readings of the host that say the same.
 */
#ifndef VNT_CLOCK_TSC_H
#define VNT_CLOCK_TSC_H

#include "clock_graph.h"

/* What one clock's domain says of its virtual machines; all zero says nothing. */
struct clock_vms {
	struct vm_row *rows; /* once settled in order of machine and of time */
	size_t count;
	size_t room;
};

int clock_vms_note(struct clock_vms *vms, const struct vm_row *row); /* 0 or -ENOMEM */
void clock_vms_settle(struct clock_vms *vms);
void clock_vms_release(struct clock_vms *vms);

/* Fits a pair again if either of its clocks is that of a guest of the other; the pair was fitted to
 * these points, in order of x. 0 or -ENOMEM. */
int clock_tsc_refine(const struct clock_graph *graph, struct clock_pair *pair,
		     const struct clock_point *points, size_t count);

#endif
