// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "merge_private.h"

#define WIDTH_MAX (SORT_SPAN / 4)

/* A place in the order of time: those of equal time come in the order of the inputs. */
struct place {
	uint64_t time_ns;
	size_t input;
};

const struct trace_info *merge_info(const struct merge *merge)
{
	return &merge->info;
}

uint64_t merge_damaged(const struct merge *merge)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		bytes += fetch_damaged(&merge->inputs[i].fetch);
	return bytes;
}

size_t merge_inputs_memory(const struct merge *merge)
{
	size_t bytes = 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		bytes += merge_input_memory(&merge->inputs[i]);
	return bytes;
}

static uint64_t inputs_offset(const struct merge *merge)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		bytes += fetch_offset(&merge->inputs[i].fetch);
	return bytes;
}

uint64_t merge_offset(const struct merge *merge)
{
	return merge->rounds[merge->side].offset;
}

size_t merge_memory(const struct merge *merge)
{
	size_t rows = 2ull * ROUND * SORT_MAX *
		      (merge->has_legs ? sizeof(struct leg) : sizeof(struct vnt_event));

	return sizeof(*merge) + rows + merge->rounds[merge->side].memory;
}

struct pool *merge_pool(struct merge *merge)
{
	return merge->pool;
}

int merge_threads(struct merge *merge, unsigned int threads)
{
	size_t events = DECODED_AHEAD / merge->ninputs / DECODED * DECODED;

	for (size_t i = 0; threads > 1 && events > DECODED && i < merge->ninputs; i++)
		reader_limit(merge->inputs[i].reader, events);
	return pool_grow(merge->pool, threads < POOL_THREADS_MAX ? threads : POOL_THREADS_MAX);
}

bool merge_incomplete(const struct merge *merge)
{
	bool incomplete = merge_damaged(merge) > 0;

	for (size_t i = 0; i < merge->ninputs; i++)
		incomplete |= merge->inputs[i].incomplete;
	return incomplete;
}

static bool comes_before(const struct place *a, const struct place *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->input < b->input;
}

static void keep_first(struct place *first, uint64_t time_ns, size_t input)
{
	const struct place place = {time_ns, input};

	if (comes_before(&place, first))
		*first = place;
}

static bool has_rows(const struct merge_input *input)
{
	return input->at < input->batch.count;
}

/* The input whose next batch must be read before anything else, or ninputs. */
static size_t next_refill(const struct merge *merge)
{
	size_t i = merge->filled;

	if (i == merge->ninputs)
		for (i = 0; i < merge->ninputs; i++)
			if (merge->inputs[i].batch.count && !has_rows(&merge->inputs[i]))
				break;
	return i;
}

/* Where the next row is, but for those of input `except`; input is ninputs if there is none. */
static struct place next_row(const struct merge *merge, size_t except)
{
	struct place first = {UINT64_MAX, merge->ninputs};

	for (size_t i = 0; i < merge->ninputs; i++)
		if (i != except && has_rows(&merge->inputs[i]))
			keep_first(&first, merge_input_time(&merge->inputs[i]), i);
	return first;
}

/* Up to where events can be taken: to the end of a batch, or to an epoch. */
static struct place next_stop(const struct merge *merge)
{
	struct place stop = {UINT64_MAX, merge->ninputs};

	for (size_t i = 0; i < merge->ninputs; i++) {
		struct merge_input *input = &merge->inputs[i];

		if (has_rows(input))
			keep_first(&stop,
				   input->batch.type == BATCH_EPOCHS ? merge_input_time(input)
								     : input->end_ns,
				   i);
	}
	return stop;
}

/* The last time up to which rows of `input` come before the place, or are at it; false if there is none. */
static bool last_time(const struct place *place, size_t input, uint64_t *until_ns)
{
	*until_ns = input > place->input ? place->time_ns - 1 : place->time_ns;
	return input <= place->input || place->time_ns;
}

/* Turns the times of an input's events, which it took last, into keys. */
static void make_keys(struct merge *merge, size_t index, uint64_t first_ns, size_t place)
{
	uint64_t *keys = merge->sorter.keys[0];
	size_t count = merge->taken[index], at = merge->inputs[index].at - count;

	for (size_t i = 0; i < count; i++, place++) {
		keys[place] = (keys[place] - first_ns) << SORT_LOG | place;
		merge->sources[place] = (struct source){index, at + i};
	}
}

/* Takes the events up to `stop` and until_ns, one input's behind another's. False if there are more
 * than room for them. */
