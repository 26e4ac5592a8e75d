// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tracks.h"

#define ROWS_MAX 256 /* a power of two */

_Static_assert(offsetof(struct seat, after_ns) - offsetof(struct seat, first_ns) ==
		       offsetof(struct row, after_ns),
	       "a seat has a row in it");

/* Bytes of a row that are copied from a seat, whatever its length: what is behind it, the next one overwrites,
 * or there is room for it. */
#define SEAT_ROW (offsetof(struct row, after_ns) + (JOURNEY_INLINE - 1) * sizeof(uint32_t))

/* Words of a row. */
static size_t row_words(uint32_t nhops)
{
	size_t size = offsetof(struct row, after_ns) + nhops * sizeof(uint32_t);

	return (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static struct row *rows_at(uint64_t *rows, uint32_t nhops, uint32_t number)
{
	return (struct row *)(rows + number * row_words(nhops));
}

/* How long a hop took, or all of them. */
static void load_durations(const struct load *load, uint32_t hop, uint32_t *durations)
{
	const uint32_t *to = rows_at(load->rows, load->nhops, 0)->after_ns;
	size_t step = row_words(load->nhops) * (sizeof(uint64_t) / sizeof(*to));
	size_t at = hop == load->nhops ? hop - 1 : hop, count = load->nrows;

	if (!hop || hop == load->nhops) {
#pragma GCC unroll 4
		for (size_t i = 0; i < count; i++, at += step)
			durations[i] = to[at];
		return;
	}
#pragma GCC unroll 4
	for (size_t i = 0; i < count; i++, at += step)
		durations[i] = to[at] - to[at - 1];
}

/* A packet that came again is in front of those that set out meanwhile. */
static int load_order(const struct load *load, struct reorder *reorder)
{
	uint64_t sent_ns[ROWS_MAX], arrived_ns[ROWS_MAX];
	size_t words = row_words(load->nhops), count = load->nrows;

	for (size_t i = 0, at; i < count; i++) {
		const struct row *row = (const struct row *)(load->rows + i * words);

		for (at = i; at && sent_ns[at - 1] > row->first_ns; at--) {
			sent_ns[at] = sent_ns[at - 1];
			arrived_ns[at] = arrived_ns[at - 1];
		}
		sent_ns[at] = row->first_ns;
		arrived_ns[at] = row->first_ns + row->after_ns[load->nhops - 1];
	}
	return count ? reorder_add(reorder, sent_ns[count - 1], arrived_ns, count) : 0;
}

static int settled_rows(struct settled *settled, const struct load *load)
{
	uint32_t durations[ROWS_MAX];
	int err = 0;

	for (uint32_t hop = 0; hop <= load->nhops && !err; hop++) {
		load_durations(load, hop, durations);
		err = track_add_short(&settled->tracks[hop], durations, load->nrows);
	}
	return err ? err : load_order(load, &settled->reorder);
}

/* Rows of tracks that have no others. */
static int settled_merge_rows(struct settled *sum, const struct load *load)
{
	struct reorder reorder = {0};
	uint32_t durations[ROWS_MAX];
	int err = load_order(load, &reorder);

	for (uint32_t hop = 0; hop <= load->nhops && !err; hop++) {
		load_durations(load, hop, durations);
		err = track_merge_short(&sum->tracks[hop], durations, load->nrows);
	}
	sum->reorder.reordered += reorder.reordered;
	reorder_release(&reorder);
	return err;
}

static int settled_times(struct settled *settled, const struct load *load)
{
	const uint64_t *times = load->rows;
	uint32_t nhops = load->nhops;
	int err = track_add(&settled->tracks[nhops], times[nhops] - times[0]);

	for (uint32_t hop = 0; hop < nhops && !err; hop++)
		err = track_add(&settled->tracks[hop], times[hop + 1] - times[hop]);
	return err ? err : reorder_add(&settled->reorder, times[0], &times[nhops], 1);
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

	if (load->rows && load->times)
		err = settled_times(load->settled, load);
	else if (load->rows)
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
	*load = (struct load){tracks->nhops, tracks->nrows, tracks->rows, tracks->settled, false};
	tracks->rows = NULL;
	tracks->nrows = 0;
	return 0;
}

/* They double from 1 on; once some were settled, there is room for all. */
static bool tracks_have_room(const struct tracks *tracks)
{
	return tracks->rows && (tracks->settled || tracks->nrows & (tracks->nrows - 1));
}

static int tracks_grow(struct tracks *tracks)
{
	size_t room = tracks->settled ? ROWS_MAX : tracks->nrows ? 2 * (size_t)tracks->nrows : 1;
	size_t size = row_words(tracks->nhops) * sizeof(*tracks->rows);
	size_t last = size > SEAT_ROW ? size : SEAT_ROW;
	uint64_t *rows = realloc(tracks->rows, (room - 1) * size + last);

	if (!rows)
		return -ENOMEM;
	tracks->rows = rows;
	return 0;
}

/* All rows are there. */
__attribute__((noinline)) static int tracks_full(struct tracks *tracks, struct backlog *backlog)
{
	struct load load;
	int err = tracks_load(tracks, &load);

	if (!err)
		backlog_add(backlog, &load);
	return err;
}

/* The next row is there. */
static inline int tracks_added(struct tracks *tracks, struct backlog *backlog)
{
	return ++tracks->nrows < ROWS_MAX ? 0 : tracks_full(tracks, backlog);
}

static int tracks_add_times(struct tracks *tracks, const struct sighting *seen,
			    struct backlog *backlog)
{
	size_t count = tracks->nhops + (size_t)1;
	uint64_t *times = malloc(count * sizeof(*times));
	struct load load;
	int err = times ? tracks_load(tracks, &load) : -ENOMEM;

	if (err) {
		free(times);
		return err;
	}
	for (size_t i = 0; i < count; i++)
		times[i] = seen[i].time_ns;
	if (load.rows)
		backlog_add(backlog, &load);
	backlog_add(backlog, &(struct load){tracks->nhops, 1, times, load.settled, true});
	return 0;
}

int tracks_add(struct tracks *tracks, const struct sighting *seen, struct backlog *backlog)
{
	uint64_t first_ns = seen->time_ns;
	struct row *row;
	int err = 0;

	if (seen[tracks->nhops].time_ns - first_ns > UINT32_MAX)
		return tracks_add_times(tracks, seen, backlog);
	if (!tracks_have_room(tracks))
		err = tracks_grow(tracks);
	if (err)
		return err;
	row = rows_at(tracks->rows, tracks->nhops, tracks->nrows);
	row->first_ns = first_ns;
	for (uint32_t i = 0; i < tracks->nhops; i++)
		row->after_ns[i] = seen[i + 1].time_ns - first_ns;
	return tracks_added(tracks, backlog);
}

static inline int tracks_put_seat(struct tracks *tracks, const struct seat *seat,
				  struct backlog *backlog)
{
	memcpy(rows_at(tracks->rows, tracks->nhops, tracks->nrows),
	       (const char *)seat + offsetof(struct seat, first_ns), SEAT_ROW);
	return tracks_added(tracks, backlog);
}

__attribute__((noinline)) static int tracks_grow_for_seat(struct tracks *tracks,
							  const struct seat *seat,
							  struct backlog *backlog)
{
	int err = tracks_grow(tracks);

	return err ? err : tracks_put_seat(tracks, seat, backlog);
}

int tracks_add_seat(struct tracks *tracks, const struct seat *seat, struct backlog *backlog)
{
	if (!tracks_have_room(tracks))
		return tracks_grow_for_seat(tracks, seat, backlog);
	return tracks_put_seat(tracks, seat, backlog);
}

void tracks_prefetch(const struct tracks *tracks)
{
	if (tracks->rows)
		__builtin_prefetch(rows_at(tracks->rows, tracks->nhops, tracks->nrows), 1);
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

static int settled_merge(struct settled *sum, const struct settled *settled, uint32_t nhops)
{
	int err = 0;

	for (uint32_t i = 0; i <= nhops && !err; i++)
		err = track_merge(&sum->tracks[i], &settled->tracks[i]);
	sum->reorder.reordered += settled->reorder.reordered;
	return err;
}

/* The rows, if they are all there is. */
static struct load tracks_rows(const struct tracks *tracks)
{
	return (struct load){tracks->nhops, tracks->nrows, tracks->rows, NULL, false};
}

int tracks_merge(struct tracks *sum, struct tracks *tracks)
{
	const struct load rows = tracks_rows(tracks);
	int err = tracks_settle(sum);

	if (!err && !tracks->settled && rows.nrows) {
		err = settled_merge_rows(sum->settled, &rows);
	} else if (!err && tracks->settled) {
		err = tracks_settle(tracks);
		if (!err)
			err = settled_merge(sum->settled, tracks->settled, sum->nhops);
	}
	return err ? err : tracks_merge_spans(sum, tracks);
}

int tracks_latency(const struct tracks *tracks, struct latency *latency)
{
	const struct load rows = tracks_rows(tracks);
	uint32_t durations[ROWS_MAX];
	struct track track = {0};
	int err = 0;

	if (tracks->settled) {
		track_latency(&tracks->settled->tracks[tracks->nhops], latency);
		return 0;
	}
	if (rows.nrows) {
		load_durations(&rows, tracks->nhops, durations);
		err = track_add_short(&track, durations, rows.nrows);
	}
	if (!err)
		track_latency(&track, latency);
	track_release(&track);
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
		backlog_add(backlog,
			    &(struct load){tracks->nhops, 0, NULL, tracks->settled, false});
	tracks_clear(tracks);
}

void tracks_release(struct tracks *tracks)
{
	settled_release(tracks->settled, tracks->nhops);
	tracks_clear(tracks);
}
