// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>

#include "array.h"
#include "clock.h"
#include "clock_curve.h"
#include "clock_estimate.h"
#include "clock_links.h"
#include "clock_ranges.h"
#include "clock_tsc.h"
#include "field.h"
#include "units.h"

/* What tells one packet from the others, and where it was when. */
#define FIELDS_WANTED                                                                 \
	(FIELD_BIT(FIELD_FLOW) | FIELD_BIT(FIELD_FLOW_INDEX) | FIELD_BIT(FIELD_KEY) | \
	 FIELD_BIT(FIELD_TIME) | FIELD_BIT(FIELD_PACKET) | FIELD_BIT(FIELD_PROBE))

/* One input. */
struct source {
	struct reader *reader;
	uint32_t clock;
	uint32_t probes; /* number of its first one */
	uint64_t first_ns;
	uint64_t last_ns; /* of its events; before the first there are none */
};

struct estimation {
	struct source *sources;
	size_t nsources;
	size_t *first_source; /* per clock */
	size_t nclocks;
	struct clock_probe *probes;
	size_t nprobes;
	struct raw_clock *clocks;
	struct clock_vms *vms; /* per clock */
	struct clock_sample sample;
	struct clock_points points;
	struct clock_graph graph;
};

/* The domain that agrees exactly with the times of its input. */
static const struct domain *reference_of(const struct trace_info *info)
{
	for (size_t i = 0; i < info->ndomains; i++)
		if (clock_is_exact(&info->domains[i].clock))
			return &info->domains[i];
	return NULL;
}

/* The number of the clock of each input; returns how many there are. */
static size_t number_clocks(struct source *sources, size_t count, size_t *first_source)
{
	size_t clocks = 0;

	for (size_t i = 0; i < count; i++) {
		const struct domain *domain = reference_of(reader_info(sources[i].reader));

		sources[i].clock = domain ? clocks : CLOCK_NONE;
		for (size_t k = 0; domain && k < clocks; k++) {
			const struct source *other = &sources[first_source[k]];

			if (clock_same_boot(domain->boot_id,
					    reference_of(reader_info(other->reader))->boot_id))
				sources[i].clock = k;
		}
		if (sources[i].clock == clocks)
			first_source[clocks++] = i;
	}
	return clocks;
}

static int open_sources(struct estimation *self, struct reader *const *readers, size_t count)
{
	self->nsources = count;
	self->sources = calloc(count, sizeof(*self->sources));
	self->first_source = calloc(count, sizeof(*self->first_source));
	if (!self->sources || !self->first_source)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		self->sources[i].reader = readers[i];
		self->sources[i].probes = self->nprobes;
		self->nprobes += reader_info(readers[i])->nprobes;
	}
	self->nclocks = number_clocks(self->sources, count, self->first_source);
	self->clocks = calloc(self->nclocks + 1, sizeof(*self->clocks));
	self->vms = calloc(self->nclocks + 1, sizeof(*self->vms));
	self->probes = calloc(self->nprobes + 1, sizeof(*self->probes));
	self->sample.room_max = CLOCK_SAMPLE_MAX;
	self->sample.flow_mask = trace_flow_mask(reader_info(readers[0]));
	return self->clocks && self->vms && self->probes ? 0 : -ENOMEM;
}

/* The device in "DEVICE:rx", "DEVICE:tx" and "DEVICE:rx~2" of a merge: its length; 0 for other names. */
static size_t device_length(const char *name, bool *tx)
{
	size_t length = strcspn(name, "~");

	if (length < 3 ||
	    (memcmp(name + length - 3, ":rx", 3) && memcmp(name + length - 3, ":tx", 3)))
		return 0;
	*tx = name[length - 2] == 't';
	return length - 3;
}

/* Only probes of known direction count, of domains that agree exactly with their input. */
static int place_probes(struct estimation *self, const struct source *source, struct map *ports)
{
	const struct trace_info *info = reader_info(source->reader);

	for (size_t i = 0; i < info->nprobes; i++) {
		const struct probe *probe = &info->probes[i];
		const struct domain *domain = &info->domains[probe->domain];
		struct clock_probe *place = &self->probes[source->probes + i];
		size_t length = device_length(probe->name, &place->tx);
		uint64_t key = map_hash(map_hash(1, source->clock), probe->netns);

		place->clock = CLOCK_NONE;
		if (!length || source->clock == CLOCK_NONE || !clock_is_exact(&domain->clock))
			continue;
		place->clock = source->clock;
		for (size_t k = 0; k < length; k++)
			key = map_hash(key, (uint8_t)probe->name[k]);
		place->port = map_find(ports, key);
		if (place->port != MAP_NONE)
			continue;
		place->port = source->probes + i;
		if (map_add(ports, key, place->port))
			return -ENOMEM;
	}
	return 0;
}

