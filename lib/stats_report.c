// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "loss.h"
#include "stats.h"
#include "stats_private.h"

#define WATCH 4096 /* variants between two calls of the watch */

/* Full variants of all flows, summed over those of one path. */
struct path_sum {
	uint32_t path;
	uint64_t packets;
	struct tracks tracks;
};

struct path_sums {
	struct path_sum *sums;
	size_t count;
	size_t room;
	struct map by_path;
};

static double per_second(double amount, uint64_t first_ns, uint64_t last_ns)
{
	return last_ns > first_ns ? amount * 1e9 / (double)(last_ns - first_ns) : 0;
}

static int report_domains(const struct stats *stats, struct report *report)
{
	const struct trace_info *info = stats->info;

	report->domains = calloc(info->ndomains + 1, sizeof(*report->domains));
	if (!report->domains)
		return -ENOMEM;
	report->ndomains = info->ndomains;
	for (size_t i = 0; i < info->ndomains; i++) {
		report->domains[i].domain = &info->domains[i];
		report->domains[i].lost = stats->domains[i].missed;
		report->domains[i].sampled_out = stats->domains[i].sampled_out;
	}
	for (size_t i = 0; i < info->nprobes; i++) {
		const struct probe_count *probe = &stats->probes[i];
		struct domain_report *row = &report->domains[info->probes[i].domain];

		if (!probe->events)
			continue;
		if (!row->events || probe->first_ns < row->first_ns)
			row->first_ns = probe->first_ns;
		if (probe->last_ns > row->last_ns)
			row->last_ns = probe->last_ns;
		row->events += probe->events;
	}
	return 0;
}

static int report_ranges(const struct stats *stats, struct report *report)
{
	size_t count = stats->ranges.count;

	report->ranges = calloc(count + 1, sizeof(*report->ranges));
	if (!report->ranges)
		return -ENOMEM;
	if (count)
		memcpy(report->ranges, stats->ranges.rows, count * sizeof(*report->ranges));
	report->nranges = count;
	return 0;
}

/* Rates are over the time in which anything was seen or sampled out. */
static void report_probe_rates(const struct probe_count *probe, struct probe_report *row)
{
	uint64_t first_ns = probe->first_ns, last_ns = probe->last_ns;
	double unseen = (double)probe->sampled_out;

	/* Events that were sampled out are to packets as those that are there. */
	if (probe->events)
		unseen *= (double)row->packets / (double)probe->events;
	if (probe->sampled_out && (!probe->events || probe->sampled_first_ns < first_ns))
		first_ns = probe->sampled_first_ns;
	if (probe->sampled_last_ns > last_ns)
		last_ns = probe->sampled_last_ns;
	row->throughput_bps = per_second(8.0 * (double)row->bytes, first_ns, last_ns);
	row->packet_rate = per_second((double)row->packets + unseen, first_ns, last_ns);
}

/* Packets that were counted for the paths that they went. */
static void report_repeats(const struct paths *paths, struct probe_report *probes)
{
	const struct path *path = paths->paths;

	for (uint32_t i = 0; i < paths->count; i++)
		for (uint32_t k = i; path[i].packets && k != PATH_EMPTY; k = path[k].parent)
			probes[path[k].probe].packets += path[i].packets;
}

static int report_probes(const struct stats *stats, struct report *report)
{
	const struct trace_info *info = stats->info;

	report->probes = calloc(info->nprobes + 1, sizeof(*report->probes));
	if (!report->probes)
		return -ENOMEM;
	report->nprobes = info->nprobes;
	report_repeats(&stats->flows.paths, report->probes);
	for (size_t i = 0; i < info->nprobes; i++) {
		const struct probe_count *probe = &stats->probes[i];

		report->probes[i] = (struct probe_report){
			.name = stats->names[i],
			.domain = info->probes[i].domain,
			.events = probe->events,
			.packets = stats->passed[i].packets + report->probes[i].packets,
			.bytes = probe->bytes + probe->sampled_out_bytes,
			.lost = probe->missed,
			.sampled_out = probe->sampled_out,
		};
		report_probe_rates(probe, &report->probes[i]);
	}
	return 0;
}

