// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "merge_input.h"

/* More rows than that between two events are not worth more memory. */
#define AHEAD_MAX (8u << 20) /* bytes */

#define PREFETCH 16 /* events ahead */

/* A time of the input on the merge's clock. */
static uint64_t correct(const struct merge_input *input, uint64_t time_ns)
{
	size_t piece = input->piece;

	return timeline_map(&input->timeline, &piece, time_ns);
}

bool merge_has_times(enum batch_type type)
{
	return type == BATCH_EVENTS || type == BATCH_LEGS || type == BATCH_EPOCHS;
}

uint64_t merge_input_time(struct merge_input *input)
{
	const struct batch *batch = &input->batch;
	uint64_t time_ns;

	if (input->timed == input->at)
		return input->time_ns;
	if (batch->type == BATCH_LEGS)
		return batch->legs[input->at].first_ns;
	if (batch->type == BATCH_EVENTS)
		time_ns = batch->events[input->at].time_ns;
	else
		time_ns = batch->epochs[input->at].time_ns;
	if (batch->type == BATCH_EPOCHS && time_ns > input->next_ns)
		time_ns = input->next_ns;
	input->timed = input->at;
	input->time_ns = correct(input, time_ns);
	return input->time_ns;
}

static size_t take_legs(const struct merge_input *input, uint64_t until_ns, uint64_t *times,
			size_t room)
{
	const struct leg *legs = input->batch.legs + input->at;
	size_t taken = 0;

	for (; taken < room && legs[taken].first_ns <= until_ns; taken++)
		times[taken] = legs[taken].first_ns;
	return taken;
}

static size_t take_events(struct merge_input *input, uint64_t until_ns, uint64_t *times,
			  size_t room)
{
	const struct vnt_event *events = input->batch.events + input->at;
	struct timeline_piece piece;
	uint64_t last_ns, time_ns;
	size_t taken = 0;

	if (room)
		piece = timeline_at(&input->timeline, &input->piece, events->time_ns, &last_ns);
	for (; taken < room; taken++) {
		__builtin_prefetch(&events[taken + PREFETCH]);
		if (events[taken].time_ns > last_ns)
			piece = timeline_at(&input->timeline, &input->piece, events[taken].time_ns,
					    &last_ns);
		time_ns = timeline_apply(&piece, events[taken].time_ns);
		if (time_ns > until_ns)
			break;
		times[taken] = time_ns;
	}
	return taken;
}

size_t merge_input_take(struct merge_input *input, uint64_t until_ns, uint64_t *times, size_t room)
{
	size_t left = input->batch.count - input->at, taken;

	room = room < left ? room : left;
	taken = input->batch.type == BATCH_LEGS ? take_legs(input, until_ns, times, room)
						: take_events(input, until_ns, times, room);
	input->at += taken;
	return taken;
}

/* Hashes mean the same in all domains, and counts are made with the merge's numbers. */
static void map_nothing(const struct merge_input *input, void *row)
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

	loss->first_ns = correct(input, loss->first_ns);
	loss->last_ns = correct(input, loss->last_ns);
	loss->domain = input->domains[loss->domain];
	if (loss->probe != ANY_PROBE)
		loss->probe = input->probes[loss->probe];
}

static void map_epoch(const struct merge_input *input, void *row)
{
	struct epoch_row *epoch = row;

	epoch->time_ns = correct(input, epoch->time_ns);
	epoch->probe = input->probes[epoch->probe];
}

static void map_translation(const struct merge_input *input, void *row)
{
	struct translation_row *translation = row;

	translation->time_ns = correct(input, translation->time_ns);
	translation->probe = input->probes[translation->probe];
}

static void map_cost(const struct merge_input *input, void *row)
{
	struct cost_row *cost = row;

	cost->domain = input->domains[cost->domain];
}

static void map_vm(const struct merge_input *input, void *row)
{
	struct vm_row *vm = row;

	vm->domain = input->domains[vm->domain];
}

static void map_range(const struct merge_input *input, void *row)
{
	struct range_row *range = row;

	range->domain = input->domains[range->domain];
}

