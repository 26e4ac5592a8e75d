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
	activity->sampling = calloc(nprobes + 1, sizeof(*activity->sampling));
	activity->rows = calloc(nprobes + 1, sizeof(*activity->rows));
	if (activity->states && activity->sampling && activity->rows)
		return 0;
	activity_release(activity);
	return -ENOMEM;
}

static void cover(struct activity *activity, uint64_t time_ns)
{
	if (time_ns > activity->last_ns)
		activity->last_ns = time_ns;
}

static void make_up(struct activity *activity, uint64_t time_ns, const struct pending *what)
{
	activity->pending[activity->npending] = *what;
	activity->pending[activity->npending++].epoch.time_ns = time_ns;
}

static const struct pending end_all = {{.active = false}, .sampling = true, .others = true};
static const struct pending end_sampling = {{.active = false}, .sampling = true};
static const struct pending resume_others = {{.active = true}, .others = true};

/* What was read before the damage was observed, whatever time that begins at: 0 where nothing told it. */
static void note_loss(struct activity *activity, const struct loss_row *row)
{
	if (row->cause != LOSS_DAMAGED_FILE || activity->npending)
		return;
	cover(activity, row->first_ns);
	make_up(activity, activity->last_ns, &end_all);
	cover(activity, row->last_ns);
	make_up(activity, activity->last_ns, &resume_others);
}

void activity_note(struct activity *activity, const struct batch *batch)
{
	if (batch_has_events(batch))
		cover(activity, batch->last_ns);
	for (size_t i = 0; batch->type == BATCH_EPOCHS && i < batch->count; i++) {
		const struct epoch_row *row = &batch->epochs[i];

		activity->states[row->probe] = row->active ? ACTIVITY_ACTIVE : ACTIVITY_ENDED;
		if (row->active)
			activity->sampling[row->probe] = row->sampling != 0;
		cover(activity, row->time_ns);
	}
	for (size_t i = 0; batch->type == BATCH_LOSSES && i < batch->count; i++)
		note_loss(activity, &batch->losses[i]);
}

void activity_gap(struct activity *activity)
{
	if (!activity->npending)
		make_up(activity, activity->last_ns, &end_sampling);
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
		make_up(activity, activity->last_ns, &end_all);
	activity->ended = true;
}

bool activity_next(struct activity *activity, struct batch *batch)
{
	size_t count = 0;

	while (!count && activity->npending) {
		const struct pending pending = activity->pending[0];

		activity->pending[0] = activity->pending[1];
		activity->npending--;
		for (size_t i = 0; i < activity->nprobes; i++) {
			bool sampling = activity->sampling[i];

			if (activity->states[i] != ACTIVITY_ACTIVE ||
			    !(sampling ? pending.sampling : pending.others))
				continue;
			if (sampling)
				activity->states[i] = ACTIVITY_PAUSED;
			activity->rows[count] = pending.epoch;
			activity->rows[count++].probe = i;
		}
	}
	*batch = (struct batch){.type = BATCH_EPOCHS, .count = count, .epochs = activity->rows};
	return count > 0;
}

void activity_release(struct activity *activity)
{
	free(activity->states);
	free(activity->sampling);
	free(activity->rows);
	memset(activity, 0, sizeof(*activity));
}