static int compare_cpus(const void *left, const void *right)
{
	const struct cpu_report *a = left, *b = right;

	return a->probe != b->probe ? a->probe - b->probe : a->cpu - b->cpu;
}

static int report_cpus(const struct stats *stats, struct report *report)
{
	report->cpus = calloc(stats->ncpus + 1, sizeof(*report->cpus));
	if (!report->cpus)
		return -ENOMEM;
	report->ncpus = stats->ncpus;
	for (size_t i = 0; i < stats->ncpus; i++)
		report->cpus[i] = stats->cpus[i];
	qsort(report->cpus, report->ncpus, sizeof(*report->cpus), compare_cpus);
	return 0;
}

static int compare_programs(const void *left, const void *right)
{
	const struct program_report *a = left, *b = right;

	if (a->domain != b->domain)
		return a->domain - b->domain;
	return (a->program > b->program) - (a->program < b->program);
}

/* One row for each program of a domain, over all its recordings. */
static int report_programs(const struct stats *stats, struct report *report)
{
	struct program_report *rows = calloc(stats->ncosts + 1, sizeof(*rows));
	size_t count = 0, kept = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < stats->ncosts; i++) {
		const struct cost_row *cost = &stats->costs[i];

		if (cost->program != PROGRAM_ALL && cost->runs)
			rows[count++] = (struct program_report){cost->domain, cost->program,
								cost->runs, cost->run_ns};
	}
	qsort(rows, count, sizeof(*rows), compare_programs);
	for (size_t i = 0; i < count; i++) {
		if (kept && !compare_programs(&rows[kept - 1], &rows[i])) {
			rows[kept - 1].runs += rows[i].runs;
			rows[kept - 1].run_ns += rows[i].run_ns;
		} else {
			rows[kept++] = rows[i];
		}
	}
	report->programs = rows;
	report->nprograms = kept;
	return 0;
}

static void report_overhead(const struct stats *stats, struct report *report)
{
	double run_ns = 0, cpu_ns = 0;

	for (size_t i = 0; i < stats->ncosts; i++) {
		const struct cost_row *cost = &stats->costs[i];

		if (cost->program != PROGRAM_ALL)
			continue;
		report->overhead_events += cost->events;
		run_ns += (double)cost->run_ns;
		cpu_ns += (double)cost->tracer_cpu_ns;
	}
	report->run_ns_per_event =
		report->overhead_events ? run_ns / (double)report->overhead_events : 0;
	report->tracer_cpu_seconds = cpu_ns / 1e9;
}

/* The path's sum, begun if it is new; NULL if there is no memory. */
static struct path_sum *sums_find(struct path_sums *sums, uint32_t path, uint32_t nhops)
{
	uint32_t index = map_find(&sums->by_path, path);

	if (index != MAP_NONE)
		return &sums->sums[index];
	if (array_reserve(&sums->sums, &sums->room, sums->count + 1, sizeof(*sums->sums)) ||
	    map_add(&sums->by_path, path, sums->count))
		return NULL;
	sums->sums[sums->count] = (struct path_sum){.path = path, .tracks.nhops = nhops};
	return &sums->sums[sums->count++];
}

/* May take memory: what the variant keeps as rows becomes histograms. */
static int sums_add(struct path_sums *sums, struct variant *variant)
{
	struct path_sum *sum = sums_find(sums, variant->path, variant->tracks.nhops);

	if (!sum)
		return -ENOMEM;
	sum->packets += variant->count;
	return sum->tracks.nhops ? tracks_merge(&sum->tracks, &variant->tracks) : 0;
}

static void sums_release(struct path_sums *sums)
{
	for (size_t i = 0; i < sums->count; i++)
		tracks_release(&sums->sums[i].tracks);
	free(sums->sums);
	map_release(&sums->by_path);
}

