// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "clock.h"
#include "map.h"
#include "merge.h"
#include "merge_tables.h"

struct tables {
	struct trace_info *info;
	struct clock_rows *ranges;
	struct map recordings; /* hash of the recording -> input */
	struct map names;      /* hash of domain and name -> probe */
	uint32_t *numbers;     /* per probe: the last N given to a NAME~N of its name */
	struct merge_input *inputs;
	bool align_clocks;
	const struct clock_table *clocks; /* or NULL */
	log_fn log;
	void *log_context;
	char *reason;
};

int merge_check_ids(const struct merge_input *inputs, size_t count, char *reason)
{
	uint16_t id = reader_info(inputs[0].reader)->domains[0].id;

	for (size_t i = 0; i < count; i++) {
		const struct trace_info *info = reader_info(inputs[i].reader);

		for (size_t k = 0; k < info->ndomains; k++) {
			if (info->domains[k].id == id)
				continue;
			snprintf(
				reason, MERGE_REASON_MAX,
				"'%s' was recorded with --id %s, and '%s' was not: no packet would be in "
				"both",
				reader_name(inputs[id ? 0 : i].reader), "payload",
				reader_name(inputs[id ? i : 0].reader));
			return -EINVAL;
		}
	}
	return 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < size; i++)
		hash = map_hash(hash, byte[i]);
	return hash;
}

/* Is a recording of `input` also in one of the inputs before it? */
static int check_twice(struct tables *tables, size_t input)
{
	const struct trace_info *info = reader_info(tables->inputs[input].reader);

	for (size_t i = 0; i < info->nprobes; i++) {
		const uint8_t *recording = info->probes[i].recording;
		uint64_t key = hash_bytes(0, recording, sizeof(info->probes[i].recording));
		uint32_t before = map_find(&tables->recordings, key);

		if (before == input)
			continue;
		if (before == MAP_NONE) {
			if (map_add(&tables->recordings, key, input))
				return -ENOMEM;
			continue;
		}
		snprintf(tables->reason, MERGE_REASON_MAX,
			 "'%s' has a recording that is also in '%s'",
			 reader_name(tables->inputs[input].reader),
			 reader_name(tables->inputs[before].reader));
		return -EEXIST;
	}
	return 0;
}

/* Without a boot ID nothing shows that two of one name are one. */
static bool same_domain(const struct domain *a, const struct domain *b, const char *a_name)
{
	return strcmp(a_name, b->name) == 0 && *a->boot_id && strcmp(a->boot_id, b->boot_id) == 0 &&
	       a->timens_monotonic_ns == b->timens_monotonic_ns &&
	       a->timens_boottime_ns == b->timens_boottime_ns;
}

/* NAME~N in place of NAME, cut where it does not fit. */
static void number_name(char *to, size_t size, const char *name, unsigned int n)
{
	char suffix[16];
	int length = snprintf(suffix, sizeof(suffix), "~%u", n);

	snprintf(to, size, "%.*s%s", (int)(size - 1 - length), name, suffix);
}

static bool domain_name_taken(const struct trace_info *info, const char *name)
{
	for (size_t i = 0; i < info->ndomains; i++)
		if (strcmp(info->domains[i].name, name) == 0)
			return true;
	return false;
}

/* Index of the domain in the joined table, or -errno. */
static int join_domain(const struct tables *tables, const struct domain *domain,
		       const struct clock_fit *clock)
{
	struct trace_info *info = tables->info;
	struct domain joined = *domain;

	for (unsigned int n = 2;; n++) {
		for (size_t i = 0; i < info->ndomains; i++)
			if (same_domain(domain, &info->domains[i], joined.name))
				return i;
		if (!domain_name_taken(info, joined.name))
			break;
		number_name(joined.name, sizeof(joined.name), domain->name, n);
	}
	joined.clock = *clock;
	return trace_info_add_domain(info, &joined);
}

static uint64_t name_key(const struct probe *probe)
{
	return hash_bytes(probe->domain, probe->name, strlen(probe->name));
}

