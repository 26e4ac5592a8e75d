// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tally.h"

static const enum cost_program cost_programs[TRACER_PROGRAMS] = {
	[TRACER_RX] = PROGRAM_DEV_RX,
	[TRACER_TX] = PROGRAM_DEV_TX,
};

static uint64_t own_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ull +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
}

static int put(struct tally *tally, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	return count ? writer_put(tally->writer, &batch) : 0;
}

int tally_open(struct tally *tally, struct tracer *tracer, struct writer *writer,
	       const struct trace_info *info, uint64_t now_ns)
{
	unsigned int cpus = tracer_cpus(tracer);
	size_t counts = cpus * info->nprobes;

	*tally = (struct tally){.info = info,
				.tracer = tracer,
				.writer = writer,
				.looked_ns = now_ns,
				.written_ns = now_ns,
				.opened_ns = now_ns,
				.last_written_ns = now_ns,
				.start_cpu_ns = own_cpu_ns()};
	tally->counts = calloc(counts, sizeof(*tally->counts));
	tally->unwritten = calloc(info->nprobes, sizeof(*tally->unwritten));
	/* Three causes of each count, one of each probe, and two for all. */
	tally->rows = calloc(3 * counts + info->nprobes + 2, sizeof(*tally->rows));
	if (!tally->counts || !tally->unwritten || !tally->rows)
		return -ENOMEM;
	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		for (size_t probe = 0; probe < info->nprobes; probe++)
			tally->counts[cpu * info->nprobes + probe].known =
				tracer_count(tracer, cpu, probe);
	return 0;
}

/* All fresh counts of a row came between its first and its last time. */
static void add_fresh(struct tally_count *count, const struct vnt_count *more, uint64_t first_ns,
		      uint64_t last_ns)
{
	struct vnt_count *fresh = &count->fresh;
	bool none = !fresh->dropped && !fresh->sampled && !fresh->unread;

	if (none || first_ns < count->first_ns)
		count->first_ns = first_ns;
	if (none || last_ns > count->last_ns)
		count->last_ns = last_ns;
	fresh->dropped += more->dropped;
	fresh->sampled += more->sampled;
	fresh->sampled_bytes += more->sampled_bytes;
	fresh->unread += more->unread;
}

void tally_sampled(struct tally *tally, const struct vnt_event *event)
{
	const struct vnt_count more = {.sampled = 1, .sampled_bytes = event->length};

	add_fresh(&tally->counts[event->cpu * tally->info->nprobes + event->probe], &more,
		  event->time_ns, event->time_ns);
}

void tally_unwritten(struct tally *tally, const struct vnt_event *event)
{
	tally->unwritten[event->probe]++;
	tally->lost++;
}

static void add_loss(struct tally *tally, const struct loss_row *row)
{
	if (row->count)
		tally->rows[tally->nrows++] = *row;
}

static void look(struct tally *tally, unsigned int cpu, size_t probe, uint64_t now_ns)
{
	struct tally_count *count = &tally->counts[cpu * tally->info->nprobes + probe];
	const struct vnt_count now = tracer_count(tally->tracer, cpu, probe);
	const struct vnt_count more = {
		.dropped = now.dropped - count->known.dropped,
		.sampled = now.sampled - count->known.sampled,
		.sampled_bytes = now.sampled_bytes - count->known.sampled_bytes,
		.unread = now.unread - count->known.unread,
	};

	count->known = now;
	if (more.dropped || more.sampled || more.unread)
		add_fresh(count, &more, tally->looked_ns, now_ns);
}

void tally_look(struct tally *tally, uint64_t now_ns)
{
	for (unsigned int cpu = 0; cpu < tracer_cpus(tally->tracer); cpu++)
		for (size_t probe = 0; probe < tally->info->nprobes; probe++)
			look(tally, cpu, probe, now_ns);
	tally->looked_ns = now_ns;
}

static void add_count(struct tally *tally, unsigned int cpu, size_t probe)
{
	struct tally_count *count = &tally->counts[cpu * tally->info->nprobes + probe];
	struct loss_row dropped = {
		.first_ns = count->first_ns,
		.last_ns = count->last_ns,
		.count = count->fresh.dropped,
		.probe = probe,
		.cpu = cpu,
		.cause = LOSS_RING_FULL,
	};
	struct loss_row sampled = dropped, unread = dropped;

	sampled.count = count->fresh.sampled;
	sampled.bytes = count->fresh.sampled_bytes;
	sampled.cause = LOSS_SAMPLED;
	unread.count = count->fresh.unread;
	unread.cause = LOSS_UNREAD;
	tally->lost += dropped.count + unread.count;
	tally->sampled += sampled.count;
	count->fresh = (struct vnt_count){};
	add_loss(tally, &dropped);
	add_loss(tally, &sampled);
	add_loss(tally, &unread);
}