static const struct {
	size_t size;
	void (*map)(const struct merge_input *input, void *row);
} row_types[BATCH_TYPES] = {
	[BATCH_FLOWS] = {sizeof(struct flow_row), map_nothing},
	[BATCH_ANCHORS] = {sizeof(struct anchor_row), map_anchor},
	[BATCH_LOSSES] = {sizeof(struct loss_row), map_loss},
	[BATCH_EPOCHS] = {sizeof(struct epoch_row), map_epoch},
	[BATCH_COSTS] = {sizeof(struct cost_row), map_cost},
	[BATCH_TUNNELS] = {sizeof(struct tunnel_row), map_nothing},
	[BATCH_TRANSLATIONS] = {sizeof(struct translation_row), map_translation},
	[BATCH_VMS] = {sizeof(struct vm_row), map_vm},
	[BATCH_RANGES] = {sizeof(struct range_row), map_range},
	[BATCH_COUNTS] = {sizeof(struct count_row), map_nothing},
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

static void note_anchors(struct merge_input *input, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct anchor_row *first = &input->anchors[batch->anchors[i].domain];

		if (first->mono_ns || !batch->anchors[i].mono_ns)
			continue;
		*first = batch->anchors[i];
		input->missing--;
	}
}

/* Where rows of this type go: to others of it, if these are the last ones that wait. */
static struct ahead *find_place(struct merge_input *input, enum batch_type type)
{
	if (input->nahead > input->delivered && input->ahead[input->nahead - 1].type == type)
		return &input->ahead[input->nahead - 1];
	if (array_reserve(&input->ahead, &input->ahead_room, input->nahead + 1,
			  sizeof(*input->ahead)))
		return NULL;
	input->ahead[input->nahead] = (struct ahead){.type = type};
	input->ahead_bytes += sizeof(*input->ahead);
	return &input->ahead[input->nahead++];
}

static int keep_rows(struct merge_input *input, const struct batch *batch)
{
	struct ahead *ahead = batch->count ? find_place(input, batch->type) : NULL;
	size_t size = merge_row_size(batch->type);

	if (!batch->count)
		return 0;
	if (!ahead || array_reserve(&ahead->rows, &ahead->room, ahead->count + batch->count, size))
		return -ENOMEM;
	memcpy((char *)ahead->rows + ahead->count * size, batch->rows, batch->count * size);
	ahead->count += batch->count;
	input->ahead_bytes += batch->count * size;
	return 0;
}

static void drop_rows(struct merge_input *input)
{
	for (size_t i = 0; i < input->nahead; i++)
		free(input->ahead[i].rows);
	input->nahead = 0;
	input->delivered = 0;
	input->ahead_bytes = 0;
}

/* Did damage end epochs that no missing event tells of? Then these come first. */
static bool hold_behind_damage(struct merge_input *input, struct batch *batch)
{
	uint64_t damaged = fetch_damaged(&input->fetch);
	bool more = damaged != input->damaged;
	struct batch epochs;

	input->damaged = damaged;
	if (!more || reader_found(input->reader, batch))
		return false;
	activity_gap(&input->activity);
	if (!activity_next(&input->activity, &epochs))
		return false;
	input->held = *batch;
	*batch = epochs;
	return true;
}

/* Where damage may hide the end, that was said; and one that is still recorded has none. */
static void end_input(struct merge_input *input)
{
	char line[512];

	if (!reader_is_growing(input->reader) && !input->activity.ended &&
	    !activity_complete(&input->activity) &&
	    fetch_damaged(&input->fetch) == input->damaged_before) {
		input->incomplete = true;
		snprintf(line, sizeof(line),
			 "'%.400s' is incomplete: the end of its recording is missing",
			 reader_name(input->reader));
		if (input->log)
			input->log(input->log_context, line);
	}
	activity_end(&input->activity);
}

/* With the epochs that the input lacks where it was damaged, or where it breaks off. Damage that an
 * earlier merge met is in the ledger of what it wrote, and its epochs are there. */