static bool take_runs(struct merge *merge, const struct place *stop, uint64_t first_ns,
		      uint64_t until_ns, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < merge->ninputs; i++) {
		struct merge_input *input = &merge->inputs[i];
		uint64_t last_ns;

		merge->taken[i] = 0;
		if (!has_rows(input) || input->batch.type == BATCH_EPOCHS ||
		    !last_time(stop, i, &last_ns))
			continue;
		last_ns = until_ns < last_ns ? until_ns : last_ns;
		if (merge_input_time(input) > last_ns)
			continue;
		merge->taken[i] = merge_input_take(input, last_ns, merge->sorter.keys[0] + *count,
						   SORT_MAX - *count);
		make_keys(merge, i, first_ns, *count);
		*count += merge->taken[i];
		if (*count == SORT_MAX && has_rows(input) && merge_input_time(input) <= last_ns)
			return false;
	}
	return true;
}

/* Takes it back: the inputs from the last one on that were asked for are as before. */
static void untake_runs(struct merge *merge, size_t count)
{
	for (size_t i = 0; count; i++) {
		merge->inputs[i].at -= merge->taken[i];
		count -= merge->taken[i];
	}
}

static uint64_t end_of_step(const struct merge *merge, uint64_t first_ns)
{
	return first_ns < UINT64_MAX - merge->width_ns ? first_ns + merge->width_ns : UINT64_MAX;
}

static struct batch gather_legs(struct merge *merge, const uint64_t *keys, size_t count)
{
	struct leg *leg = merge->making->legs;

	for (size_t i = 0; i < count; i++, leg++) {
		struct source source = merge->sources[keys[i] % SORT_MAX];

		*leg = merge->inputs[source.input].batch.legs[source.at];
		leg->number = merge->nlegs++;
	}
	return (struct batch){.type = BATCH_LEGS, .count = count, .legs = merge->making->legs};
}

static struct batch gather_events(struct merge *merge, const uint64_t *keys, uint64_t first_ns,
				  size_t count)
{
	struct vnt_event *event = merge->making->events;

	for (size_t i = 0; i < count; i++, event++) {
		struct source source = merge->sources[keys[i] % SORT_MAX];
		const struct merge_input *input = &merge->inputs[source.input];
		const struct vnt_event *from = &input->batch.events[source.at];

		*event = *from;
		event->time_ns = first_ns + (keys[i] >> SORT_LOG);
		event->probe = input->probes[from->probe];
	}
	return (struct batch){
		.type = BATCH_EVENTS, .count = count, .events = merge->making->events};
}

/* The next events, from `first` on, with those of equal time complete or the first ones of them. */
static int take_events(struct merge *merge, const struct place *first, struct batch *batch)
{
	const struct place stop = next_stop(merge);
	const uint64_t *keys = merge->sorter.keys[0];
	uint64_t until_ns = end_of_step(merge, first->time_ns);
	size_t count;

	while (!take_runs(merge, &stop, first->time_ns, until_ns, &count) && merge->width_ns) {
		untake_runs(merge, count);
		merge->width_ns /= 2;
		until_ns = end_of_step(merge, first->time_ns);
	}
	if (count < SORT_MAX / 2 && until_ns < stop.time_ns && merge->width_ns < WIDTH_MAX)
		merge->width_ns = merge->width_ns * 2 + 1;
	if (merge->taken[first->input] < count)
		keys = merge->ninputs == 2 ? sorter_join(&merge->sorter, merge->taken[0], count)
					   : sorter_run(&merge->sorter, count);
	*batch = merge->has_legs ? gather_legs(merge, keys, count)
				 : gather_events(merge, keys, first->time_ns, count);
	merge->refill = next_refill(merge);
	return 1;
}

/* Drops flows, or tunnels, that were passed on lately; returns how many are left. */
static size_t keep_new(struct merge *merge, enum batch_type type, size_t count)
{
	size_t size = merge_row_size(type), kept = 0;
	char *rows = merge->making->rows;

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

	if (size > merge->making->rows_size) {
		void *grown = realloc(merge->making->rows, size);

		if (!grown)
			return -ENOMEM;
		merge->making->rows = grown;
		merge->making->rows_size = size;
	}
	memcpy(merge->making->rows, batch->rows, size);
	merge_input_map_rows(input, batch->type, merge->making->rows, batch->count);
	batch->rows = merge->making->rows;
	if (batch->type == BATCH_FLOWS || batch->type == BATCH_TUNNELS)
		batch->count = keep_new(merge, batch->type, batch->count);
	/* Of a merge whose reference is not that of this one: its times and bounds are others now. */
	if (batch->type == BATCH_RANGES && input != merge->inputs)
		batch->count = 0;
	return 1;
}

