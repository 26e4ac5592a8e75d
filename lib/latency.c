// SPDX-License-Identifier: GPL-2.0-only
#include "latency.h"
#include "ranges.h"

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

int64_t latency_bound(const struct trace_info *info, uint16_t from, uint16_t to)
{
	static const struct ranges none;

	return ranges_bound(&none, info, (struct place_seen){.probe = from},
			    (struct place_seen){.probe = to});
}
