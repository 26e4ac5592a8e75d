// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merge.h"
#include "merge_input.h"
#include "merge_tables.h"

#define OUT_EVENTS 4096
#define SEEN       65536 /* direct-mapped; a collision only repeats a row */

/* An input in the heap, and the time of its next row: beside it, as it is looked at all the time. */
struct turn {
	uint64_t time_ns;
	size_t input;
};

struct merge {
	struct trace_info info;
	struct merge_input *inputs;
	size_t ninputs;
	struct turn *heap; /* inputs whose current batch has times, the oldest on top */
	size_t nheap;
	size_t refill; /* input whose next batch must be read before anything else, or ninputs */
	size_t filled; /* inputs whose first batch was read: one after the other */
	struct vnt_event *out;
	void *rows; /* what a row batch was copied to */
	size_t rows_size;
	uint64_t seen[SEEN];
};

const struct trace_info *merge_info(const struct merge *merge)
{
	return &merge->info;
}

uint64_t merge_damaged(const struct merge *merge)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		bytes += reader_damaged(merge->inputs[i].reader);
	return bytes;
}

bool merge_incomplete(const struct merge *merge)
{
	bool incomplete = merge_damaged(merge) > 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		incomplete |= merge->inputs[i].incomplete;
	return incomplete;
}

/* Older, or as old and of an input named earlier. */
static bool comes_before(const struct turn *a, const struct turn *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->input < b->input;
}

/* Sinks the top of the heap to where it belongs. */
static void sift_down(struct merge *merge)
{
	const struct turn turn = merge->heap[0];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < merge->nheap) {
		if (child + 1 < merge->nheap)
			child += comes_before(&merge->heap[child + 1], &merge->heap[child]);
		if (!comes_before(&merge->heap[child], &turn))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = turn;
}

