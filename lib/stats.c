// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "array.h"
#include "stats.h"
#include "stats_private.h"

#define PART 256 /* legs */

_Static_assert(STATS_MEMORY_MIN >= SPILL_MEMORY_MIN, "the limit is the join's");

/* Finds or adds the row of the probe and CPU. */
static int stats_cpu_row(struct stats *stats, uint16_t probe, uint16_t cpu, uint32_t *row)
{
	uint64_t key = (uint64_t)probe << 16 | cpu;
	int err;

	*row = map_find(&stats->by_cpu, key);
	if (*row != MAP_NONE)
		return 0;
	err = array_reserve(&stats->cpus, &stats->cpus_room, stats->ncpus + 1,
			    sizeof(*stats->cpus));
	if (!err)
		err = map_add(&stats->by_cpu, key, stats->ncpus);
	if (err)
		return err;
	*row = stats->ncpus++;
	stats->cpus[*row] = (struct cpu_report){.probe = probe, .cpu = cpu};
	return 0;
}

static int stats_count_row(struct stats *stats, const struct count_row *row)
{
	uint16_t domain = stats->info->probes[row->probe].domain;
	struct probe_count *probe = &stats->probes[row->probe];
	uint32_t cpu;
	int err = stats_cpu_row(stats, row->probe, row->cpu, &cpu);

	if (!err && row->outer)
		err = tunnels_count(&stats->tunnels, row->probe, row->outer, row->events);
	if (!err && row->first_ns < stats->domains[domain].first_ns)
		err = changes_domain(&stats->changes, domain, row->first_ns);
	if (err)
		return err;
	if (row->first_ns < stats->domains[domain].first_ns)
		stats->domains[domain].first_ns = row->first_ns;
	if (!probe->events || row->first_ns < probe->first_ns)
		probe->first_ns = row->first_ns;
	if (row->last_ns > probe->last_ns)
		probe->last_ns = row->last_ns;
	stats->cpus[cpu].events += row->events;
	probe->events += row->events;
	probe->bytes += row->bytes;
	return 0;
}

static int stats_counts(struct stats *stats, const struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++)
		err = stats_count_row(stats, &batch->counts[i]);
	return err;
}

/*
 * Super-packets, and datagrams in fragments: by their payload, that is by flow, they are joined with what they
 * are cut into. Where probes keep some IDs only, later fragments are kept or not whatever became of the others;
 * and behind a translation (of flow `before`) they are of a flow that nobody knows.
 */
static int stats_expect(struct stats *stats, const struct leg *leg, uint64_t before)
{
	bool later = leg->flags & VNT_PACKET_LATER && !stats->samples;
	bool apart = leg->flags & VNT_PACKET_FRAGMENT && leg->flow != before;
	int err;

	if (!(later || apart || leg->segment) || !trace_flow_mask(stats->info) ||
	    segments_expected(stats->segments, leg->flow))
		return 0;
	err = stats_settle(stats);
	if (err)
		return err;
	if (later)
		return segments_expect_fragments(stats->segments, leg->flow, leg->first_ns);
	return segments_expect(stats->segments, leg->flow, leg->first_ns);
}

static uint64_t stats_origin(const struct stats *stats, const struct leg *leg, uint16_t sighting)
{
	return translations_origin(&stats->translations, stats->info, leg->flow,
				   leg_time(leg, sighting), leg->probes[sighting]);
}

/* Gives it the flow as its sender made it; where not all of it was of the same one, the others wait. */
static int stats_translate(struct stats *stats, struct leg *leg)
{
	uint64_t before = leg->flow, origin = stats_origin(stats, leg, 0);
	struct leg rest;
	uint16_t same = 1;
	int err = 0;

	while (same < leg->count && stats_origin(stats, leg, same) == origin)
		same++;
	if (same < leg->count) {
		leg_cut(leg, same, &rest);
		err = stats_translate(stats, &rest);
		if (!err)
			err = spill_push_later(stats->join, &rest);
	}
	leg->flow = origin;
	return err ? err : stats_expect(stats, leg, before);
}

/* To `legs`, which are as many as `from`. */
static int stats_translate_all(struct stats *stats, const struct leg *from, struct leg *legs,
			       size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		legs[i] = from[i];
		err = stats_translate(stats, &legs[i]);
	}
	return err;
}

static int stats_expect_all(struct stats *stats, const struct leg *legs, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		if (legs[i].segment || legs[i].flags & VNT_PACKET_FRAGMENT)
			err = stats_expect(stats, &legs[i], legs[i].flow);
	return err;
}

/*
 * Which packets a probe left out depends on the flow that it saw: where any does, translated ones are not joined,
 * as nothing could be said of those that are missing.
 */
