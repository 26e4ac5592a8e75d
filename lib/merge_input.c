// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "merge_input.h"

/* A file that has so many row batches before its first event is not worth more memory. */
#define AHEAD_MAX (8u << 20) /* bytes */

static uint64_t shift_time(uint64_t time_ns, int64_t shift_ns)
{
	uint64_t sum = time_ns + (uint64_t)shift_ns;

	if (shift_ns < 0 && sum > time_ns)
		return 0;
	if (shift_ns > 0 && sum < time_ns)
		return UINT64_MAX;
	return sum;
}

bool merge_has_times(enum batch_type type)
{
	return type == BATCH_EVENTS || type == BATCH_EPOCHS;
}

uint64_t merge_input_time(const struct merge_input *input)
{
	const struct batch *batch = &input->batch;
	uint64_t time_ns = batch->type == BATCH_EVENTS ? batch->events[input->at].time_ns
						       : batch->epochs[input->at].time_ns;

	return shift_time(time_ns, input->shift_ns);
}

size_t merge_input_take(struct merge_input *input, uint64_t until_ns, struct vnt_event *out,
			size_t room)
{
	const struct vnt_event *events = input->batch.events + input->at;
	size_t left = input->batch.count - input->at, taken = 0;

	while (taken < room && taken < left) {
		uint64_t time_ns = shift_time(events[taken].time_ns, input->shift_ns);

		if (time_ns > until_ns)
			break;
		out[taken] = events[taken];
		out[taken].time_ns = time_ns;
		out[taken].probe = input->probes[events[taken].probe];
		taken++;
	}
	input->at += taken;
	return taken;
}

static void map_flow(const struct merge_input *input, void *row)
{
	(void)input;
	(void)row;
}

static void map_anchor(const struct merge_input *input, void *row)
{
	struct anchor_row *anchor = row;

	anchor->domain = input->domains[anchor->domain];
}

static void map_loss(const struct merge_input *input, void *row)
{
	struct loss_row *loss = row;

	loss->first_ns = shift_time(loss->first_ns, input->shift_ns);
	loss->last_ns = shift_time(loss->last_ns, input->shift_ns);
	loss->domain = input->domains[loss->domain];
	if (loss->probe != ANY_PROBE)
		loss->probe = input->probes[loss->probe];
}

static void map_epoch(const struct merge_input *input, void *row)
{
	struct epoch_row *epoch = row;

	epoch->time_ns = shift_time(epoch->time_ns, input->shift_ns);
	epoch->probe = input->probes[epoch->probe];
}

static void map_cost(const struct merge_input *input, void *row)
{
	struct cost_row *cost = row;

	cost->domain = input->domains[cost->domain];
}

static const struct {
	size_t size;
	void (*map)(const struct merge_input *input, void *row);
} row_types[BATCH_TYPES] = {
	[BATCH_FLOWS] = {sizeof(struct flow_row), map_flow},
	[BATCH_ANCHORS] = {sizeof(struct anchor_row), map_anchor},
	[BATCH_LOSSES] = {sizeof(struct loss_row), map_loss},
	[BATCH_EPOCHS] = {sizeof(struct epoch_row), map_epoch},
	[BATCH_COSTS] = {sizeof(struct cost_row), map_cost},
};

size_t merge_row_size(enum batch_type type)
{
	return row_types[type].size;
}

void merge_input_map_rows(const struct merge_input *input, enum batch_type type, void *rows,
			  size_t count)
{
	for (size_t i = 0; i < count; i++)
		row_types[type].map(input, (char *)rows + i * row_types[type].size);
}

static void note_anchors(struct merge_input *input, const struct batch *batch, size_t *missing)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct anchor_row *first = &input->anchors[batch->anchors[i].domain];

		if (first->mono_ns || !batch->anchors[i].mono_ns)
			continue;
		*first = batch->anchors[i];
		(*missing)--;
	}
}

static int keep_rows(struct merge_input *input, const struct batch *batch)
{
	size_t size = merge_row_size(batch->type) * batch->count;
	struct ahead *grown = reallocarray(input->ahead, input->nahead + 1, sizeof(*grown));
	void *rows;

	if (!grown)
		return -ENOMEM;
	input->ahead = grown;
	rows = malloc(size ? size : 1);
	if (!rows)
		return -ENOMEM;
	memcpy(rows, batch->rows, size);
	grown[input->nahead] = (struct ahead){*batch, reader_found(input->reader, batch)};
	grown[input->nahead++].batch.rows = rows;
	return 0;
}

int merge_input_read_ahead(struct merge_input *input)
{
	const struct trace_info *info = reader_info(input->reader);
	size_t missing = info->ndomains, bytes = 0;
	struct batch batch;
	int err = activity_open(&input->activity, info->nprobes);

	if (err)
		return err;
	input->anchors = calloc(missing + 1, sizeof(*input->anchors));
	if (!input->anchors)
		return -ENOMEM;
	while (!err && missing && bytes < AHEAD_MAX) {
		err = reader_next(input->reader, &batch);
		if (err <= 0)
			return err;
		if (batch.type == BATCH_EVENTS) {
			input->waiting = batch;
			return 0;
		}
		if (batch.type == BATCH_ANCHORS)
			note_anchors(input, &batch, &missing);
		bytes += merge_row_size(batch.type) * batch.count;
		err = keep_rows(input, &batch);
	}
	return err;
}

/* What was read ahead comes first, in the order it was read. *found as in struct ahead. */
static int next_read(struct merge_input *input, struct batch *batch, bool *found)
{
	int err;

	*found = false;
	if (input->delivered < input->nahead) {
		*found = input->ahead[input->delivered].found;
		*batch = input->ahead[input->delivered++].batch;
		return 1;
	}
	if (input->waiting.count) {
		*batch = input->waiting;
		input->waiting.count = 0;
		return 1;
	}
	err = reader_next(input->reader, batch);
	*found = err > 0 && reader_found(input->reader, batch);
	return err;
}

/* With the epochs that the input lacks where it was damaged, or where it breaks off. Damage that an
 * earlier merge met is in the ledger of what it wrote, and its epochs are there. */
static int next_batch(struct merge_input *input, struct batch *batch)
{
	bool found;
	int err;

	if (activity_next(&input->activity, batch))
		return 1;
	err = next_read(input, batch, &found);
	if (err > 0 && (found || batch->type != BATCH_LOSSES))
		activity_note(&input->activity, batch);
	if (err)
		return err;
	activity_end(&input->activity);
	return activity_next(&input->activity, batch);
}

int merge_input_next(struct merge_input *input, struct batch *batch)
{
	int err = input->ended ? 0 : next_batch(input, batch);

	if (!err)
		input->ended = true;
	if (err > 0 && merge_has_times(batch->type)) {
		input->batch = *batch;
		input->at = 0;
	}
	return err;
}

size_t merge_input_first_empty(const struct merge_input *inputs, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (inputs[i].at == inputs[i].batch.count && !inputs[i].ended)
			break;
	return i;
}

void merge_input_release(struct merge_input *input)
{
	for (size_t i = 0; i < input->nahead; i++)
		free((void *)input->ahead[i].batch.rows);
	free(input->ahead);
	free(input->anchors);
	free(input->domains);
	free(input->probes);
	activity_release(&input->activity);
	reader_close(input->reader);
}
