// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "announced.h"
#include "clocks.h"
#include "drain.h"
#include "host.h"
#include "recorder.h"
#include "tally.h"
#include "lib/budget.h"

#define NS_PER_MS    1000000ull
#define BLOCK_EVENTS 32768
#define TICK_NS      (25 * NS_PER_MS)  /* wake-ups disturb what is traced */
#define SAMPLING_NS  (10 * NS_PER_MS)  /* ... but the tally's times are what rates come from */
#define FLUSH_NS     (50 * NS_PER_MS)  /* kill -9 may cost 100 ms: this, a tick, and slack */
#define HOUSEKEEP_NS (100 * NS_PER_MS) /* clock anchors, loss tally, cost */

/* A sampling rate that comes into force once all older events are in the file. */
struct change {
	bool pending;
	uint64_t time_ns;
	uint32_t threshold;
};

struct recorder {
	const struct trace_info *info;
	const struct domain *domain;
	struct tracer *tracer;
	struct writer *writer;
	struct drain *drain;
	struct clocks clocks;
	uint64_t max_events;
	stop_fn stop;
	void *stop_context;
	uint64_t start_ns;
	uint64_t stop_ns; /* events from here on are not the recording's */
	uint64_t flushed_ns;
	uint64_t housekept_ns;
	struct tally tally;
	struct budget budget;
	struct change change;
	bool sampling;
	uint64_t flow_mask; /* of what names a packet */
	uint32_t threshold; /* in force for the events that are taken now */
	bool *ended;        /* per probe */
	struct epoch_row *epochs;
	struct announced *announced;
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

/* They cannot be written: they are lost, but not without being counted. */
static void discard(struct recorder *recorder, const struct vnt_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tally_unwritten(&recorder->tally, &events[i]);
}

static int flush(struct recorder *recorder)
{
	int err = announced_put(recorder->announced, recorder->writer);

	if (!err)
		err = put(recorder, BATCH_EVENTS, recorder->events, recorder->nevents);
	if (err)
		discard(recorder, recorder->events, recorder->nevents);
	recorder->nevents = 0;
	return err;
}

static int put_epochs(struct recorder *recorder, uint64_t time_ns, bool active)
{
	size_t count = 0;

	for (size_t i = 0; i < recorder->info->nprobes; i++)
		if (!recorder->ended[i])
			recorder->epochs[count++] =
				(struct epoch_row){.time_ns = time_ns,
						   .probe = i,
						   .active = active,
						   .sampling = ~recorder->threshold};
	return put(recorder, BATCH_EPOCHS, recorder->epochs, count);
}

/*
 * What is said of a time must hold of all its events, so the programs always keep what the rate in
 * force keeps, or more: a lower rate is in force before they are told, a higher one when they all know.
 */
static void change_rate(struct recorder *recorder, uint32_t threshold)
{
	bool higher = threshold > recorder->threshold;

	if (threshold == recorder->threshold || recorder->change.pending)
		return;
	if (!higher)
		recorder->change.time_ns = host_now_ns(recorder->domain);
	tracer_sample(recorder->tracer, threshold);
	if (higher) {
		/* Waits for programs that read the one before: they run with preemption off. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		recorder->change.time_ns = host_now_ns(recorder->domain);
	}
	recorder->change.threshold = threshold;
	recorder->change.pending = true;
}

/* Says the sampling rate once more, in case damage hides where it was said. */
static int repeat_rate(struct recorder *recorder)
{
	int err = flush(recorder);

	return err ? err : put_epochs(recorder, recorder->last_ns, true);
}

static int housekeep(struct recorder *recorder, uint64_t now_ns, bool last)
{
	int err = clocks_put(&recorder->clocks, recorder->writer, last);

	recorder->housekept_ns = now_ns;
	if (!err)
		err = tally_write(&recorder->tally, now_ns, recorder->taken);
	if (!err && recorder->sampling)
		err = repeat_rate(recorder);
	return err;
}

/* Of what a drain finds in the rings, all but events. */
static int announced(void *context, const struct vnt_slot *slot)
{
	struct recorder *recorder = context;

	return announced_add(recorder->announced, slot) ? flush(recorder) : 0;
}

/* Of new events in the block, those that the rate in force keeps; returns how many. */
static size_t keep_sampled(struct recorder *recorder, struct vnt_event *events, size_t count)
{
	size_t kept = 0;

	if (recorder->threshold == VNT_SAMPLE_ALL)
		return count;
	for (size_t i = 0; i < count; i++) {
		const struct vnt_event *event = &events[i];

		if (vnt_sample_level(event->flow & recorder->flow_mask, event->key, event->payload,
				     event->flags) <= recorder->threshold)
			events[kept++] = *event;
		else
			tally_sampled(&recorder->tally, event);
	}
	return kept;
}

/* Moves events that are older than `watermark_ns` to the block, and writes full blocks. */
static int take_until(struct recorder *recorder, uint64_t watermark_ns)
{
	size_t room, got, kept;
	int err = 0;

	do {
		struct vnt_event *end = recorder->events + recorder->nevents;

		room = BLOCK_EVENTS - recorder->nevents;
		if (recorder->max_events && room > recorder->max_events - recorder->taken)
			room = recorder->max_events - recorder->taken;
		got = drain_take(recorder->drain, watermark_ns, end, room);
		kept = keep_sampled(recorder, end, got);
		recorder->nevents += kept;
		recorder->taken += kept;
		if (kept)
			recorder->last_ns = end[kept - 1].time_ns;
		if (recorder->nevents == BLOCK_EVENTS)
			err = flush(recorder);
	} while (!err && got && got == room);
	return err;
}

/* ... and where the rate changes on the way, says so between the events before and after. */
static int take(struct recorder *recorder, uint64_t watermark_ns)
{
	struct change *change = &recorder->change;
	int err = 0;

	if (change->pending && change->time_ns <= watermark_ns) {
		err = take_until(recorder, change->time_ns);
		if (!err)
			err = flush(recorder);
		recorder->threshold = change->threshold;
		change->pending = false;
		if (!err)
			err = put_epochs(recorder, change->time_ns, true);
	}
	return err ? err : take_until(recorder, watermark_ns);
}

/*
 * *watermark_ns is the time before which everything is now read; what is younger than lead_ns before
 * it is not in the block, so that translations come that much before their events.
 */
static int drain(struct recorder *recorder, uint64_t lead_ns, uint64_t *watermark_ns)
{
	uint64_t now_ns = host_now_ns(recorder->domain), until_ns;
	int err = drain_run(recorder->drain, now_ns, recorder->start_ns, watermark_ns);

	if (err)
		return err;
	until_ns = *watermark_ns > lead_ns ? *watermark_ns - lead_ns : 0;
	return take(recorder, until_ns < recorder->stop_ns ? until_ns : recorder->stop_ns);
}

int recorder_tick(struct recorder *recorder)
{
	uint64_t now_ns = host_now_ns(recorder->domain), watermark_ns;
	int err;

	err = drain(recorder, TRANSLATION_LEAD_NS, &watermark_ns);
	if (recorder->sampling) /* its ranges of time are what rates are computed from */
		tally_look(&recorder->tally, now_ns);
	if (!err && now_ns - recorder->flushed_ns >= FLUSH_NS) {
		err = flush(recorder);
		recorder->flushed_ns = now_ns;
	}
	if (!err && now_ns - recorder->housekept_ns >= HOUSEKEEP_NS) {
		err = housekeep(recorder, now_ns, false);
		change_rate(recorder, budget_look(&recorder->budget, now_ns,
						  tally_cost(&recorder->tally).run_ns));
	}
	if (err)
		return err;
	return watermark_ns >= recorder->stop_ns ||
	       (recorder->max_events && recorder->taken == recorder->max_events);
}

uint64_t recorder_patience(const struct recorder *recorder)
{
	uint64_t now_ns = host_now_ns(recorder->domain);
	uint64_t until_ns = recorder->housekept_ns + HOUSEKEEP_NS;
	uint64_t patience = drain_patience(recorder->drain);
	uint64_t tick_ns = recorder->sampling ? SAMPLING_NS : TICK_NS;

	if (until_ns > recorder->stop_ns)
		until_ns = recorder->stop_ns;
	if (now_ns >= until_ns)
		return 0;
	if (patience > tick_ns)
		patience = tick_ns;
	return patience < until_ns - now_ns ? patience : until_ns - now_ns;
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

/* Reads on until nothing older than the end of the recording can come. No program runs any more. */
static int drain_rest(struct recorder *recorder)
{
	uint64_t watermark_ns;
	int err;

	do {
		err = drain(recorder, 0, &watermark_ns);
	} while (!err && watermark_ns < recorder->stop_ns);
	return err;
}

/* Counts what was matched and is not in the file. */
static void discard_rest(struct recorder *recorder)
{
	uint64_t watermark_ns;
	size_t got;

	do {
		drain(recorder, 0, &watermark_ns);
		discard(recorder, recorder->events, recorder->nevents);
		recorder->nevents = 0;
		got = drain_take(recorder->drain, recorder->stop_ns, recorder->events,
				 BLOCK_EVENTS);
		discard(recorder, recorder->events, keep_sampled(recorder, recorder->events, got));
	} while (got);
}

/* After a write error. What is small may still fit where a part of the last block was taken back; if
 * it does not, a whole one makes room: the trace has to say what it lacks. */
static void finish_failed(struct recorder *recorder)
{
	size_t count;
	int err;

	recorder->tally.last_written_ns = recorder->last_ns;
	discard_rest(recorder);
	writer_resume(recorder->writer);
	err = tally_write(&recorder->tally, recorder->stop_ns, writer_events(recorder->writer));
	if (!err)
		err = put_epochs(recorder, recorder->stop_ns, false);
	count = err ? writer_take_back(recorder->writer) : 0;
	if (count && !tally_rewrite(&recorder->tally, count, recorder->stop_ns))
		put_epochs(recorder, recorder->stop_ns, false);
}

static int finish(struct recorder *recorder, uint64_t detached_ns)
{
	int err = writer_error(recorder->writer);

	if (!err)
		err = drain_rest(recorder);
	if (!err)
		err = flush(recorder);
	if (!err)
		err = housekeep(recorder, detached_ns, true);
	if (!err) /* at the very end: a trace without them is known to be cut */
		err = put_epochs(recorder, recorder->stop_ns, false);
	if (err)
		finish_failed(recorder);
	return err;
}

int recorder_finish(struct recorder *recorder, struct recorder_summary *summary)
{
	/* Programs are detached one after the other: from here on some may see what others do not. */
	uint64_t now_ns = host_now_ns(recorder->domain);
	int err;

	tracer_detach(recorder->tracer);
	/* With max_events the recording ends with its last event. */
	if (recorder->max_events && recorder->taken == recorder->max_events)
		recorder->stop_ns = recorder->last_ns + 1;
	else if (recorder->stop_ns > now_ns)
		recorder->stop_ns = now_ns;
	err = finish(recorder, host_now_ns(recorder->domain));

	*summary = (struct recorder_summary){
		.events = writer_events(recorder->writer),
		.lost = recorder->tally.lost,
		.sampled = recorder->tally.sampled,
		.bytes = writer_bytes(recorder->writer),
		.duration_ns = recorder->stop_ns - recorder->start_ns,
		.tracer_cpu_ns = tally_cpu_ns(&recorder->tally),
		.cost = tally_cost(&recorder->tally),
		.threshold = recorder->threshold,
		.exhausted = recorder->budget.exhausted,
	};
	return err;
}

static int allocate(struct recorder *recorder, const struct recorder_options *options)
{
	recorder->ended = calloc(options->info->nprobes, sizeof(*recorder->ended));
	recorder->epochs = calloc(options->info->nprobes, sizeof(*recorder->epochs));
	recorder->events = calloc(BLOCK_EVENTS, sizeof(*recorder->events));
	if (!recorder->ended || !recorder->epochs || !recorder->events ||
	    announced_open(&recorder->announced))
		return -ENOMEM;
	return drain_open(&recorder->drain, recorder->tracer, options->tracer.ring_slots, announced,
			  recorder);
}

/* From then on a reader of the trace who stalls is not waited for. */
static bool is_over(void *context)
{
	const struct recorder *recorder = context;

	return (recorder->stop && recorder->stop(recorder->stop_context)) ||
	       host_now_ns(recorder->domain) >= recorder->stop_ns;
}

static int start(struct recorder *recorder, const struct recorder_options *options)
{
	int err = writer_open(&recorder->writer, options->fd, recorder->info);

	if (err)
		return err;
	writer_stop_when(recorder->writer, is_over, recorder);
	err = clocks_put(&recorder->clocks, recorder->writer, true);
	if (err)
		return err;
	/* That nothing is left out is said only where it holds to the end. */
	recorder->threshold = options->threshold;
	if (recorder->sampling && recorder->threshold == VNT_SAMPLE_ALL)
		recorder->threshold--;
	tracer_sample(recorder->tracer, recorder->threshold);
	recorder->start_ns = host_now_ns(recorder->domain);
	if (options->duration_ns)
		recorder->stop_ns = recorder->start_ns + options->duration_ns;
	recorder->last_ns = recorder->start_ns;
	recorder->flushed_ns = recorder->start_ns;
	recorder->housekept_ns = recorder->start_ns;
	budget_start(&recorder->budget, options->max_overhead, recorder->threshold,
		     recorder->start_ns);
	err = tally_open(&recorder->tally, recorder->tracer, recorder->writer, recorder->info,
			 recorder->start_ns);
	return err ? err : put_epochs(recorder, recorder->start_ns, true);
}

int recorder_open(struct recorder **recorder, const struct recorder_options *options, char *reason)
{
	struct recorder *self = calloc(1, sizeof(*self));
	struct tracer_options tracer = options->tracer;
	int err;

	*recorder = NULL;
	snprintf(reason, TRACER_REASON_MAX, "cannot set up tracing: %s", strerror(ENOMEM));
	if (!self)
		return -ENOMEM;
	self->info = options->info;
	self->domain = &options->info->domains[0];
	clocks_open(&self->clocks, self->domain);
	self->flow_mask = trace_flow_mask(self->info);
	self->max_events = options->max_events;
	self->stop = options->stop;
	self->stop_context = options->stop_context;
	self->stop_ns = UINT64_MAX;
	tracer.id = self->domain->id;
	tracer.measure |= options->max_overhead > 0;
	self->sampling = tracer.sampling = options->max_overhead > 0 ||
					   options->threshold != VNT_SAMPLE_ALL;
	err = tracer_open(&self->tracer, &tracer, reason);
	if (err)
		goto out;
	err = allocate(self, options);
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
	drain_close(recorder->drain);
	clocks_close(&recorder->clocks);
	tally_release(&recorder->tally);
	free(recorder->ended);
	free(recorder->epochs);
	announced_close(recorder->announced);
	free(recorder->events);
	free(recorder);
}
