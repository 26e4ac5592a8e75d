// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "translations.h"

#define CHAIN_MAX 8  /* translations of a packet on its way */
#define REUSE_MAX 64 /* of one flow, that are looked at from the newest on: a file may lie */

static bool in_force(const struct translation *row, const struct trace_info *info, uint64_t time_ns,
		     uint16_t probe)
{
	int64_t bound_ns = TRANSLATION_LEAD_NS;

	if (row->time_ns <= time_ns)
		return true;
	if (row->time_ns - time_ns > TRANSLATION_LEAD_NS)
		return false;
	if (row->older != MAP_NONE)
		bound_ns = latency_bound(info, row->probe, probe);
	return bound_ns < 0 || row->time_ns - time_ns <= (uint64_t)bound_ns;
}

/* Or NULL. */
static const struct translation *find_row(const struct translations *translations,
					  const struct trace_info *info, uint64_t flow,
					  uint64_t time_ns, uint16_t probe)
{
	uint32_t index = map_find(&translations->by_hash, flow), at;

	if (index == MAP_NONE)
		return NULL;
	at = translations->flows[index].newest;
	for (int i = 0; i < REUSE_MAX && at != MAP_NONE; i++) {
		const struct translation *row = &translations->rows[at];

		if (in_force(row, info, time_ns, probe))
			return row;
		at = row->older;
	}
	return NULL;
}

uint64_t translations_origin(const struct translations *translations, const struct trace_info *info,
			     uint64_t flow, uint64_t time_ns, uint16_t probe)
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		const struct translation *row = find_row(translations, info, flow, time_ns, probe);

		if (!row)
			break;
		flow = row->before;
	}
	return flow;
}

static int find_flow(struct translations *translations, uint64_t hash,
		     struct translated_flow **flow)
{
	uint32_t index = map_find(&translations->by_hash, hash);
	int err = 0;

	if (index == MAP_NONE) {
		index = translations->nflows;
		err = array_reserve(&translations->flows, &translations->flows_room,
				    translations->nflows + 1, sizeof(**flow));
		if (!err)
			err = map_add(&translations->by_hash, hash, index);
		if (err)
			return err;
		translations->flows[translations->nflows++] =
			(struct translated_flow){.hash = hash, .newest = MAP_NONE};
	}
	*flow = &translations->flows[index];
	return 0;
}

/* Rows of different inputs may come a little out of order. */
static void insert(struct translations *translations, struct translated_flow *flow,
		   const struct translation_row *row)
{
	uint32_t *link = &flow->newest;

	for (int i = 0; i < REUSE_MAX && *link != MAP_NONE; i++) {
		struct translation *newer = &translations->rows[*link];

		if (newer->time_ns <= row->time_ns)
			break;
		link = &newer->older;
	}
	translations->rows[translations->count] = (struct translation){
		.time_ns = row->time_ns,
		.before = row->before,
		.probe = row->probe,
		.older = *link,
	};
	*link = translations->count++;
}

int translations_add(struct translations *translations, const struct trace_info *info,
		     const struct translation_row *row)
{
	struct translated_flow *flow;
	int err;

	if (translations_origin(translations, info, row->before, row->time_ns, row->probe) ==
	    row->flow)
		return 0;
	err = array_reserve(&translations->rows, &translations->room, translations->count + 1,
			    sizeof(*translations->rows));
	if (!err)
		err = find_flow(translations, row->flow, &flow);
	if (!err)
		insert(translations, flow, row);
	return err;
}

/* That packets of one flow were of another one for a while. */
struct alias {
	uint64_t origin;
	uint64_t flow;
	uint64_t time_ns;
};

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_by_flow(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;
	int order = compare(a->origin, b->origin);

	if (!order)
		order = compare(a->flow, b->flow);
	return order ? order : compare(a->time_ns, b->time_ns);
}

static int compare_by_time(const void *left, const void *right)
{
	const struct alias *a = left, *b = right;
	int order = compare(a->origin, b->origin);

	if (!order)
		order = compare(a->time_ns, b->time_ns);
	return order ? order : compare(a->flow, b->flow);
}

/* All of them, each once, by origin and the time of the first one; returns how many. */
static size_t list_aliases(const struct translations *translations, const struct trace_info *info,
			   struct alias *aliases)
{
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < translations->nflows; i++) {
		const struct translated_flow *flow = &translations->flows[i];
		const struct translation *row;

		for (uint32_t at = flow->newest; at != MAP_NONE; at = row->older) {
			row = &translations->rows[at];
			aliases[count++] = (struct alias){
				.origin = translations_origin(translations, info, row->before,
							      row->time_ns, row->probe),
				.flow = flow->hash,
				.time_ns = row->time_ns,
			};
		}
	}
	qsort(aliases, count, sizeof(*aliases), compare_by_flow);
	for (size_t i = 0; i < count; i++)
		if (!kept || aliases[kept - 1].origin != aliases[i].origin ||
		    aliases[kept - 1].flow != aliases[i].flow)
			aliases[kept++] = aliases[i];
	qsort(aliases, kept, sizeof(*aliases), compare_by_time);
	return kept;
}

static size_t find_first(const struct alias *aliases, size_t count, uint64_t origin)
{
	size_t begin = 0, end = count;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (aliases[middle].origin < origin)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

static int name_aliases(const struct alias *aliases, size_t count, const struct flows *flows,
			struct flow_report *row)
{
	size_t first = find_first(aliases, count, row->hash), end = first;

	while (end < count && aliases[end].origin == row->hash)
		end++;
	if (first == end)
		return 0;
	row->translated = calloc(end - first, sizeof(*row->translated));
	if (!row->translated)
		return -ENOMEM;
	for (size_t i = first; i < end; i++) {
		uint32_t index = map_find(&flows->by_hash, aliases[i].flow);

		if (index != MAP_NONE && flows->flows[index].known)
			row->translated[row->ntranslated++] = flows->flows[index].tuple;
	}
	return 0;
}

int translations_report(const struct translations *translations, const struct trace_info *info,
			const struct flows *flows, struct report *report)
{
	struct alias *aliases;
	size_t count;
	int err = 0;

	if (!translations->count)
		return 0;
	aliases = calloc(translations->count, sizeof(*aliases));
	if (!aliases)
		return -ENOMEM;
	count = list_aliases(translations, info, aliases);
	for (size_t i = 0; i < report->nflows && !err; i++)
		err = name_aliases(aliases, count, flows, &report->flows[i]);
	free(aliases);
	return err;
}

void translations_release(struct translations *translations)
{
	free(translations->rows);
	free(translations->flows);
	map_release(&translations->by_hash);
	*translations = (struct translations){0};
}
