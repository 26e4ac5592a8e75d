/* SPDX-License-Identifier: GPL-2.0-only */
/* tunnels.h - how many packets each probe saw in which tunnel. */
#ifndef VNT_TUNNELS_H
#define VNT_TUNNELS_H

#include "map.h"
#include "report.h"

struct tunnel_count {
	uint64_t hash;
	uint64_t packets;
	uint16_t probe;
};

/* All zero holds none. */
struct tunnels {
	struct tunnel_row *rows;
	size_t nrows;
	size_t rows_room;
	struct tunnel_count *counts;
	size_t ncounts;
	size_t counts_room;
	struct map by_hash;  /* -> rows */
	struct map by_probe; /* hash of probe and tunnel -> counts */
};

int tunnels_name(struct tunnels *tunnels, const struct tunnel_row *row); /* 0 or -ENOMEM */

/* So many more packets in the tunnel of that hash, which is not 0. 0 or -ENOMEM. */
int tunnels_count(struct tunnels *tunnels, uint16_t probe, uint64_t hash, uint64_t packets);

/* A packet in a tunnel within others is one of theirs too. 0 or -ENOMEM. */
int tunnels_report(const struct tunnels *tunnels, struct report *report);
void tunnels_release(struct tunnels *tunnels);

#endif