static int64_t report_bound(const struct stats *stats, const struct path_report *path,
			    const struct tracks *tracks, uint32_t first, uint32_t last)
{
	return ranges_bound(&stats->ranges, stats->info,
			    tracks_place(tracks, first, path->probes[first]),
			    tracks_place(tracks, last, path->probes[last]));
}

/* Means are differences of rounded sums of the hops so far: so they add up. */
static void report_hops(const struct stats *stats, struct path_report *path,
			const struct tracks *all)
{
	const struct trace_info *info = stats->info;
	struct track *tracks = all->settled->tracks;
	size_t nhops = path->nprobes - 1;
	__int128 total = tracks[nhops].hist.sum, sum = 0;
	int64_t mean = 0;

	path->reordered = all->settled->reorder.reordered;
	track_latency(&tracks[nhops], &path->end_to_end);
	path->end_to_end.bound_ns = report_bound(stats, path, all, 0, nhops);
	for (size_t i = 0; i < nhops; i++) {
		struct hop_report *hop = &path->hops[i];

		hop->from = path->probes[i];
		hop->to = path->probes[i + 1];
		hop->cross_domain = info->probes[hop->from].domain != info->probes[hop->to].domain;
		hop->share = total ? (double)tracks[i].hist.sum / (double)total : 0;
		track_latency(&tracks[i], &hop->latency);
		hop->latency.bound_ns = report_bound(stats, path, all, i, i + 1);
		sum += tracks[i].hist.sum;
		hop->latency.mean_ns = hist_mean(sum, path->packets) - mean;
		mean += hop->latency.mean_ns;
	}
}

static int report_path(const struct stats *stats, const struct path_sum *sum,
		       struct path_report *path)
{
	path->nprobes = stats->flows.paths.paths[sum->path].length;
	path->packets = sum->packets;
	path->probes = calloc(path->nprobes, sizeof(*path->probes));
	path->hops = calloc(path->nprobes, sizeof(*path->hops));
	if (!path->probes || !path->hops)
		return -ENOMEM;
	paths_probes(&stats->flows.paths, sum->path, path->probes);
	if (sum->tracks.nhops)
		report_hops(stats, path, &sum->tracks);
	return 0;
}

static int compare_paths(const void *left, const void *right)
{
	const struct path_report *a = left, *b = right;

	if (a->packets != b->packets)
		return a->packets > b->packets ? -1 : 1;
	for (size_t i = 0; i < a->nprobes && i < b->nprobes; i++) {
		if (a->probes[i] != b->probes[i])
			return a->probes[i] - b->probes[i];
	}
	return (a->nprobes > b->nprobes) - (a->nprobes < b->nprobes);
}

static int report_paths(const struct stats *stats, struct report *report)
{
	struct path_sums sums = {0};
	int err = 0;

	report->observed = stats->observed;
	report->ambiguous = stats->ambiguous + stats->flows.ambiguous;
	report->copies = stats->flows.copies;
	for (size_t i = 0; i < stats->flows.nvariants && !err; i++) {
		struct variant *variant = &stats->flows.variants[i];

		if (variant->full)
			err = sums_add(&sums, variant);
		if (!err && stats->watch && i % WATCH == 0)
			err = stats->watch(stats->watch_context);
	}
	report->paths = calloc(sums.count + 1, sizeof(*report->paths));
	if (!report->paths)
		err = -ENOMEM;
	while (report->npaths < sums.count && !err) {
		err = report_path(stats, &sums.sums[report->npaths],
				  &report->paths[report->npaths]);
		report->npaths++;
	}
	sums_release(&sums);
	if (!err)
		qsort(report->paths, report->npaths, sizeof(*report->paths), compare_paths);
	return err;
}

/* End to end on the path that most of the flow's packets went, of those that have hops. */
static int report_flow_latency(const struct stats *stats, const struct flow *flow,
			       struct latency *latency)
{
	const struct path *paths = stats->flows.paths.paths;
	const struct variant *most = NULL;
	uint32_t first;
	int err;