static int take_events(struct estimation *self, struct source *source, const struct batch *batch)
{
	int err = 0;

	if (source->first_ns > source->last_ns)
		source->first_ns = batch->events[0].time_ns;
	source->last_ns = batch->events[batch->count - 1].time_ns;
	for (size_t i = 0; i < batch->count && !err; i++) {
		uint32_t probe = source->probes + batch->events[i].probe;

		if (self->probes[probe].clock != CLOCK_NONE)
			err = clock_sample_add(&self->sample, probe, &batch->events[i]);
	}
	return err;
}

static int take_anchors(struct estimation *self, const struct source *source,
			const struct batch *batch)
{
	const struct trace_info *info = reader_info(source->reader);
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++)
		if (source->clock != CLOCK_NONE &&
		    clock_is_exact(&info->domains[batch->anchors[i].domain].clock))
			err = raw_clock_note(&self->clocks[source->clock], &batch->anchors[i]);
	return err;
}

/* Counters that the host's kernel does not go by may stop, or not be the same on all CPUs. */
static int take_vms(struct estimation *self, const struct source *source, const struct batch *batch)
{
	const struct trace_info *info = reader_info(source->reader);
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++) {
		const struct domain *domain = &info->domains[batch->vms[i].domain];

		if (source->clock != CLOCK_NONE && clock_is_exact(&domain->clock) &&
		    strcmp(domain->clock_source, "tsc") == 0)
			err = clock_vms_note(&self->vms[source->clock], &batch->vms[i]);
	}
	return err;
}

static int read_source(struct estimation *self, struct source *source)
{
	struct batch batch;
	int err = reader_mark(source->reader);

	reader_want(source->reader, FIELDS_WANTED);
	source->first_ns = 1; /* and last_ns 0: none yet */
	while (!err && (err = reader_next(source->reader, &batch)) > 0) {
		err = 0;
		if (batch.type == BATCH_EVENTS)
			err = take_events(self, source, &batch);
		else if (batch.type == BATCH_ANCHORS)
			err = take_anchors(self, source, &batch);
		else if (batch.type == BATCH_VMS)
			err = take_vms(self, source, &batch);
	}
	return err ? err : reader_rewind(source->reader);
}

static int read_sources(struct estimation *self, size_t *failed)
{
	struct map ports = {0};
	int err = 0;

	for (size_t i = 0; i < self->nsources && !err; i++)
		err = place_probes(self, &self->sources[i], &ports);
	map_release(&ports);
	for (size_t i = 0; i < self->nsources && !err; i++) {
		*failed = i;
		err = read_source(self, &self->sources[i]);
	}
	return err;
}

static int64_t raw_time(const struct raw_clock *clock, uint64_t mono_ns)
{
	uint64_t raw_ns = raw_clock_convert(clock, mono_ns).raw_ns;

	return raw_ns < RAW_TIME_MAX ? (int64_t)raw_ns : RAW_TIME_MAX;
}

static int make_nodes(struct estimation *self)
{
	struct clock_graph *graph = &self->graph;

	graph->nodes = calloc(self->nclocks + 1, sizeof(*graph->nodes));
	if (!graph->nodes)
		return -ENOMEM;
	graph->nnodes = self->nclocks;
	for (size_t i = 0; i < self->nclocks; i++) {
		const struct source *source = &self->sources[self->first_source[i]];

		graph->nodes[i] = (struct clock_node){
			.name = reference_of(reader_info(source->reader))->name,
			.first = RAW_TIME_MAX,
			.clock = &self->clocks[i],
			.vms = &self->vms[i],
		};
	}
	for (size_t i = 0; i < self->nsources; i++) {
		const struct source *source = &self->sources[i];
		struct clock_node *node = &graph->nodes[source->clock];
		int64_t first, last;

		if (source->clock == CLOCK_NONE || source->first_ns > source->last_ns)
			continue;
		first = raw_time(&self->clocks[source->clock], source->first_ns);
		last = raw_time(&self->clocks[source->clock], source->last_ns);
		node->first = first < node->first ? first : node->first;
		node->last = last > node->last ? last : node->last;
	}
	for (size_t i = 0; i < self->nclocks; i++)
		if (graph->nodes[i].first > graph->nodes[i].last)
			graph->nodes[i].first = graph->nodes[i].last;
	return 0;
}

/* Clocks that packets connect, but not with the first one. */
static void say_groups(const struct estimation *self)
{
	const struct clock_graph *graph = &self->graph;
	char line[320];

	for (size_t i = 0; i < graph->nnodes; i++) {
		const struct clock_node *node = &graph->nodes[i];

		if (!node->root || node->root == i)
			continue;
		snprintf(line, sizeof(line),
			 "domain '%.60s': packets connect it with '%.60s', but not with '%.60s': "
			 "a group of its own",
			 node->name, graph->nodes[node->root].name, graph->nodes[0].name);
		graph->log(graph->log_context, line);
	}
}