static int join_probe(struct tables *tables, const struct probe *probe, uint16_t domain,
		      uint32_t input)
{
	struct probe joined = *probe;
	uint32_t first;
	int index;

	joined.domain = domain;
	joined.input = input;
	first = map_find(&tables->names, name_key(&joined));
	while (first != MAP_NONE && map_find(&tables->names, name_key(&joined)) != MAP_NONE)
		number_name(joined.name, sizeof(joined.name), probe->name,
			    ++tables->numbers[first]);
	index = trace_info_add_probe(tables->info, &joined);
	if (index < 0)
		return index;
	if (map_add(&tables->names, name_key(&joined), index))
		return -ENOMEM;
	tables->numbers[index] = 1;
	return index;
}

static void log_clock(const struct tables *tables, const struct domain *domain)
{
	static const struct {
		const char *method;
		const char *meaning;
	} rows[] = {
		{"packets", "no clock readings: nothing bounds how wrong its times are"},
		{"realtime",
		 "clock taken from CLOCK_REALTIME, not from packets: times across domains are "
		 "as good as its synchronization"},
		{"none",
		 "its clock is not known: its times cannot be compared with other domains'"},
	};
	char line[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(domain->clock.method, rows[i].method) != 0 ||
		    domain->clock.bound_ns >= 0)
			continue;
		snprintf(line, sizeof(line), "domain '%s': %s", domain->name, rows[i].meaning);
		tables->log(tables->log_context, line);
	}
}

/* The domain that an input's times are of. */
static size_t find_reference(const struct trace_info *info)
{
	size_t i = 0;

	while (i + 1 < info->ndomains && !clock_is_exact(&info->domains[i].clock))
		i++;
	return i;
}

/* What the user says of the input's clock, or NULL; that of the first one is the reference. */
static const struct clock_row *find_row(const struct tables *tables,
					const struct merge_input *input)
{
	const struct trace_info *info = reader_info(input->reader);

	if (!tables->clocks || input == tables->inputs)
		return NULL;
	return clock_table_find(tables->clocks, info->domains[find_reference(info)].name);
}

static int take_row(struct merge_input *input, const struct clock_input *clock,
		    const struct clock_row *row, struct clock_fit *fits)
{
	const struct clock_fit reference = {.method = "reference"};
	__int128 time_ns = (__int128)row->at_ns - row->fit.offset_ns;

	clock_carry(clock, &row->fit, &reference, fits);
	return timeline_set(&input->timeline,
			    time_ns < 0            ? 0
			    : time_ns > UINT64_MAX ? UINT64_MAX
						   : (uint64_t)time_ns,
			    row->fit.offset_ns, row->fit.drift_ppm / 1e6);
}

/* Along with the one whose clock packets brought it to; a group of its own if that is not the reference. */
static int carry_clock(const struct tables *tables, struct merge_input *input,
		       const struct clock_input *clock, struct clock_fit *fits)
{
	const struct merge_input *root = &tables->inputs[input->estimate.root];
	size_t reference = find_reference(reader_info(root->reader));
	const struct clock_fit *fit = &tables->info->domains[root->domains[reference]].clock;
	int err = timeline_copy(&input->timeline, &input->estimate.timeline);

	if (err)
		return err;
	timeline_shift(&input->timeline, root->timeline.pieces[0].shift_ns);
	clock_carry(clock, &input->estimate.fit, fit, fits);
	return 0;
}

static int place_clock(const struct tables *tables, struct merge_input *input,
		       struct clock_fit *fits)
{
	const struct trace_info *info = reader_info(input->reader);
	const struct clock_input clock = {info->domains, info->ndomains, input->anchors};
	const struct clock_row *row = find_row(tables, input);

	if (!tables->align_clocks) {
		clock_leave(&clock, &reader_info(tables->inputs[0].reader)->domains[0], fits);
		return 0;
	}
	if (row)
		return take_row(input, &clock, row, fits);
	if (input->estimate.fitted)
		return carry_clock(tables, input, &clock, fits);
	return timeline_set(&input->timeline, 0,
			    clock_place(&clock, tables->info->domains, tables->info->ndomains,
					&tables->inputs[0].anchors[0], fits),
			    0);
}

