// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merge.h"
#include "merge_input.h"
#include "merge_tables.h"

#define OUT_EVENTS 4096
#define SEEN_FLOWS 65536 /* direct-mapped; a collision only repeats a row */

struct merge {
	struct trace_info info;
	struct merge_input *inputs;
	size_t ninputs;
	size_t *heap; /* inputs whose current batch has times, the oldest on top */
	size_t nheap;
	size_t refill; /* input whose next batch must be read before anything else, or ninputs */
	struct vnt_event *out;
	void *rows; /* what a row batch was copied to */
	size_t rows_size;
	uint64_t seen_flows[SEEN_FLOWS];
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

/* Older, or as old and of an input named earlier. */
static bool comes_before(const struct merge *merge, size_t a, size_t b)
{
	uint64_t a_ns = merge_input_time(&merge->inputs[a]);
	uint64_t b_ns = merge_input_time(&merge->inputs[b]);

	return a_ns != b_ns ? a_ns < b_ns : a < b;
}

static void swap(size_t *a, size_t *b)
{
	size_t value = *a;

	*a = *b;
	*b = value;
}

static void sift_down(struct merge *merge)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < merge->nheap) {
		if (child + 1 < merge->nheap &&
		    comes_before(merge, merge->heap[child + 1], merge->heap[child]))
			child++;
		if (!comes_before(merge, merge->heap[child], merge->heap[at]))
			break;
		swap(&merge->heap[at], &merge->heap[child]);
		at = child;
	}
}

static void sift_up(struct merge *merge, size_t at)
{
	while (at && comes_before(merge, merge->heap[at], merge->heap[(at - 1) / 2])) {
		swap(&merge->heap[at], &merge->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

/* The input that would be on top if the top were taken away, or ninputs. */
static size_t second(const struct merge *merge)
{
	if (merge->nheap < 2)
		return merge->ninputs;
	if (merge->nheap == 2 || comes_before(merge, merge->heap[1], merge->heap[2]))
		return merge->heap[1];
	return merge->heap[2];
}

/* The oldest input's batch is used up. */
static void retire_top(struct merge *merge)
{
	merge->refill = merge->heap[0];
	merge->heap[0] = merge->heap[--merge->nheap];
	sift_down(merge);
}

/* Copies from the oldest input what precedes all others; returns how many events. */
static size_t take_run(struct merge *merge, struct vnt_event *out, size_t room)
{
	size_t top = merge->heap[0], next = second(merge);
	struct merge_input *input = &merge->inputs[top];
	uint64_t until = UINT64_MAX;
	size_t taken;

	if (next != merge->ninputs) {
		until = merge_input_time(&merge->inputs[next]);
		if (top > next)
			until--; /* on a tie the other comes first; it is later, so not at 0 */
	}
	taken = merge_input_take(input, until, out, room);
	if (input->at == input->batch.count)
		retire_top(merge);
	else
		sift_down(merge);
	return taken;
}

/* Drops flows that were passed on lately; returns how many are left. */
static size_t keep_new_flows(struct merge *merge, struct flow_row *flows, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t *seen = &merge->seen_flows[flows[i].hash % SEEN_FLOWS];

		if (*seen == flows[i].hash)
			continue;
		*seen = flows[i].hash;
		flows[kept++] = flows[i];
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
	if (batch->type == BATCH_FLOWS)
		batch->count = keep_new_flows(merge, merge->rows, batch->count);
	return 1;
}

/* Epochs come at their time, so that a sink knows who was observing when. */
static int take_epochs(struct merge *merge, struct batch *batch)
{
	struct merge_input *input = &merge->inputs[merge->heap[0]];

	*batch = input->batch;
	input->at = input->batch.count;
	retire_top(merge);
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
	if (err && batch->count) {
		merge->heap[merge->nheap] = merge->refill;
		sift_up(merge, merge->nheap++);
	}
	/* At first every input is empty: they are filled one after the other. */
	merge->refill = merge_input_first_empty(merge->inputs, merge->ninputs);
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
		if (merge->inputs[merge->heap[0]].batch.type == BATCH_EPOCHS)
			return count ? pass_events(merge, batch, count) : take_epochs(merge, batch);
		count += take_run(merge, merge->out + count, OUT_EVENTS - count);
	}
	return pass_events(merge, batch, count);
}

static int take_readers(struct merge *merge, struct reader **readers, size_t count)
{
	merge->inputs = calloc(count, sizeof(*merge->inputs));
	if (!merge->inputs) {
		for (size_t i = 0; i < count; i++)
			reader_close(readers[i]);
		return -ENOMEM;
	}
	merge->ninputs = count;
	for (size_t i = 0; i < count; i++)
		merge->inputs[i].reader = readers[i];
	return 0;
}

int merge_open(struct merge **merge, struct reader **readers, size_t count, enum merge_clock clock,
	       log_fn log, void *log_context, char *reason)
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
	err = take_readers(self, readers, count);
	if (err)
		goto out;
	self->heap = calloc(count, sizeof(*self->heap));
	self->out = calloc(OUT_EVENTS, sizeof(*self->out));
	if (!self->heap || !self->out) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; !err && i < count; i++) {
		err = merge_input_read_ahead(&self->inputs[i]);
		if (err && err != -ENOMEM)
			snprintf(reason, MERGE_REASON_MAX, "cannot read '%s': %s",
				 reader_name(readers[i]), strerror(-err));
	}
	if (!err)
		err = merge_join_tables(&self->info, self->inputs, count, clock == MERGE_CLOCK_AUTO,
					log, log_context, reason);
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