/* A group without the first clock is placed by the first readings of CLOCK_REALTIME of both. */
static void say_jumps(const struct estimation *self)
{
	const struct clock_graph *graph = &self->graph;
	size_t groups = 0, jumps;
	char line[256], text[UNITS_MAX];
	int64_t largest_ns;

	for (size_t i = 0; i < graph->nnodes; i++)
		groups += graph->nodes[i].root == i;
	for (size_t i = 0; i < graph->nnodes && groups > 1; i++) {
		jumps = raw_clock_jumps(&self->clocks[i], &largest_ns);
		if (graph->nodes[i].root != i || !jumps)
			continue;
		snprintf(
			line, sizeof(line),
			"domain '%.60s': CLOCK_REALTIME jumped %zu time%s, by %s at most: taken as it "
			"was before",
			graph->nodes[i].name, jumps, jumps > 1 ? "s" : "",
			units_duration(text, largest_ns));
		graph->log(graph->log_context, line);
	}
}

static int solve(struct estimation *self)
{
	int err;

	for (size_t i = 0; i < self->nclocks; i++) {
		raw_clock_settle(&self->clocks[i]);
		clock_vms_settle(&self->vms[i]);
	}
	err = make_nodes(self);
	if (!err)
		err = clock_match(&self->sample, self->probes, self->clocks, &self->points);
	clock_sample_release(&self->sample);
	if (!err)
		err = clock_links_pairs(&self->points, &self->graph);
	if (!err)
		err = clock_graph_solve(&self->graph);
	if (!err) {
		say_groups(self);
		say_jumps(self);
	}
	return err;
}

static void estimation_release(struct estimation *self)
{
	for (size_t i = 0; i < self->nclocks && self->clocks; i++)
		raw_clock_release(&self->clocks[i]);
	for (size_t i = 0; i < self->nclocks && self->vms; i++)
		clock_vms_release(&self->vms[i]);
	clock_points_release(&self->points);
	clock_graph_release(&self->graph);
	clock_sample_release(&self->sample);
	free(self->sources);
	free(self->first_source);
	free(self->probes);
	free(self->clocks);
	free(self->vms);
}

static void fill_fit(const struct clock_node *node, const struct source *source,
		     struct clock_estimate *estimate)
{
	struct clock_fit *fit = &estimate->fit;
	uint64_t first = source->first_ns, last = source->last_ns;
	size_t near = 0;

	*fit = (struct clock_fit){
		.method = "packets", .bound_ns = CLOCK_UNBOUNDED, .rejected = node->rejected};
	fit->scatter_ns = llround(node->scatter_ns);
	if (node->bound_ns >= 0 && node->bound_ns < CLOCK_BOUND_MAX_NS)
		fit->bound_ns = (int64_t)ceil(node->bound_ns);
	if (first > last)
		first = last = 0;
	fit->offset_ns = (int64_t)(timeline_map(&estimate->timeline, &near, first) - first);
	if (last > first)
		fit->drift_ppm =
			(double)((int64_t)(timeline_map(&estimate->timeline, &near, last) - last) -
				 fit->offset_ns) /
			(double)(last - first) * 1e6;
}

static int take_estimates(const struct estimation *self, struct clock_estimate *estimates)
{
	int err = 0;

	for (size_t i = 0; i < self->nsources && !err; i++) {
		const struct source *source = &self->sources[i];
		uint32_t clock = source->clock;
		const struct clock_node *node = &self->graph.nodes[clock];

		if (clock == CLOCK_NONE || node->root == clock)
			continue;
		err = clock_curve(&self->graph, clock, &estimates[i].timeline);
		estimates[i].fitted = !err;
		estimates[i].root = self->first_source[node->root];
		fill_fit(node, source, &estimates[i]);
		if (node->machine == self->graph.nodes[node->root].machine)
			memcpy(estimates[i].fit.method, "tsc", sizeof("tsc"));
		if (!err)
			err = clock_ranges(&self->graph, clock, &estimates[i].ranges,
					   &estimates[i].nranges);
	}
	return err;
}

int clock_estimate(struct reader *const *readers, size_t count, struct clock_estimate *estimates,
		   log_fn log, void *log_context, size_t *failed)
{
	struct estimation self = {.graph = {.log = log, .log_context = log_context}};
	int err = open_sources(&self, readers, count);

	*failed = 0;
	if (!err && self.nclocks > 1) {
		err = read_sources(&self, failed);
		if (!err)
			err = solve(&self);
		if (!err)
			err = take_estimates(&self, estimates);
	}
	estimation_release(&self);
	return err;
}

void clock_estimate_release(struct clock_estimate *estimate)
{
	timeline_release(&estimate->timeline);
	free(estimate->ranges);
}