static int stats_legs(struct stats *stats, const struct batch *batch)
{
	bool translated = stats->translations.count &&
			  !(stats->samples && trace_flow_mask(stats->info));
	struct leg mapped[PART];
	int err = 0;

	for (size_t done = 0, n; done < batch->count && !err; done += n) {
		const struct leg *legs = batch->legs + done;

		n = batch->count - done < PART ? batch->count - done : PART;
		if (translated) {
			err = stats_translate_all(stats, legs, mapped, n);
			legs = mapped;
		} else {
			err = stats_expect_all(stats, legs, n);
		}
		if (!err)
			err = spill_push(stats->join, legs, n);
	}
	return err;
}

static int stats_flows(struct stats *stats, const struct batch *batch)
{
	int err = stats_settle(stats);

	for (size_t i = 0; i < batch->count && !err; i++)
		err = flows_name(&stats->flows, &batch->flows[i]);
	return err;
}

static int stats_tunnels(struct stats *stats, const struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++)
		err = tunnels_name(&stats->tunnels, &batch->tunnels[i]);
	return err;
}

static int stats_translations(struct stats *stats, const struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++)
		err = translations_add(&stats->translations, stats->info, &batch->translations[i]);
	return err;
}

/* Where some come too late, what was noted says nothing of them: then they count for nothing. */
static int stats_ranges(struct stats *stats, const struct batch *batch)
{
	int err = stats_settle(stats);

	for (size_t i = 0; i < batch->count && !stats->observed && !err; i++)
		err = ranges_add(&stats->ranges, &batch->ranges[i]);
	return err;
}

static void stats_sampled_out(struct stats *stats, const struct loss_row *row)
{
	struct domain_count *domain = &stats->domains[row->domain];
	struct probe_count *probe;

	domain->sampled_out = add_saturated(domain->sampled_out, row->count);
	if (row->probe == ANY_PROBE || !row->count)
		return;
	probe = &stats->probes[row->probe];
	if (!probe->sampled_out || row->first_ns < probe->sampled_first_ns)
		probe->sampled_first_ns = row->first_ns;
	if (row->last_ns > probe->sampled_last_ns)
		probe->sampled_last_ns = row->last_ns;
	probe->sampled_out = add_saturated(probe->sampled_out, row->count);
	probe->sampled_out_bytes = add_saturated(probe->sampled_out_bytes, row->bytes);
}

static void stats_missed(struct stats *stats, const struct loss_row *row)
{
	struct domain_count *domain = &stats->domains[row->domain];
	uint64_t *missed = row->probe == ANY_PROBE ? &domain->missed_somewhere
						   : &stats->probes[row->probe].missed;

	*missed = add_saturated(*missed, row->count);
	domain->missed = add_saturated(domain->missed, row->count);
}

static int stats_losses(struct stats *stats, const struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++) {
		const struct loss_row *row = &batch->losses[i];

		if (row->cause == LOSS_SAMPLED)
			stats_sampled_out(stats, row);
		else
			stats_missed(stats, row);
		err = ledger_add(&stats->ledger, row);
	}
	return err;
}

static int stats_epochs(struct stats *stats, const struct batch *batch)
{
	uint64_t now_ns = spill_now(stats->join);
	int err = 0;

	now_ns = batch->now_ns > now_ns ? batch->now_ns : now_ns;

	for (size_t i = 0; i < batch->count && !err; i++) {
		stats->samples |= batch->epochs[i].active && batch->epochs[i].sampling;
		err = changes_epoch(&stats->changes, now_ns, &batch->epochs[i]);
	}
	return err;
}

static int stats_cost(struct stats *stats, const struct cost_row *row)
{
	uint64_t key = map_hash(map_hash(map_hash(0, row->recording), row->domain), row->program);
	uint32_t index = map_find(&stats->by_recording, key);
	int err;

	if (index == MAP_NONE) {
		err = array_reserve(&stats->costs, &stats->costs_room, stats->ncosts + 1,
				    sizeof(*stats->costs));
		if (!err)
			err = map_add(&stats->by_recording, key, stats->ncosts);
		if (err)
			return err;
		index = stats->ncosts++;
	}
	stats->costs[index] = *row;
	return 0;
}

static int stats_costs(struct stats *stats, const struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->count && !err; i++)
		err = stats_cost(stats, &batch->costs[i]);
	return err;
}

