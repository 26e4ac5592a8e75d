// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "announced.h"
#include "lib/tunnel.h"

#define ROWS 1024  /* of a block */
#define SEEN 65536 /* direct-mapped; a collision only repeats a row */

/* A flow, and what it was before. */
struct alias {
	uint64_t flow;
	uint64_t before;
};

struct announced {
	struct flow_row flows[ROWS];
	size_t nflows;
	struct tunnel_row tunnels[ROWS];
	size_t ntunnels;
	struct translation_row translations[ROWS];
	size_t ntranslations;
	uint64_t seen[SEEN];
	struct alias aliases[SEEN]; /* the last one written of a flow */
};

int announced_open(struct announced **announced)
{
	*announced = calloc(1, sizeof(**announced));
	return *announced ? 0 : -ENOMEM;
}

/* Whether it was met lately; now it was. */
static bool seen_lately(struct announced *announced, uint64_t hash)
{
	uint64_t *seen = &announced->seen[hash % SEEN];
	bool known = *seen == hash;

	*seen = hash;
	return known;
}

static bool add_flow(struct announced *announced, const struct vnt_slot *slot)
{
	if (!seen_lately(announced, slot->flow_hash))
		announced->flows[announced->nflows++] =
			(struct flow_row){.hash = slot->flow_hash, .flow = slot->flow};
	return announced->nflows == ROWS;
}

static bool add_tunnel(struct announced *announced, const struct vnt_slot *slot)
{
	uint64_t hash = vnt_tunnel_hash(&slot->tunnel);

	if (!seen_lately(announced, hash))
		announced->tunnels[announced->ntunnels++] =
			(struct tunnel_row){.hash = hash, .tunnel = slot->tunnel};
	return announced->ntunnels == ROWS;
}

static bool add_translation(struct announced *announced, const struct vnt_slot *slot)
{
	const struct vnt_translation *translation = &slot->translation;

	announced->translations[announced->ntranslations++] = (struct translation_row){
		.time_ns = translation->time_ns,
		.flow = translation->flow,
		.before = translation->before,
		.probe = translation->probe,
	};
	return announced->ntranslations == ROWS;
}

bool announced_add(struct announced *announced, const struct vnt_slot *slot)
{
	switch (slot->kind) {
	case VNT_SLOT_FLOW:
		return add_flow(announced, slot);
	case VNT_SLOT_TUNNEL:
		return add_tunnel(announced, slot);
	default:
		return add_translation(announced, slot);
	}
}

static int compare_times(const void *left, const void *right)
{
	const struct translation_row *a = left, *b = right;

	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* In the order of time, which CPUs do not keep, those that say something new; returns how many. */
static size_t settle_translations(struct announced *announced)
{
	struct translation_row *rows = announced->translations;
	size_t kept = 0;

	qsort(rows, announced->ntranslations, sizeof(*rows), compare_times);
	for (size_t i = 0; i < announced->ntranslations; i++) {
		struct alias *alias = &announced->aliases[rows[i].flow % SEEN];

		if (alias->flow == rows[i].flow && alias->before == rows[i].before)
			continue;
		*alias = (struct alias){rows[i].flow, rows[i].before};
		rows[kept++] = rows[i];
	}
	return kept;
}

int announced_put(struct announced *announced, struct writer *writer)
{
	const struct batch batches[] = {
		{BATCH_FLOWS, announced->nflows, {announced->flows}},
		{BATCH_TUNNELS, announced->ntunnels, {announced->tunnels}},
		{BATCH_TRANSLATIONS, settle_translations(announced), {announced->translations}},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]) && !err; i++)
		if (batches[i].count)
			err = writer_put(writer, &batches[i]);
	announced->nflows = 0;
	announced->ntunnels = 0;
	announced->ntranslations = 0;
	return err;
}

void announced_close(struct announced *announced)
{
	free(announced);
}
