// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merge_private.h"

#define WIDTH_FIRST 1000000 /* ns */

static int make_room(struct merge *merge)
{
	for (int i = 0; i < 2 * ROUND; i++) {
		struct merged *merged = &merge->rounds[i / ROUND].merged[i % ROUND];

		merged->events = malloc(SORT_MAX * sizeof(*merged->events));
		if (!merged->events)
			return -ENOMEM;
	}
	merge->task.run = merge_make_round;
	return 0;
}

/* Legs take the place of events. */
static int make_legs_room(struct merge *merge)
{
	for (int i = 0; i < 2 * ROUND; i++) {
		struct merged *merged = &merge->rounds[i / ROUND].merged[i % ROUND];

		free(merged->events);
		merged->events = NULL;
		merged->legs = malloc(SORT_MAX * sizeof(*merged->legs));
		if (!merged->legs)
			return -ENOMEM;
	}
	return 0;
}

int merge_legs(struct merge *merge, uint64_t span_ns)
{
	for (size_t i = 0; i < merge->ninputs; i++) {
		struct merge_input *input = &merge->inputs[i];

		input->shape = (struct legs_shape){
			.span_ns = span_ns < UINT32_MAX ? span_ns : UINT32_MAX,
			.timeline = &input->timeline,
			.probes = input->probes,
		};
		reader_make_legs(input->reader, &input->shape);
	}
	merge->has_legs = true;
	return make_legs_room(merge);
}

static int take_readers(struct merge *merge, struct reader **readers, size_t count, log_fn log,
			void *log_context)
{
	merge->inputs = calloc(count, sizeof(*merge->inputs));
	if (!merge->inputs) {
		for (size_t i = 0; i < count; i++)
			reader_close(readers[i]);
		return -ENOMEM;
	}
	merge->ninputs = count;
	for (size_t i = 0; i < count; i++) {
		reader_limit(readers[i], DECODED);
		merge->inputs[i].reader = readers[i];
		merge->inputs[i].log = log;
		merge->inputs[i].log_context = log_context;
	}
	return 0;
}

static int estimate_clocks(struct merge *merge, struct reader **readers, log_fn log,
			   void *log_context, char *reason)
{
	struct clock_estimate *estimates = calloc(merge->ninputs, sizeof(*estimates));
	size_t failed;
	int err;

	if (!estimates)
		return -ENOMEM;
	err = clock_estimate(readers, merge->ninputs, estimates, log, log_context, &failed);
	for (size_t i = 0; i < merge->ninputs; i++)
		merge->inputs[i].estimate = estimates[i];
	free(estimates);
	if (err && err != -ENOMEM)
		reader_explain(readers[failed], err, reason, MERGE_REASON_MAX);
	return err;
}

/* Readers of one trace become one, in the place of the first one. 0 or -ENOMEM. */
static int join_traces(struct reader **readers, size_t *count)
{
	size_t kept = 1;
	int err = 0;

	for (size_t i = 1; i < *count; i++) {
		size_t k = 0;

		while (k < kept && !reader_same_trace(readers[k], readers[i]))
			k++;
		if (k == kept)
			readers[kept++] = readers[i];
		else if (reader_join(readers[k], readers[i]))
			err = -ENOMEM;
	}
	*count = kept;
	return err;
}

int merge_open(struct merge **merge, struct reader **readers, size_t count, enum merge_clock clock,
	       const struct clock_table *clocks, log_fn log, void *log_context, char *reason)
{
	struct merge *self = calloc(1, sizeof(*self));
	int err;

	*merge = NULL;
	snprintf(reason, MERGE_REASON_MAX, "cannot merge: out of memory");
	err = join_traces(readers, &count);
	if (err || !self) {
		free(self);
		for (size_t i = 0; i < count; i++)
			reader_close(readers[i]);
		return -ENOMEM;
	}
	self->seen[0] = 1; /* 0 says nothing seen, but there it is a flow's hash */
	err = take_readers(self, readers, count, log, log_context);
	if (err)
		goto out;
	err = merge_check_ids(self->inputs, count, reason);
	if (err)
		goto out;
	self->width_ns = WIDTH_FIRST;
	self->taken = calloc(count, sizeof(*self->taken));
	if (!self->taken || make_room(self)) {
		err = -ENOMEM;
		goto out;
	}
	err = pool_open(&self->pool);
	if (!err && clock == MERGE_CLOCK_AUTO && !clocks)
		err = estimate_clocks(self, readers, log, log_context, reason);
	for (size_t i = 0; !err && i < count; i++) {
		reader_hold(readers[i], true);
		fetch_open(&self->inputs[i].fetch, readers[i], log, log_context);
		err = merge_input_read_ahead(&self->inputs[i]);
		if (err && err != -ENOMEM)
			reader_explain(readers[i], err, reason, MERGE_REASON_MAX);
	}
	if (!err)
		err = merge_join_tables(&self->info, &self->ranges, self->inputs, count,
					clock == MERGE_CLOCK_AUTO, clocks, log, log_context,
					reason);
	if (!err)
		self->rounds[0].memory = merge_inputs_memory(self);
out:
	if (err) {
		merge_close(self);
		return err;
	}
	*merge = self;
	return 0;
}

void merge_explain(const struct merge *merge, int err, char *reason)
{
	if (merge->refill < merge->ninputs)
		reader_explain(merge->inputs[merge->refill].reader, err, reason, MERGE_REASON_MAX);
	else
		snprintf(reason, MERGE_REASON_MAX, "cannot merge: %s", strerror(-err));
}

void merge_set_horizon(struct merge *merge, uint64_t horizon_ns)
{
	for (size_t i = 0; i < merge->info.ndomains; i++)
		merge->info.domains[i].horizon_ns = horizon_ns;
}

void merge_close(struct merge *merge)
{
	if (!merge)
		return;
	if (merge->pool)
		pool_wait(merge->pool, &merge->task, 0);
	for (size_t i = 0; i < merge->ninputs; i++)
		merge_input_release(&merge->inputs[i]);
	pool_close(merge->pool);
	free(merge->inputs);
	free(merge->taken);
	for (int i = 0; i < 2 * ROUND; i++) {
		free(merge->rounds[i / ROUND].merged[i % ROUND].events);
		free(merge->rounds[i / ROUND].merged[i % ROUND].legs);
		free(merge->rounds[i / ROUND].merged[i % ROUND].rows);
	}
	free(merge->ranges.rows);
	trace_info_release(&merge->info);
	free(merge);
}