	for (uint32_t i = flow->variants; i != NO_VARIANT; i = stats->flows.variants[i].next) {
		const struct variant *variant = &stats->flows.variants[i];

		if (variant->full && variant->tracks.nhops &&
		    (!most || variant->count >= most->count))
			most = variant;
	}
	if (!most)
		return 0;
	for (first = most->path; paths[first].parent != PATH_EMPTY;)
		first = paths[first].parent;
	err = tracks_latency(&most->tracks, latency);
	latency->bound_ns = ranges_bound(
		&stats->ranges, stats->info, tracks_place(&most->tracks, 0, paths[first].probe),
		tracks_place(&most->tracks, most->tracks.nhops, paths[most->path].probe));
	return err;
}

/*
 * From the flow's first packet to its last one. A sample begins and ends within: on average as many
 * units were left out before its first one, and behind its last one, as each of them stands for.
 */
static double flow_span_ns(const struct flow *flow)
{
	double span = (double)(flow->last_ns - flow->first_ns);
	double ends = flow->first_units + flow->last_units;

	if (!(flow->unseen_packets > 0))
		return span;
	return flow->units > ends / 2 ? span * (1 + (ends - 2) / (flow->units - ends / 2)) : 0;
}

static uint64_t add_estimate(uint64_t count, double estimate)
{
	double sum = (double)count + estimate;

	if (!(estimate > 0))
		return count;
	return sum < (double)UINT64_MAX ? (uint64_t)(sum + 0.5) : UINT64_MAX;
}

static void report_flow_totals(const struct flow *flow, struct flow_report *row)
{
	double span_ns = flow_span_ns(flow);

	row->packets = add_estimate(flow->packets, flow->unseen_packets);
	row->bytes = add_estimate(flow->bytes, flow->unseen_bytes);
	row->throughput_bps =
		span_ns > 0 ? 8e9 * ((double)flow->bytes + flow->unseen_bytes) / span_ns : 0;
}

static int compare_flows(const void *left, const void *right)
{
	const struct flow_report *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return (a->hash > b->hash) - (a->hash < b->hash);
}

/* Also adds up the losses, which belong to flows and are reported by probes, and which packets are
 * complete. */
static int report_flows(const struct stats *stats, struct report *report)
{
	struct loss loss;
	int err;

	report->flows = calloc(stats->flows.count + 1, sizeof(*report->flows));
	if (!report->flows)
		return -ENOMEM;
	err = loss_open(&loss, stats, report->paths, report->npaths);
	if (err)
		return err;
	for (size_t i = 0; i < stats->flows.count && !err; i++) {
		const struct flow *flow = &stats->flows.flows[i];
		struct flow_report *row = &report->flows[report->nflows];

		if (!flow->packets)
			continue;
		row->loss_ratio = loss_flow(&loss, flow);
		row->flow = flow->tuple;
		row->hash = flow->hash;
		row->known = flow->known;
		report_flow_totals(flow, row);
		err = report_flow_latency(stats, flow, &row->latency);
		report->nflows++;
	}
	loss_take(&loss, report);
	loss_release(&loss);
	qsort(report->flows, report->nflows, sizeof(*report->flows), compare_flows);
	return err ? err
		   : translations_report(&stats->translations, stats->info, &stats->flows, report);
}

static int report_tunnels(const struct stats *stats, struct report *report)
{
	return tunnels_report(&stats->tunnels, report);
}

size_t stats_report_memory(const struct stats *stats)
{
	return stats->counted_flows * sizeof(struct flow_report);
}

int stats_report(struct stats *stats, struct report *report)
{
	static int (*const parts[])(const struct stats *stats, struct report *report) = {
		report_domains, report_ranges, report_probes,   report_cpus,
		report_paths,   report_flows,  report_programs, report_tunnels,
	};
	int err = stats_flush(stats);

	*report = (struct report){0};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++)
		err = parts[i](stats, report);
	if (err) {
		report_release(report);
		return err;
	}
	report_overhead(stats, report);
	ledger_take(&stats->ledger, report);
	return 0;
}
