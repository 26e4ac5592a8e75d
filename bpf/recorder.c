// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "host.h"
#include "recorder.h"
#include "lib/order.h"

#define NS_PER_MS      1000000ull
#define BLOCK_EVENTS   32768
#define BLOCK_FLOWS    1024
#define FLUSH_NS       (50 * NS_PER_MS)  /* kill -9 may cost 100 ms: this, a tick, and slack */
#define HOUSEKEEP_NS   (100 * NS_PER_MS) /* clock anchors, loss ledger, cost */
#define FINISH_WAIT_NS (200 * NS_PER_MS) /* for a probe that was interrupted while it wrote */
#define SEEN_FLOWS     65536             /* direct-mapped; a collision only repeats a row */

struct recorder {
	const struct trace_info *info;
	const struct domain *domain;
	struct tracer *tracer;
	struct writer *writer;
	struct order *order;
	uint32_t ring_slots;
	uint64_t max_events;
	uint64_t start_ns;
	uint64_t stop_ns; /* events from here on are not the recording's */
	uint64_t flushed_ns;
	uint64_t housekept_ns;
	uint64_t start_cpu_ns; /* what loading the programs took is not overhead of tracing */
	uint64_t lost;
	struct tracer_cost cost; /* at the last look; its misses are already in the ledger */
	uint64_t *watermarks;    /* per CPU: no older event will come */
	uint64_t *drops;         /* per CPU and probe: already in the ledger */
	bool *ended;             /* per probe */
	uint64_t *seen_flows;
	struct flow_row flows[BLOCK_FLOWS];
	size_t nflows;
	struct vnt_event *events;
	size_t nevents;
	uint64_t taken;   /* events, before the block they are in is written */
	uint64_t last_ns; /* time of the last one */
};

static int put(struct recorder *recorder, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	return count ? writer_put(recorder->writer, &batch) : 0;
}

static int flush(struct recorder *recorder)
{
	int err = put(recorder, BATCH_FLOWS, recorder->flows, recorder->nflows);

	if (!err)
		err = put(recorder, BATCH_EVENTS, recorder->events, recorder->nevents);
	recorder->nflows = 0;
	recorder->nevents = 0;
	return err;
}

static int put_anchor(struct recorder *recorder)
{
	struct anchor_row anchor;

	host_anchor(recorder->domain, &anchor);
	return put(recorder, BATCH_ANCHORS, &anchor, 1);
}

static int put_epochs(struct recorder *recorder, uint64_t time_ns, bool active)
{
	int err = 0;

	for (size_t i = 0; !err && i < recorder->info->nprobes; i++) {
		const struct epoch_row row = {.time_ns = time_ns, .probe = i, .active = active};

		if (!recorder->ended[i])
			err = put(recorder, BATCH_EPOCHS, &row, 1);
	}
	return err;
}

static uint64_t own_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 * NS_PER_MS +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
}

static int put_cost(struct recorder *recorder)
{
	struct cost_row row = {.events = recorder->taken,
			       .runs = recorder->cost.runs,
			       .run_ns = recorder->cost.run_ns,
			       .tracer_cpu_ns = own_cpu_ns() - recorder->start_cpu_ns};

	memcpy(&row.recording, recorder->info->probes[0].recording, sizeof(row.recording));
	return put(recorder, BATCH_COSTS, &row, 1);
}

/* Enters what the rings dropped since the last look into the ledger. */
static int put_losses(struct recorder *recorder, uint64_t now_ns)
{
	uint64_t *known = recorder->drops;
	int err = 0;

	for (unsigned int cpu = 0; cpu < tracer_cpus(recorder->tracer); cpu++) {
		for (size_t probe = 0; !err && probe < recorder->info->nprobes; probe++, known++) {
			uint64_t drops = tracer_drops(recorder->tracer, cpu, probe);
			const struct loss_row row = {
				.first_ns = recorder->housekept_ns,
				.last_ns = now_ns,
				.count = drops - *known,
				.probe = probe,
				.cpu = cpu,
				.cause = LOSS_RING_FULL,
			};

			if (!row.count)
				continue;
			*known = drops;
			recorder->lost += row.count;
			err = put(recorder, BATCH_LOSSES, &row, 1);
		}
	}
	return err;
}

/* The same with the runs that the kernel skipped: which device they were for is not known. */
static int put_missed(struct recorder *recorder, uint64_t now_ns)
{
	struct loss_row row = {
		.first_ns = recorder->housekept_ns,
		.last_ns = now_ns,
		.probe = ANY_PROBE,
		.cause = LOSS_RECURSION,
	};
	struct tracer_cost cost;

	if (tracer_cost(recorder->tracer, &cost))
		return 0; /* a later look will say it */
	row.count = cost.missed - recorder->cost.missed;
	recorder->cost = cost;
	recorder->lost += row.count;
	return row.count ? put(recorder, BATCH_LOSSES, &row, 1) : 0;
}