/* What the estimate says of ranges of time, for a domain of the input: as it became the domain's clock, its
 * parts do. */
static int add_ranges(const struct tables *tables, const struct merge_input *input, uint16_t domain)
{
	const struct clock_estimate *estimate = &input->estimate;
	const struct clock_fit *clock = &tables->info->domains[domain].clock;
	struct clock_rows *ranges = tables->ranges;
	uint64_t shift_ns, offset_ns = (uint64_t)clock->offset_ns - estimate->fit.offset_ns;

	if (!estimate->nranges || clock->bound_ns < 0)
		return 0;
	if (array_reserve(&ranges->rows, &ranges->room, ranges->count + estimate->nranges,
			  sizeof(*ranges->rows)))
		return -ENOMEM;
	shift_ns = tables->inputs[estimate->root].timeline.pieces[0].shift_ns;
	for (size_t i = 0; i < estimate->nranges; i++) {
		struct range_row row = estimate->ranges[i];

		row.domain = domain;
		row.from_ns += shift_ns;
		row.to_ns += shift_ns;
		row.offset_ns = (int64_t)(row.offset_ns + offset_ns);
		row.bound_ns += clock->bound_ns - estimate->fit.bound_ns;
		ranges->rows[ranges->count++] = row;
	}
	return 0;
}

static int join_domains(const struct tables *tables, struct merge_input *input)
{
	const struct trace_info *info = reader_info(input->reader);
	struct clock_fit *fits = calloc(info->ndomains + 1, sizeof(*fits));
	int at = fits ? place_clock(tables, input, fits) : -ENOMEM;

	for (size_t i = 0; at >= 0 && i < info->ndomains; i++) {
		size_t before = tables->info->ndomains;

		at = join_domain(tables, &info->domains[i], &fits[i]);
		if (at < 0)
			break;
		input->domains[i] = at;
		if (!tables->align_clocks || tables->info->ndomains == before)
			continue;
		log_clock(tables, &tables->info->domains[at]);
		if (add_ranges(tables, input, at))
			at = -ENOMEM;
	}
	free(fits);
	return at < 0 ? at : 0;
}

static int join_input(struct tables *tables, size_t index)
{
	struct merge_input *input = &tables->inputs[index];
	const struct trace_info *info = reader_info(input->reader);
	int err = check_twice(tables, index);

	if (err)
		return err;
	input->domains = calloc(info->ndomains + 1, sizeof(*input->domains));
	input->probes = calloc(info->nprobes + 1, sizeof(*input->probes));
	if (!input->domains || !input->probes)
		return -ENOMEM;
	err = join_domains(tables, input);
	for (size_t i = 0; err >= 0 && i < info->nprobes; i++) {
		const struct probe *probe = &info->probes[i];

		err = join_probe(tables, probe, input->domains[probe->domain], index);
		input->probes[i] = err;
	}
	return err < 0 ? err : 0;
}

int merge_join_tables(struct trace_info *info, struct clock_rows *ranges,
		      struct merge_input *inputs, size_t count, bool align_clocks,
		      const struct clock_table *clocks, log_fn log, void *log_context, char *reason)
{
	struct tables tables = {
		.info = info,
		.ranges = ranges,
		.numbers = calloc(MAX_PROBES, sizeof(*tables.numbers)),
		.inputs = inputs,
		.align_clocks = align_clocks,
		.clocks = clocks,
		.log = log,
		.log_context = log_context,
		.reason = reason,
	};
	int err = tables.numbers ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < count; i++)
		err = join_input(&tables, i);
	if (err && err != -EEXIST)
		snprintf(reason, MERGE_REASON_MAX, "cannot join the tables of the inputs: %s",
			 strerror(-err));
	map_release(&tables.recordings);
	map_release(&tables.names);
	free(tables.numbers);
	return err;
}