static void push(struct merge *merge, size_t input)
{
	const struct turn turn = {merge_input_time(&merge->inputs[input]), input};
	size_t at = merge->nheap++;

	while (at && comes_before(&turn, &merge->heap[(at - 1) / 2])) {
		merge->heap[at] = merge->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	merge->heap[at] = turn;
}

/* The last time that the oldest input may go to before another one's turn. */
static uint64_t end_of_turn(const struct merge *merge)
{
	const struct turn *next = &merge->heap[1];

	if (merge->nheap < 2)
		return UINT64_MAX;
	if (merge->nheap > 2 && comes_before(&merge->heap[2], next))
		next = &merge->heap[2];
	/* On a tie the one named earlier comes first. If that is not the oldest, it is later, and
	 * so not at 0. */
	return merge->heap[0].input > next->input ? next->time_ns - 1 : next->time_ns;
}

/* The oldest input has moved on: to its new place, or to where its next batch is read. */
static void end_turn(struct merge *merge)
{
	const struct merge_input *input = &merge->inputs[merge->heap[0].input];

	if (input->at < input->batch.count) {
		merge->heap[0].time_ns = merge_input_time(input);
	} else {
		merge->refill = merge->heap[0].input;
		merge->heap[0] = merge->heap[--merge->nheap];
	}
	sift_down(merge);
}

/* Copies from the oldest input what precedes all others; returns how many events. */
static size_t take_run(struct merge *merge, struct vnt_event *out, size_t room)
{
	struct merge_input *input = &merge->inputs[merge->heap[0].input];
	size_t taken = merge_input_take(input, end_of_turn(merge), out, room);

	end_turn(merge);
	return taken;
}

/* Drops flows, or tunnels, that were passed on lately; returns how many are left. */
static size_t keep_new(struct merge *merge, enum batch_type type, size_t count)
{
	size_t size = merge_row_size(type), kept = 0;
	char *rows = merge->rows;

	for (size_t i = 0; i < count; i++) {
		uint64_t hash = *(const uint64_t *)(rows + i * size); /* it comes first in both */
		uint64_t *seen = &merge->seen[hash % SEEN];

		if (*seen == hash)
			continue;
		*seen = hash;
		memmove(rows + kept++ * size, rows + i * size, size);
	}
	return kept;
}

static int pass_rows(struct merge *merge, struct merge_input *input, struct batch *batch)
{
	size_t size = merge_row_size(batch->type) * batch->count;

	if (size > merge->rows_size) {
		void *grown = realloc(merge->rows, size);

		if (!grown)
			return -ENOMEM;
		merge->rows = grown;
		merge->rows_size = size;
	}
	memcpy(merge->rows, batch->rows, size);
	merge_input_map_rows(input, batch->type, merge->rows, batch->count);
	batch->rows = merge->rows;
	if (batch->type == BATCH_FLOWS || batch->type == BATCH_TUNNELS)
		batch->count = keep_new(merge, batch->type, batch->count);
	return 1;
}

/* Epochs come at their time, so that a sink knows who was observing when. */
static int take_epochs(struct merge *merge, struct batch *batch)
{
	struct merge_input *input = &merge->inputs[merge->heap[0].input];

	uint64_t until_ns = end_of_turn(merge);
	size_t first = input->at;

	while (input->at < input->batch.count && merge_input_time(input) <= until_ns)
		input->at++;
	*batch = (struct batch){.type = BATCH_EPOCHS,
				.count = input->at - first,
				.epochs = input->batch.epochs + first};
	end_turn(merge);
	return pass_rows(merge, input, batch);
}

/* Reads on in the input whose batch is used up. 1: *batch is rows to pass on; 0; -errno. */
static int refill(struct merge *merge, struct batch *batch)
{
	struct merge_input *input = &merge->inputs[merge->refill];
	int err = merge_input_next(input, batch);

	if (err < 0)
		return err;
	if (err && !merge_has_times(batch->type))
		return pass_rows(merge, input, batch);
	if (err)
		push(merge, merge->refill);
	merge->filled += merge->refill == merge->filled;
	merge->refill = merge->filled;
	return 0;
}

static int pass_events(struct merge *merge, struct batch *batch, size_t count)
{
	*batch = (struct batch){.type = BATCH_EVENTS, .count = count, .events = merge->out};
	return count > 0;
}

int merge_next(struct merge *merge, struct batch *batch)
{
	size_t count = 0;

	while (count < OUT_EVENTS) {
		if (merge->refill != merge->ninputs) {
			int err;

			if (count)
				break; /* what is read now comes after these */
			err = refill(merge, batch);
			if (err < 0 || (err && batch->count))
				return err;
			continue;
		}
		if (!merge->nheap)
			break;
		if (merge->inputs[merge->heap[0].input].batch.type == BATCH_EPOCHS)
			return count ? pass_events(merge, batch, count) : take_epochs(merge, batch);
		count += take_run(merge, merge->out + count, OUT_EVENTS - count);
	}
	return pass_events(merge, batch, count);
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
		snprintf(reason, MERGE_REASON_MAX, "cannot read '%s': %s",
			 reader_name(readers[failed]), strerror(-err));
	return err;
}

int merge_open(struct merge **merge, struct reader **readers, size_t count, enum merge_clock clock,
	       const struct clock_table *clocks, log_fn log, void *log_context, char *reason)
{
	struct merge *self = calloc(1, sizeof(*self));
	int err;

	*merge = NULL;
	snprintf(reason, MERGE_REASON_MAX, "cannot merge: out of memory");
	if (!self) {
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
	self->heap = calloc(count, sizeof(*self->heap));
	self->out = calloc(OUT_EVENTS, sizeof(*self->out));
	if (!self->heap || !self->out) {
		err = -ENOMEM;
		goto out;
	}
	if (clock == MERGE_CLOCK_AUTO && !clocks)
		err = estimate_clocks(self, readers, log, log_context, reason);
	for (size_t i = 0; !err && i < count; i++) {
		err = merge_input_read_ahead(&self->inputs[i]);
		if (err && err != -ENOMEM)
			snprintf(reason, MERGE_REASON_MAX, "cannot read '%s': %s",
				 reader_name(readers[i]), strerror(-err));
	}
	if (!err)
		err = merge_join_tables(&self->info, self->inputs, count, clock == MERGE_CLOCK_AUTO,
					clocks, log, log_context, reason);
out:
	if (err) {
		merge_close(self);
		return err;
	}
	*merge = self;
	return 0;
}

void merge_close(struct merge *merge)
{
	if (!merge)
		return;
	for (size_t i = 0; i < merge->ninputs; i++)
		merge_input_release(&merge->inputs[i]);
	free(merge->inputs);
	free(merge->heap);
	free(merge->out);
	free(merge->rows);
	trace_info_release(&merge->info);
	free(merge);
}
