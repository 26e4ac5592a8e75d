// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "latency.h"
#include "ranges.h"

#define CHANGE_MAX (1ull << 58) /* ns; keeps jitter16 within 64 bits */

static uint64_t jitter_add(uint64_t jitter16, uint64_t change)
{
	return jitter16 + change - ((jitter16 + 8) >> 4);
}

int track_add(struct track *track, int64_t duration_ns)
{
	int64_t last_ns = track->last_ns;
	uint64_t change = duration_ns > last_ns ? (uint64_t)duration_ns - (uint64_t)last_ns
						: (uint64_t)last_ns - (uint64_t)duration_ns;

	if (track->hist.count)
		track->jitter16 =
			jitter_add(track->jitter16, change < CHANGE_MAX ? change : CHANGE_MAX);
	track->last_ns = duration_ns;
	return hist_add(&track->hist, &duration_ns, 1);
}

/* Behind the first of these durations. */
static uint64_t jitter_add_short(uint64_t jitter16, const uint32_t *durations, size_t count)
{
	uint64_t rounded = jitter16 + 8; /* all along: fewer steps that wait for each other */
	int64_t last_ns = *durations;

#pragma GCC unroll 4
	for (size_t i = 1; i < count; i++) {
		rounded += llabs(durations[i] - last_ns) - (rounded >> 4);
		last_ns = durations[i];
	}
	return rounded - 8;
}

int track_add_short(struct track *track, const uint32_t *durations, size_t count)
{
	int err = track_add(track, *durations);

	if (err)
		return err;
	track->jitter16 = jitter_add_short(track->jitter16, durations, count);
	track->last_ns = durations[count - 1];
	return hist_add_short(&track->hist, durations + 1, count - 1);
}

int track_merge_short(struct track *sum, const uint32_t *durations, size_t count)
{
	sum->jitter_sum += (unsigned __int128)jitter_add_short(0, durations, count) * count;
	return hist_add_short(&sum->hist, durations, count);
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

int64_t latency_bound(const struct trace_info *info, uint16_t from, uint16_t to)
{
	static const struct ranges none;

	return ranges_bound(&none, info, (struct place_seen){.probe = from},
			    (struct place_seen){.probe = to});
}