static int housekeep(struct recorder *recorder, uint64_t now_ns)
{
	int err = put_anchor(recorder);

	if (!err)
		err = put_losses(recorder, now_ns);
	if (!err)
		err = put_missed(recorder, now_ns);
	if (!err)
		err = put_cost(recorder);
	recorder->housekept_ns = now_ns;
	return err;
}

static int add_flow(struct recorder *recorder, const struct vnt_slot *slot)
{
	uint64_t *seen = &recorder->seen_flows[slot->flow_hash % SEEN_FLOWS];

	if (*seen == slot->flow_hash)
		return 0;
	*seen = slot->flow_hash;
	recorder->flows[recorder->nflows++] =
		(struct flow_row){.hash = slot->flow_hash, .flow = slot->flow};
	return recorder->nflows == BLOCK_FLOWS ? flush(recorder) : 0;
}

/*
 * Empties one ring. Whatever was reserved before `now_ns` lies before the head that is read after
 * it, and whatever is reserved later is younger (ring.h): once all up to that head is read, no event
 * older than `now_ns` can come from this CPU.
 */
static int drain_cpu(struct recorder *recorder, unsigned int cpu, uint64_t now_ns)
{
	uint64_t head = tracer_head(recorder->tracer, cpu);
	const struct vnt_slot *slot;
	int err = 0;

	/* A writer that stays interrupted on another CPU must not make this queue grow for ever. */
	if (order_held(recorder->order, cpu) > 4 * (size_t)recorder->ring_slots)
		return 0;
	while (!err && tracer_position(recorder->tracer, cpu) != head) {
		slot = tracer_next(recorder->tracer, cpu);
		if (!slot)
			break;
		if (slot->kind == VNT_SLOT_FLOW)
			err = add_flow(recorder, slot);
		else if (slot->event.time_ns >= recorder->start_ns)
			err = order_add(recorder->order, cpu, &slot->event);
	}
	if (tracer_position(recorder->tracer, cpu) == head)
		recorder->watermarks[cpu] = now_ns;
	tracer_release(recorder->tracer, cpu);
	return err;
}

/* Moves events that are older than `watermark_ns` to the block, and writes full blocks. */
static int take(struct recorder *recorder, uint64_t watermark_ns)
{
	size_t room, got;
	int err = 0;

	do {
		room = BLOCK_EVENTS - recorder->nevents;
		if (recorder->max_events && room > recorder->max_events - recorder->taken)
			room = recorder->max_events - recorder->taken;
		got = order_take(recorder->order, watermark_ns,
				 recorder->events + recorder->nevents, room);
		recorder->nevents += got;
		recorder->taken += got;
		if (recorder->nevents)
			recorder->last_ns = recorder->events[recorder->nevents - 1].time_ns;
		if (recorder->nevents == BLOCK_EVENTS)
			err = flush(recorder);
	} while (!err && got && got == room);
	return err;
}

/* Drains all rings; *watermark_ns is the time before which everything is now in the block. */
static int drain(struct recorder *recorder, uint64_t *watermark_ns)
{
	uint64_t now_ns = host_now_ns(recorder->domain), watermark = now_ns;
	int err = 0;

	for (unsigned int cpu = 0; !err && cpu < tracer_cpus(recorder->tracer); cpu++) {
		err = drain_cpu(recorder, cpu, now_ns);
		if (recorder->watermarks[cpu] < watermark)
			watermark = recorder->watermarks[cpu];
	}
	*watermark_ns = watermark;
	if (watermark > recorder->stop_ns)
		watermark = recorder->stop_ns;
	return err ? err : take(recorder, watermark);
}

int recorder_tick(struct recorder *recorder)
{
	uint64_t now_ns = host_now_ns(recorder->domain), watermark_ns;
	int err = drain(recorder, &watermark_ns);

	if (!err && now_ns - recorder->flushed_ns >= FLUSH_NS) {
		err = flush(recorder);
		recorder->flushed_ns = now_ns;
	}
	if (!err && now_ns - recorder->housekept_ns >= HOUSEKEEP_NS)
		err = housekeep(recorder, now_ns);
	if (err)
		return err;
	return recorder->max_events && recorder->taken == recorder->max_events;
}

bool recorder_behind(const struct recorder *recorder)
{
	for (unsigned int cpu = 0; cpu < tracer_cpus(recorder->tracer); cpu++) {
		uint64_t waiting =
			tracer_head(recorder->tracer, cpu) - tracer_position(recorder->tracer, cpu);

		if (waiting > recorder->ring_slots / 4)
			return true;
	}
	return false;
}

int recorder_end_probe(struct recorder *recorder, uint16_t probe, uint64_t time_ns)
{
	const struct epoch_row row = {.time_ns = time_ns, .probe = probe, .active = 0};
	int err = flush(recorder);

	if (recorder->ended[probe])
		return err;
	recorder->ended[probe] = true;
	return err ? err : put(recorder, BATCH_EPOCHS, &row, 1);
}

