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
	uint64_t *arrivals; /* of those that may still be overtaken, in order */
	size_t count;
	size_t room;
	uint64_t reordered;
};

/* The next packets, when each of them arrived and when the last one set out. 0 or -ENOMEM. */
int reorder_add(struct reorder *reorder, uint64_t sent_ns, const uint64_t *arrived_ns,
		size_t count);

void reorder_release(struct reorder *reorder);

#endif