static void add_unwritten(struct tally *tally, size_t probe, uint64_t now_ns)
{
	const struct loss_row row = {
		.first_ns = tally->last_written_ns,
		.last_ns = now_ns,
		.count = tally->unwritten[probe],
		.probe = probe,
		.cpu = ANY_CPU,
		.cause = LOSS_WRITE_ERROR,
	};

	tally->unwritten[probe] = 0;
	add_loss(tally, &row);
}

static uint64_t missed(const struct tracer_cost *costs)
{
	uint64_t count = 0;

	for (int i = 0; i < TRACER_PROGRAMS; i++)
		count += costs[i].missed;
	return count;
}

/* Runs that the kernel skipped: which device they were for is not known. */
static void add_missed(struct tally *tally, uint64_t now_ns)
{
	struct tracer_cost costs[TRACER_PROGRAMS];
	struct loss_row row = {
		.first_ns = tally->written_ns,
		.last_ns = now_ns,
		.probe = ANY_PROBE,
		.cpu = ANY_CPU,
		.cause = LOSS_RECURSION,
	};

	if (tracer_costs(tally->tracer, costs))
		return; /* a later look will say it */
	row.count = missed(costs) - missed(tally->costs);
	tally->lost += row.count;
	memcpy(tally->costs, costs, sizeof(costs));
	add_loss(tally, &row);
}

struct tracer_cost tally_cost(const struct tally *tally)
{
	struct tracer_cost sum = {.missed = missed(tally->costs)};

	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		sum.runs += tally->costs[i].runs;
		sum.run_ns += tally->costs[i].run_ns;
	}
	return sum;
}

uint64_t tally_cpu_ns(const struct tally *tally)
{
	return own_cpu_ns() - tally->start_cpu_ns;
}

static int put_costs(struct tally *tally, uint64_t events)
{
	struct tracer_cost sum = tally_cost(tally);
	struct cost_row rows[1 + TRACER_PROGRAMS] = {
		{.program = PROGRAM_ALL,
		 .events = events,
		 .runs = sum.runs,
		 .run_ns = sum.run_ns,
		 .tracer_cpu_ns = tally_cpu_ns(tally)},
	};
	size_t count = 1;

	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		const struct tracer_cost *cost = &tally->costs[i];

		if (cost->runs)
			rows[count++] = (struct cost_row){.program = cost_programs[i],
							  .runs = cost->runs,
							  .run_ns = cost->run_ns};
	}
	for (size_t i = 0; i < count; i++)
		memcpy(&rows[i].recording, tally->info->probes[0].recording,
		       sizeof(rows[i].recording));
	return put(tally, BATCH_COSTS, rows, count);
}

int tally_write(struct tally *tally, uint64_t now_ns, uint64_t events)
{
	int err;

	tally_look(tally, now_ns);
	tally->nrows = 0;
	for (unsigned int cpu = 0; cpu < tracer_cpus(tally->tracer); cpu++)
		for (size_t probe = 0; probe < tally->info->nprobes; probe++)
			add_count(tally, cpu, probe);
	for (size_t probe = 0; probe < tally->info->nprobes; probe++)
		add_unwritten(tally, probe, now_ns);
	add_missed(tally, now_ns);
	tally->written_ns = now_ns;
	err = put(tally, BATCH_LOSSES, tally->rows, tally->nrows);
	return err ? err : put_costs(tally, events);
}

int tally_rewrite(struct tally *tally, size_t count, uint64_t now_ns)
{
	const struct loss_row row = {
		.first_ns = tally->opened_ns,
		.last_ns = now_ns,
		.count = count,
		.probe = ANY_PROBE,
		.cpu = ANY_CPU,
		.cause = LOSS_WRITE_ERROR,
	};

	tally->lost += count;
	add_loss(tally, &row);
	return put(tally, BATCH_LOSSES, tally->rows, tally->nrows);
}

void tally_release(struct tally *tally)
{
	free(tally->counts);
	free(tally->unwritten);
	free(tally->rows);
	memset(tally, 0, sizeof(*tally));
}