/* What lies in rings and queues: of use only when it will not be read any more. */
static uint64_t unread(const struct recorder *recorder)
{
	uint64_t count = 0;

	for (unsigned int cpu = 0; cpu < tracer_cpus(recorder->tracer); cpu++)
		count += tracer_head(recorder->tracer, cpu) -
			 tracer_position(recorder->tracer, cpu) + order_held(recorder->order, cpu);
	return count;
}

/* Reads on until nothing older than the end of the recording can come. A probe that was interrupted
 * as it wrote is waited for, but not for ever. */
static int drain_rest(struct recorder *recorder)
{
	uint64_t start_ns = host_now_ns(recorder->domain), watermark_ns;
	int err;

	do {
		err = drain(recorder, &watermark_ns);
	} while (!err && watermark_ns < recorder->stop_ns &&
		 host_now_ns(recorder->domain) - start_ns < FINISH_WAIT_NS);
	if (!err)
		err = take(recorder, recorder->stop_ns);
	if (err || watermark_ns < recorder->stop_ns)
		recorder->lost += unread(recorder);
	return err;
}

int recorder_finish(struct recorder *recorder, struct recorder_summary *summary)
{
	bool full = recorder->max_events && recorder->taken == recorder->max_events;
	int err, last;

	/* With max_events the recording ends with its last event. */
	recorder->stop_ns = full ? recorder->last_ns + 1 : host_now_ns(recorder->domain);
	err = full ? 0 : drain_rest(recorder);
	if (!err)
		err = flush(recorder);
	last = housekeep(recorder, host_now_ns(recorder->domain));
	if (!err) /* at the very end: a trace without them is known to be cut */
		err = put_epochs(recorder, recorder->stop_ns, false);

	memset(summary, 0, sizeof(*summary));
	summary->events = writer_events(recorder->writer);
	summary->lost = recorder->lost + (recorder->taken - summary->events); /* not written */
	summary->bytes = writer_bytes(recorder->writer);
	summary->duration_ns = recorder->stop_ns - recorder->start_ns;
	summary->tracer_cpu_ns = own_cpu_ns() - recorder->start_cpu_ns;
	summary->cost = recorder->cost;
	return err ? err : last;
}

static int allocate(struct recorder *recorder, size_t probes)
{
	unsigned int cpus = tracer_cpus(recorder->tracer);

	recorder->watermarks = calloc(cpus, sizeof(*recorder->watermarks));
	recorder->drops = calloc(cpus * probes, sizeof(*recorder->drops));
	recorder->ended = calloc(probes, sizeof(*recorder->ended));
	recorder->seen_flows = calloc(SEEN_FLOWS, sizeof(*recorder->seen_flows));
	recorder->events = calloc(BLOCK_EVENTS, sizeof(*recorder->events));
	if (!recorder->watermarks || !recorder->drops || !recorder->ended ||
	    !recorder->seen_flows || !recorder->events)
		return -ENOMEM;
	return order_open(&recorder->order, cpus);
}

static int start(struct recorder *recorder, const struct recorder_options *options)
{
	int err = writer_open(&recorder->writer, options->fd, recorder->info);

	if (err)
		return err;
	writer_stop_when(recorder->writer, options->stop, options->stop_context);
	err = put_anchor(recorder);
	if (err)
		return err;
	recorder->start_cpu_ns = own_cpu_ns();
	recorder->start_ns = host_now_ns(recorder->domain);
	recorder->stop_ns = UINT64_MAX;
	recorder->flushed_ns = recorder->start_ns;
	recorder->housekept_ns = recorder->start_ns;
	return put_epochs(recorder, recorder->start_ns, true);
}

int recorder_open(struct recorder **recorder, const struct recorder_options *options, char *reason)
{
	struct recorder *self = calloc(1, sizeof(*self));
	int err;

	*recorder = NULL;
	snprintf(reason, TRACER_REASON_MAX, "cannot set up tracing: %s", strerror(ENOMEM));
	if (!self)
		return -ENOMEM;
	self->info = options->info;
	self->domain = &options->info->domains[0];
	self->ring_slots = options->tracer.ring_slots;
	self->max_events = options->max_events;
	err = tracer_open(&self->tracer, &options->tracer, reason);
	if (err)
		goto out;
	err = allocate(self, options->info->nprobes);
	if (!err)
		err = start(self, options);
	if (err)
		snprintf(reason, TRACER_REASON_MAX, "cannot write the trace: %s", strerror(-err));
out:
	if (err) {
		recorder_close(self);
		return err;
	}
	*recorder = self;
	return 0;
}

void recorder_close(struct recorder *recorder)
{
	if (!recorder)
		return;
	tracer_close(recorder->tracer);
	writer_close(recorder->writer);
	order_close(recorder->order);
	free(recorder->watermarks);
	free(recorder->drops);
	free(recorder->ended);
	free(recorder->seen_flows);
	free(recorder->events);
	free(recorder);
}