/* Epochs come at their time, so that a sink knows who was observing when: those of one time. */
static int take_epochs(struct merge *merge, size_t index, struct batch *batch)
{
	struct merge_input *input = &merge->inputs[index];
	uint64_t now_ns = merge_input_time(input);
	size_t first = input->at;

	while (has_rows(input) && merge_input_time(input) == now_ns)
		input->at++;
	*batch = (struct batch){.type = BATCH_EPOCHS,
				.count = input->at - first,
				.now_ns = now_ns > input->end_ns ? now_ns : input->end_ns,
				.epochs = input->batch.epochs + first};
	merge->refill = next_refill(merge);
	return pass_rows(merge, input, batch);
}

/* Reads on in the input whose batch is used up. 1: *batch is rows to pass on; 0; -errno. */
static int refill(struct merge *merge, struct batch *batch)
{
	struct merge_input *input = &merge->inputs[merge->refill];
	int err;

	input->thread = merge->thread;
	err = merge_input_next(input, batch);
	if (err < 0)
		return err;
	if (!err)
		input->batch.count = input->at = 0;
	if (!err || has_rows(input)) {
		merge->filled += merge->refill == merge->filled;
		merge->refill = next_refill(merge);
	}
	return err && !merge_has_times(batch->type) ? pass_rows(merge, input, batch) : 0;
}

/* Before all else: what it says of times must be known before these. */
static int take_ranges(struct merge *merge, struct batch *batch)
{
	*batch = (struct batch){
		.type = BATCH_RANGES, .count = merge->ranges.count, .ranges = merge->ranges.rows};
	merge->ranges.count = 0;
	return 1;
}

/* As merge_next(), to what is being made. */
static int make_batch(struct merge *merge, struct batch *batch)
{
	struct place first;

	if (merge->ranges.count)
		return take_ranges(merge, batch);
	while (merge->refill != merge->ninputs) {
		int err = refill(merge, batch);

		if (err < 0 || (err && batch->count))
			return err;
	}
	first = next_row(merge, merge->ninputs);
	if (first.input == merge->ninputs)
		return 0;
	if (merge->inputs[first.input].batch.type == BATCH_EPOCHS)
		return take_epochs(merge, first.input, batch);
	return take_events(merge, &first, batch);
}

/* Alone a thread makes one batch, which it then finds in the cache. */
void merge_make_round(struct task *task, unsigned int thread)
{
	struct merge *merge = (struct merge *)((char *)task - offsetof(struct merge, task));
	struct round *round = &merge->rounds[!merge->side];
	size_t count = pool_threads(merge->pool) > 1 ? ROUND : 1;

	merge->thread = thread;
	round->count = 0;
	do {
		merge->making = &round->merged[round->count++];
		merge->making->result = make_batch(merge, &merge->making->batch);
	} while (merge->making->result > 0 && round->count < count);
	round->memory = merge_inputs_memory(merge);
	round->offset = inputs_offset(merge);
}

/* Up to now nothing was decoded but what comes before events. */
static void merge_start(struct merge *merge)
{
	for (size_t i = 0; i < merge->ninputs; i++) {
		reader_hold(merge->inputs[i].reader, false);
		merge->inputs[i].stopped = false;
		fetch_start(&merge->inputs[i].fetch, merge->pool);
	}
	merge->started = true;
}

int merge_next(struct merge *merge, struct batch *batch)
{
	const struct round *round = &merge->rounds[merge->side];
	const struct merged *last = round->count ? &round->merged[round->count - 1] : NULL;

	if (last && merge->handed == round->count && last->result <= 0)
		return last->result;
	if (!merge->started)
		merge_start(merge);
	if (merge->handed == round->count) {
		if (!last)
			pool_submit(merge->pool, &merge->task);
		pool_wait(merge->pool, &merge->task, 0);
		merge->side = !merge->side;
		merge->handed = 0;
		round = &merge->rounds[merge->side];
		if (round->merged[round->count - 1].result > 0)
			pool_submit(merge->pool, &merge->task);
	}
	last = &round->merged[merge->handed++];
	*batch = last->batch;
	return last->result;
}
