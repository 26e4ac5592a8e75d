/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * reorder.h - packets that one which set out later overtook (RFC 4737, 3).
 *
 * Packets are given in the order in which they set out. Kept are the arrivals of those that may still be
 * overtaken: as many as are under way at a time.
 */
#ifndef VNT_REORDER_H
#define VNT_REORDER_H

#include <stddef.h>
#include <stdint.h>

/* All zero has seen nothing. */
struct reorder {
	uint64_t latest_ns; /* arrival, of those that may still be overtaken */
	uint32_t front;
	uint32_t count;
	uint64_t *arrivals; /* [front, count): the others, in order */
	size_t room;
	uint64_t reordered;
};

int reorder_add_overlapping(struct reorder *reorder, uint64_t sent_ns, uint64_t arrived_ns);

/* 0 or -ENOMEM. */
static inline int reorder_add(struct reorder *reorder, uint64_t sent_ns, uint64_t arrived_ns)
{
	if (reorder->latest_ns > sent_ns)
		return reorder_add_overlapping(reorder, sent_ns, arrived_ns);
	reorder->latest_ns = arrived_ns; /* nothing arrives before it sets out */
	reorder->front = reorder->count = 0;
	return 0;
}

void reorder_release(struct reorder *reorder);

#endif