static int (*const stats_batches[BATCH_TYPES])(struct stats *stats, const struct batch *batch) = {
	[BATCH_COUNTS] = stats_counts,   [BATCH_LEGS] = stats_legs,
	[BATCH_FLOWS] = stats_flows,     [BATCH_LOSSES] = stats_losses,
	[BATCH_EPOCHS] = stats_epochs,   [BATCH_COSTS] = stats_costs,
	[BATCH_TUNNELS] = stats_tunnels, [BATCH_TRANSLATIONS] = stats_translations,
	[BATCH_RANGES] = stats_ranges,
};

/* Of the last event. */
static uint64_t stats_end(const struct stats *stats)
{
	uint64_t end_ns = 0;

	for (size_t i = 0; i < stats->info->nprobes; i++)
		if (stats->probes[i].last_ns > end_ns)
			end_ns = stats->probes[i].last_ns;
	return end_ns;
}

int stats_flush(struct stats *stats)
{
	int err;

	changes_end(&stats->changes, stats_end(stats));
	err = spill_flush(stats->join);
	if (!err)
		err = stats_settle(stats);
	if (!err)
		err = segments_flush(stats->segments);
	if (!err)
		err = backlog_settle(&stats->flows.backlog);
	return err ? err : stats_changes(stats, UINT64_MAX);
}

void stats_use(struct stats *stats, struct pool *pool)
{
	stats->pool = pool;
	stats->flows.backlog.pool = pool;
}

void stats_limit(struct stats *stats, size_t memory)
{
	spill_limit(stats->join, memory);
}

size_t stats_memory(const struct stats *stats)
{
	return spill_memory(stats->join);
}

void stats_watch(struct stats *stats, int (*watch)(void *context), void *context)
{
	stats->watch = watch;
	stats->watch_context = context;
	spill_watch(stats->join, watch, context);
}

size_t stats_needed(const struct stats *stats)
{
	return spill_needed(stats->join);
}

int stats_put(struct stats *stats, const struct batch *batch)
{
	if (batch->type >= BATCH_TYPES || !stats_batches[batch->type])
		return 0;
	return stats_batches[batch->type](stats, batch);
}

int stats_open(struct stats **stats, const struct trace_info *info, uint64_t horizon_ns)
{
	struct stats *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	*stats = NULL;
	if (!s)
		return -ENOMEM;
	s->info = info;
	s->horizon_ns = horizon_ns;
	s->names = calloc(info->nprobes + 1, sizeof(*s->names));
	s->probes = calloc(info->nprobes + 1, sizeof(*s->probes));
	s->domains = calloc(info->ndomains + 1, sizeof(*s->domains));
	s->passed = calloc(info->nprobes + 1, sizeof(*s->passed));
	s->gathering = calloc(1, sizeof(*s->gathering));
	s->counting = calloc(1, sizeof(*s->counting));
	if (!s->names || !s->probes || !s->domains || !s->passed || !s->gathering || !s->counting)
		goto out;
	s->task.run = stats_count;
	for (size_t i = 0; i < info->nprobes; i++)
		snprintf(s->names[i], sizeof(s->names[i]), "%s/%s",
			 info->domains[info->probes[i].domain].name, info->probes[i].name);
	err = epochs_open(&s->epochs, info);
	if (!err)
		err = rates_open(&s->rates, info->nprobes, trace_flow_mask(info));
	if (!err)
		err = forks_open(&s->flows.forks, info);
	if (!err)
		err = segments_open(&s->segments, horizon_ns, stats_journey, s);
	if (!err)
		segments_name(s->segments, &s->flows);
	if (!err)
		err = spill_open(&s->join, horizon_ns, stats_joined, s);
	if (!err) {
		spill_mask_flows(s->join, trace_flow_mask(info));
		spill_probes(s->join, info->probes);
	}
	for (size_t i = 0; i < info->ndomains; i++)
		s->domains[i].first_ns = UINT64_MAX;
out:
	if (err)
		stats_close(s);
	else
		*stats = s;
	return err;
}

void stats_close(struct stats *stats)
{
	if (!stats)
		return;
	if (stats->pool)
		pool_wait(stats->pool, &stats->task, 0);
	spill_close(stats->join);
	segments_close(stats->segments);
	changes_release(&stats->changes);
	epochs_close(stats->epochs);
	rates_close(stats->rates);
	ledger_release(&stats->ledger);
	tunnels_release(&stats->tunnels);
	translations_release(&stats->translations);
	ranges_release(&stats->ranges);
	flows_release(&stats->flows);
	map_release(&stats->by_cpu);
	map_release(&stats->by_recording);
	free(stats->names);
	free(stats->probes);
	free(stats->domains);
	free(stats->passed);
	free(stats->gathering);
	free(stats->counting);
	free(stats->cpus);
	free(stats->costs);
	free(stats);
}
