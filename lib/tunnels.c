// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "tunnel.h"
#include "tunnels.h"

int tunnels_name(struct tunnels *tunnels, const struct tunnel_row *row)
{
	int err;

	if (map_find(&tunnels->by_hash, row->hash) != MAP_NONE)
		return 0;
	err = array_reserve(&tunnels->rows, &tunnels->rows_room, tunnels->nrows + 1,
			    sizeof(*tunnels->rows));
	if (!err)
		err = map_add(&tunnels->by_hash, row->hash, tunnels->nrows);
	if (err)
		return err;
	tunnels->rows[tunnels->nrows++] = *row;
	return 0;
}

int tunnels_count(struct tunnels *tunnels, uint16_t probe, uint64_t hash, uint64_t packets)
{
	uint64_t key = map_hash(map_hash(0, hash), probe);
	uint32_t index = tunnels->ncounts ? map_find(&tunnels->by_probe, key) : MAP_NONE;
	int err;

	if (index == MAP_NONE) {
		err = array_reserve(&tunnels->counts, &tunnels->counts_room, tunnels->ncounts + 1,
				    sizeof(*tunnels->counts));
		if (!err)
			err = map_add(&tunnels->by_probe, key, tunnels->ncounts);
		if (err)
			return err;
		index = tunnels->ncounts++;
		tunnels->counts[index] = (struct tunnel_count){.hash = hash, .probe = probe};
	}
	tunnels->counts[index].packets += packets;
	return 0;
}

static const struct tunnel_row *find_row(const struct tunnels *tunnels, uint64_t hash)
{
	uint32_t index = map_find(&tunnels->by_hash, hash);

	return index == MAP_NONE ? NULL : &tunnels->rows[index];
}

/* To `all`: what was counted, of each tunnel and of those around it. A file may lie about these. */
static int add_up(const struct tunnels *tunnels, struct tunnels *all)
{
	int err = 0;

	for (size_t i = 0; i < tunnels->ncounts && !err; i++) {
		const struct tunnel_count *count = &tunnels->counts[i];
		uint64_t hash = count->hash;

		for (int layer = 0; layer < VNT_LAYERS_MAX && hash && !err; layer++) {
			const struct tunnel_row *row = find_row(tunnels, hash);

			err = tunnels_count(all, count->probe, hash, count->packets);
			hash = row ? row->tunnel.outer : 0;
		}
	}
	return err;
}

static int compare(const void *left, const void *right)
{
	const struct tunnel_report *a = left, *b = right;

	if (a->probe != b->probe)
		return a->probe < b->probe ? -1 : 1;
	if (a->packets != b->packets)
		return a->packets > b->packets ? -1 : 1;
	return (a->hash > b->hash) - (a->hash < b->hash);
}

int tunnels_report(const struct tunnels *tunnels, struct report *report)
{
	struct tunnels all = {0};
	int err = add_up(tunnels, &all);

	report->tunnels = calloc(all.ncounts + 1, sizeof(*report->tunnels));
	if (!report->tunnels)
		err = -ENOMEM;
	for (size_t i = 0; i < all.ncounts && !err; i++) {
		const struct tunnel_row *row = find_row(tunnels, all.counts[i].hash);
		struct tunnel_report *out = &report->tunnels[report->ntunnels++];

		out->probe = all.counts[i].probe;
		out->packets = all.counts[i].packets;
		out->hash = all.counts[i].hash;
		if (row)
			out->tunnel = row->tunnel;
	}
	if (!err)
		qsort(report->tunnels, report->ntunnels, sizeof(*report->tunnels), compare);
	tunnels_release(&all);
	return err;
}

void tunnels_release(struct tunnels *tunnels)
{
	free(tunnels->rows);
	free(tunnels->counts);
	map_release(&tunnels->by_hash);
	map_release(&tunnels->by_probe);
	*tunnels = (struct tunnels){0};
}