static int read_batch(struct merge_input *input, struct batch *batch)
{
	bool found;
	int err = 1;

	if (activity_next(&input->activity, batch))
		return 1;
	if (input->held.count) {
		*batch = input->held;
		input->held.count = 0;
	} else {
		err = fetch_next(&input->fetch, batch, input->thread);
		if (err > 0 && hold_behind_damage(input, batch))
			return 1;
	}
	if (err < 0)
		return err;
	if (!err) {
		end_input(input);
		return activity_next(&input->activity, batch);
	}
	found = reader_found(input->reader, batch);
	if (batch->type != BATCH_LOSSES || found)
		activity_note(&input->activity, batch);
	if (batch->type != BATCH_EPOCHS && !found)
		input->damaged_before = fetch_damaged(&input->fetch);
	return 1;
}

/* Can more be read without letting go of what waits? */
static bool can_read_on(const struct merge_input *input)
{
	return !input->waiting.count && !input->stopped && !input->exhausted &&
	       input->ahead_bytes < AHEAD_MAX;
}

/* One more batch to those that wait. 0 or -errno. */
static int read_on(struct merge_input *input)
{
	struct batch batch;
	int err = read_batch(input, &batch);

	if (err <= 0) {
		input->exhausted = true;
		return err;
	}
	if (batch.type == BATCH_EVENTS || batch.type == BATCH_LEGS) {
		input->waiting = batch;
		input->stopped = !batch.count;
		return 0;
	}
	if (batch.type == BATCH_ANCHORS)
		note_anchors(input, &batch);
	return keep_rows(input, &batch);
}

int merge_input_read_ahead(struct merge_input *input)
{
	const struct trace_info *info = reader_info(input->reader);
	int err = activity_open(&input->activity, info->nprobes);

	if (err)
		return err;
	input->missing = info->ndomains;
	input->anchors = calloc(input->missing + 1, sizeof(*input->anchors));
	if (!input->anchors)
		return -ENOMEM;
	while (!err && input->missing && can_read_on(input))
		err = read_on(input);
	return err;
}

/* What is known of the events behind the rows that wait: none of them is older. */
static uint64_t next_event(const struct merge_input *input)
{
	if (input->waiting.count)
		return input->waiting.first_ns;
	return input->exhausted ? UINT64_MAX : input->last_ns;
}

static int take_epochs_ahead(struct merge_input *input)
{
	int err = 0;

	while (!err && can_read_on(input))
		err = read_on(input);
	input->next_ns = next_event(input);
	return err;
}

static int take_ahead(struct merge_input *input, struct batch *batch)
{
	bool epochs = input->ahead[input->delivered].type == BATCH_EPOCHS;
	int err = epochs ? take_epochs_ahead(input) : 0;
	const struct ahead *ahead = &input->ahead[input->delivered++];

	*batch = (struct batch){.type = ahead->type, .count = ahead->count, .rows = ahead->rows};
	return err ? err : 1;
}

static int take_batch(struct merge_input *input, struct batch *batch)
{
	if (input->delivered < input->nahead)
		return take_ahead(input, batch);
	if (!input->waiting.count)
		return 0;
	*batch = input->waiting;
	input->waiting.count = 0;
	input->last_ns = batch->last_ns;
	return 1;
}

static void set_current(struct merge_input *input, const struct batch *batch)
{
	input->batch = *batch;
	input->at = 0;
	input->timed = SIZE_MAX;
}

int merge_input_next(struct merge_input *input, struct batch *batch)
{
	int err = 0;

	if (input->delivered == input->nahead) {
		drop_rows(input);
		if (can_read_on(input))
			err = read_on(input);
	}
	if (!err)
		err = take_batch(input, batch);
	if (err > 0 && batch_has_events(batch))
		input->end_ns = correct(input, batch->last_ns);
	if (err > 0 && merge_has_times(batch->type))
		set_current(input, batch);
	return err;
}

size_t merge_input_memory(const struct merge_input *input)
{
	return fetch_memory(&input->fetch) + input->ahead_bytes;
}

void merge_input_release(struct merge_input *input)
{
	fetch_stop(&input->fetch);
	drop_rows(input);
	free(input->ahead);
	free(input->anchors);
	free(input->domains);
	free(input->probes);
	timeline_release(&input->timeline);
	clock_estimate_release(&input->estimate);
	activity_release(&input->activity);
	reader_close(input->reader);
}
