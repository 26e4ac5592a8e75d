// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tracks.h"

#define ROWS_MAX 256 /* a power of two */

static int settled_track(struct track *track, const struct load *load, uint32_t from, uint32_t to)
{
	const uint64_t *row = load->rows;
	int64_t durations[ROWS_MAX];

	for (uint32_t i = 0; i < load->nrows; i++, row += load->nhops + (size_t)1)
		durations[i] = row[to] - row[from];
	return track_add(track, durations, load->nrows);
}

static int settled_rows(struct settled *settled, const struct load *load)
{
	uint32_t nhops = load->nhops;
	const uint64_t *row = load->rows;
	int err = 0;

	for (uint32_t hop = 0; hop < nhops && !err; hop++)
		err = settled_track(&settled->tracks[hop], load, hop, hop + 1);
	if (!err)
		err = settled_track(&settled->tracks[nhops], load, 0, nhops);
	for (uint32_t i = 0; i < load->nrows && !err; i++, row += nhops + (size_t)1)
		err = reorder_add(&settled->reorder, row[0], row[nhops]);
	return err;
}

static void settled_release(struct settled *settled, uint32_t nhops)
{
	for (uint32_t i = 0; settled && i <= nhops; i++)
		track_release(&settled->tracks[i]);
	if (settled)
		reorder_release(&settled->reorder);
	free(settled);
}

static int load_settle(const struct load *load)
{
	int err = 0;

	if (load->rows)
		err = settled_rows(load->settled, load);
	else
		settled_release(load->settled, load->nhops);
	free(load->rows);
	return err;
}

/* After an error all is only released. */
static void backlog_run(struct task *task, unsigned int thread)
{
	struct backlog *backlog = (struct backlog *)((char *)task - offsetof(struct backlog, task));

	(void)thread;
	for (size_t i = 0; i < backlog->settling; i++) {
		const struct load *load = &backlog->loads[!backlog->side][i];

		if (!backlog->err || !load->rows)
			backlog->err |= load_settle(load);
		else
			free(load->rows);
	}
}

static void backlog_wait(struct backlog *backlog)
{
	if (backlog->pool)
		pool_wait(backlog->pool, &backlog->task, backlog->thread);
}

static void backlog_hand_over(struct backlog *backlog)
{
	backlog_wait(backlog);
	backlog->side = !backlog->side;
	backlog->settling = backlog->count;
	backlog->count = 0;
	backlog->task.run = backlog_run;
	if (backlog->pool)
		pool_submit(backlog->pool, &backlog->task);
	else
		backlog_run(&backlog->task, backlog->thread);
}

static void backlog_add(struct backlog *backlog, const struct load *load)
{
	backlog->loads[backlog->side][backlog->count++] = *load;
	if (!backlog->pool || backlog->count == LOADS)
		backlog_hand_over(backlog);
}

int backlog_settle(struct backlog *backlog)
{
	if (backlog->count)
		backlog_hand_over(backlog);
	backlog_wait(backlog);
	return backlog->err;
}

/* Makes its rows a load. */
static int tracks_load(struct tracks *tracks, struct load *load)
{
	size_t size = (tracks->nhops + (size_t)1) * sizeof(*tracks->settled->tracks);

	if (!tracks->settled)
		tracks->settled = calloc(1, sizeof(*tracks->settled) + size);
	if (!tracks->settled)
		return -ENOMEM;
	*load = (struct load){tracks->nhops, tracks->nrows, tracks->rows, tracks->settled};
	tracks->rows = NULL;
	tracks->nrows = 0;
	return 0;
}

static uint64_t *tracks_row(const struct tracks *tracks, uint32_t number)
{
	return tracks->rows + number * (tracks->nhops + (size_t)1);
}

/* For one more. They double from 1 on; once some were settled, there is room for all. */
static int tracks_grow(struct tracks *tracks)
{
	size_t room = tracks->settled ? ROWS_MAX : tracks->nrows ? 2 * (size_t)tracks->nrows : 1;
	size_t size = (tracks->nhops + (size_t)1) * sizeof(*tracks->rows);
	uint64_t *rows;

	if (tracks->rows && (tracks->settled || tracks->nrows & (tracks->nrows - 1)))
		return 0;
	rows = reallocarray(tracks->rows, room, size);
	if (!rows)
		return -ENOMEM;
	tracks->rows = rows;
	return 0;
}

int tracks_add(struct tracks *tracks, const struct sighting *seen, struct backlog *backlog)
{
	struct load load;
	uint64_t *row;
	int err = tracks_grow(tracks);

	if (err)
		return err;
	row = tracks_row(tracks, tracks->nrows++);
	for (uint32_t i = 0; i <= tracks->nhops; i++)
		row[i] = seen[i].time_ns;
	if (tracks->nrows < ROWS_MAX)
		return 0;
	err = tracks_load(tracks, &load);
	if (!err)
		backlog_add(backlog, &load);
	return err;
}

void tracks_prefetch(const struct tracks *tracks)
{
	if (tracks->rows)
		__builtin_prefetch(tracks_row(tracks, tracks->nrows), 1);
}

int tracks_note(struct tracks *tracks, const struct sighting *seen, const struct ranges *ranges)
{
	if (!tracks->spans)
		tracks->spans = calloc(tracks->nhops + (size_t)1, sizeof(*tracks->spans));
	if (!tracks->spans)
		return -ENOMEM;
	for (uint32_t i = 0; i <= tracks->nhops; i++)
		tracks->spans[i] |= ranges_span(ranges, seen[i].time_ns);
	return 0;
}

static int tracks_merge_spans(struct tracks *sum, const struct tracks *tracks)
{
	if (!tracks->spans)
		return 0;
	if (!sum->spans)
		sum->spans = calloc(sum->nhops + (size_t)1, sizeof(*sum->spans));
	if (!sum->spans)
		return -ENOMEM;
	for (uint32_t i = 0; i <= sum->nhops; i++)
		sum->spans[i] |= tracks->spans[i];
	return 0;
}

struct place_seen tracks_place(const struct tracks *tracks, uint32_t at, uint16_t probe)
{
	return (struct place_seen){.probe = probe, .spans = tracks->spans ? tracks->spans[at] : 0};
}

static int tracks_settle(struct tracks *tracks)
{
	struct load load;
	int err = tracks_load(tracks, &load);

	return !err && load.rows ? load_settle(&load) : err;
}

int tracks_merge(struct tracks *sum, struct tracks *tracks)
{
	int err = tracks_settle(tracks);

	if (!err)
		err = tracks_settle(sum);
	for (uint32_t i = 0; i <= sum->nhops && !err; i++)
		err = track_merge(&sum->settled->tracks[i], &tracks->settled->tracks[i]);
	if (!err)
		err = tracks_merge_spans(sum, tracks);
	if (!err)
		sum->settled->reorder.reordered += tracks->settled->reorder.reordered;
	return err;
}

/* All but what was settled. */
static void tracks_clear(struct tracks *tracks)
{
	free(tracks->rows);
	free(tracks->spans);
	*tracks = (struct tracks){.nhops = tracks->nhops};
}

void tracks_drop(struct tracks *tracks, struct backlog *backlog)
{
	if (tracks->settled)
		backlog_add(backlog, &(struct load){tracks->nhops, 0, NULL, tracks->settled});
	tracks_clear(tracks);
}

void tracks_release(struct tracks *tracks)
{
	settled_release(tracks->settled, tracks->nhops);
	tracks_clear(tracks);
}
