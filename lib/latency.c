// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"

#define ROWS_MAX   256          /* a power of two */
#define CHANGE_MAX (1ull << 58) /* ns; keeps jitter16 within 64 bits */

int track_add(struct track *track, const int64_t *durations, size_t count)
{
	uint64_t jitter16 = track->jitter16;
	int64_t last_ns = track->hist.count || !count ? track->last_ns : durations[0];

	for (size_t i = 0; i < count; i++) {
		int64_t duration_ns = durations[i];
		uint64_t change = duration_ns > last_ns ? (uint64_t)duration_ns - (uint64_t)last_ns
							: (uint64_t)last_ns - (uint64_t)duration_ns;

		if (change > CHANGE_MAX)
			change = CHANGE_MAX;
		jitter16 += change - ((jitter16 + 8) >> 4);
		last_ns = duration_ns;
	}
	track->jitter16 = jitter16;
	track->last_ns = last_ns;
	return hist_add(&track->hist, durations, count);
}

int track_merge(struct track *sum, const struct track *track)
{
	sum->jitter_sum += (unsigned __int128)track->jitter16 * track->hist.count;
	return hist_merge(&sum->hist, &track->hist);
}

void track_latency(struct track *track, struct latency *latency)
{
	struct hist *hist = &track->hist;

	*latency = (struct latency){.count = hist->count};
	if (!hist->count)
		return;
	latency->min_ns = hist->min;
	latency->mean_ns = hist_mean(hist->sum, hist->count);
	latency->p50_ns = hist_quantile(hist, 500);
	latency->p90_ns = hist_quantile(hist, 900);
	latency->p99_ns = hist_quantile(hist, 990);
	latency->p999_ns = hist_quantile(hist, 999);
	latency->max_ns = hist->max;
	latency->jitter_ns = (track->jitter16 + track->jitter_sum / hist->count) >> 4;
}

void track_release(struct track *track)
{
	hist_release(&track->hist);
	*track = (struct track){0};
}

/* Rows double from 1 on; they are full whenever their number is a power of two. */
static int tracks_grow(struct tracks *tracks)
{
	size_t room = tracks->nrows ? 2 * (size_t)tracks->nrows : 1;
	size_t size = (tracks->nhops + (size_t)1) * sizeof(*tracks->rows);
	uint64_t *rows = reallocarray(tracks->rows, room, size);

	if (!rows)
		return -ENOMEM;
	tracks->rows = rows;
	return 0;
}

static uint64_t *tracks_row(const struct tracks *tracks, uint32_t number)
{
	return tracks->rows + number * (tracks->nhops + (size_t)1);
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

int tracks_add(struct tracks *tracks, const struct sighting *seen)
{
	uint64_t *row;
	int err;

	if (tracks->nrows == ROWS_MAX) {
		err = tracks_settle(tracks);
		if (err)
			return err;
	}
	/* The first settling leaves the rows at their full size. */
	if (!tracks->tracks && !(tracks->nrows & (tracks->nrows - 1))) {
		err = tracks_grow(tracks);
		if (err)
			return err;
	}
	row = tracks_row(tracks, tracks->nrows++);
	for (uint32_t i = 0; i <= tracks->nhops; i++)
		row[i] = seen[i].time_ns;
	return 0;
}

static int tracks_settle_track(struct tracks *tracks, struct track *track, uint32_t from,
			       uint32_t to)
{
	int64_t durations[ROWS_MAX];

	for (uint32_t i = 0; i < tracks->nrows; i++) {
		const uint64_t *row = tracks_row(tracks, i);

		durations[i] = row[to] - row[from];
	}
	return track_add(track, durations, tracks->nrows);
}

int tracks_settle(struct tracks *tracks)
{
	uint32_t nhops = tracks->nhops;
	int err = 0;

	if (!tracks->tracks)
		tracks->tracks = calloc(nhops + 1, sizeof(*tracks->tracks));
	if (!tracks->tracks)
		return -ENOMEM;
	for (uint32_t hop = 0; hop < nhops && !err; hop++)
		err = tracks_settle_track(tracks, &tracks->tracks[hop], hop, hop + 1);
	if (!err)
		err = tracks_settle_track(tracks, &tracks->tracks[nhops], 0, nhops);
	for (uint32_t i = 0; i < tracks->nrows && !err; i++) {
		const uint64_t *row = tracks_row(tracks, i);

		err = reorder_add(&tracks->reorder, row[0], row[nhops]);
	}
	tracks->nrows = 0;
	return err;
}

int tracks_merge(struct tracks *sum, struct tracks *tracks)
{
	int err = tracks_settle(tracks);

	if (!err)
		err = tracks_settle(sum);
	for (uint32_t i = 0; i <= sum->nhops && !err; i++)
		err = track_merge(&sum->tracks[i], &tracks->tracks[i]);
	if (!err)
		err = tracks_merge_spans(sum, tracks);
	sum->reorder.reordered += tracks->reorder.reordered;
	return err;
}

void tracks_release(struct tracks *tracks)
{
	for (uint32_t i = 0; tracks->tracks && i <= tracks->nhops; i++)
		track_release(&tracks->tracks[i]);
	free(tracks->tracks);
	free(tracks->rows);
	free(tracks->spans);
	reorder_release(&tracks->reorder);
	*tracks = (struct tracks){.nhops = tracks->nhops};
}

int64_t latency_bound(const struct trace_info *info, uint16_t from, uint16_t to)
{
	static const struct ranges none;

	return ranges_bound(&none, info, (struct place_seen){.probe = from},
			    (struct place_seen){.probe = to});
}
