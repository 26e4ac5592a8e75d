// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "activity.h"

int activity_open(struct activity *activity, size_t nprobes)
{
	memset(activity, 0, sizeof(*activity));
	activity->nprobes = nprobes;
	activity->states = calloc(nprobes + 1, sizeof(*activity->states));
	activity->rows = calloc(nprobes + 1, sizeof(*activity->rows));
	if (activity->states && activity->rows)
		return 0;
	activity_release(activity);
	return -ENOMEM;
}

static void cover(struct activity *activity, uint64_t time_ns)
{
	if (time_ns > activity->last_ns)
		activity->last_ns = time_ns;
}

static void make_up(struct activity *activity, uint64_t time_ns, bool active)
{
	activity->pending[activity->npending++] =
		(struct epoch_row){.time_ns = time_ns, .active = active};
}

static void note_loss(struct activity *activity, const struct loss_row *row)
{
	if (row->cause != LOSS_DAMAGED_FILE || activity->npending)
		return;
	make_up(activity, row->first_ns, false);
	make_up(activity, row->last_ns, true);
	cover(activity, row->last_ns);
}

void activity_note(struct activity *activity, const struct batch *batch)
{
	if (batch->type == BATCH_EVENTS && batch->count)
		cover(activity, batch->events[batch->count - 1].time_ns);
	for (size_t i = 0; batch->type == BATCH_EPOCHS && i < batch->count; i++) {
		const struct epoch_row *epoch = &batch->epochs[i];

		activity->states[epoch->probe] = epoch->active ? ACTIVITY_ACTIVE : ACTIVITY_ENDED;
		cover(activity, epoch->time_ns);
	}
	for (size_t i = 0; batch->type == BATCH_LOSSES && i < batch->count; i++)
		note_loss(activity, &batch->losses[i]);
}

bool activity_complete(const struct activity *activity)
{
	for (size_t i = 0; i < activity->nprobes; i++)
		if (activity->states[i] != ACTIVITY_ENDED)
			return false;
	return true;
}

void activity_end(struct activity *activity)
{
	if (!activity->ended)
		make_up(activity, activity->last_ns, false);
	activity->ended = true;
}

bool activity_next(struct activity *activity, struct batch *batch)
{
	size_t count = 0;

	while (!count && activity->npending) {
		const struct epoch_row epoch = activity->pending[0];

		activity->pending[0] = activity->pending[1];
		activity->npending--;
		for (size_t i = 0; i < activity->nprobes; i++) {
			if (activity->states[i] != ACTIVITY_ACTIVE)
				continue;
			activity->rows[count] = epoch;
			activity->rows[count++].probe = i;
		}
	}
	*batch = (struct batch){.type = BATCH_EPOCHS, .count = count, .epochs = activity->rows};
	return count > 0;
}

void activity_release(struct activity *activity)
{
	free(activity->states);
	free(activity->rows);
	memset(activity, 0, sizeof(*activity));
}
