// SPDX-License-Identifier: GPL-2.0-only
#include "latency.h"

#define CHANGE_MAX (1ull << 58) /* ns; keeps jitter16 within 64 bits */

int track_add(struct track *track, int64_t duration_ns)
{
	uint64_t change = duration_ns > track->last_ns
				  ? (uint64_t)duration_ns - (uint64_t)track->last_ns
				  : (uint64_t)track->last_ns - (uint64_t)duration_ns;

	if (change > CHANGE_MAX)
		change = CHANGE_MAX;
	if (track->hist.count)
		track->jitter16 += change - ((track->jitter16 + 8) >> 4);
	track->last_ns = duration_ns;
	return hist_add(&track->hist, duration_ns);
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
	const struct domain *a = &info->domains[info->probes[from].domain];
	const struct domain *b = &info->domains[info->probes[to].domain];
	int64_t sum;

	if (a == b)
		return 0;
	if (a->clock.bound_ns < 0 || b->clock.bound_ns < 0)
		return CLOCK_UNBOUNDED;
	if (__builtin_add_overflow(a->clock.bound_ns, b->clock.bound_ns, &sum))
		return CLOCK_UNBOUNDED;
	return sum;
}
