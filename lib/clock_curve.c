// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "clock_curve.h"

#define STRETCH_NS \
	1000000000 /* what goes on beyond the ends has the slope of so much, not of less */

/* Times of one clock, and of another one at the same moments. Both rise. */
struct curve {
	const int64_t *from;
	const int64_t *to;
	size_t count; /* at least two */
};

struct knots {
	int64_t *times;
	size_t count;
	size_t room;
};

/* The last time that is not behind, but one with another behind it. */
static size_t find_time(const struct curve *curve, int64_t time)
{
	size_t first = 0, end = curve->count - 1;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (curve->from[middle] <= time)
			first = middle;
		else
			end = middle;
	}
	return first;
}

static int64_t follow(const struct curve *curve, int64_t time)
{
	size_t at = find_time(curve, time), next = at + 1;
	__int128 run, rise, gain, passed = (__int128)time - curve->from[at];

	if (passed < 0)
		while (next + 1 < curve->count &&
		       time_since(curve->from[next], curve->from[at]) < STRETCH_NS)
			next++;
	if (time > curve->from[next] && next + 1 == curve->count) {
		while (at && time_since(curve->from[next], curve->from[at]) < STRETCH_NS)
			at--;
		passed = (__int128)time - curve->from[at];
	}
	run = (__int128)curve->from[next] - curve->from[at];
	rise = (__int128)curve->to[next] - curve->to[at];
	/* Only times out of hostile files are that far apart. */
	if (!run || __builtin_mul_overflow(passed, rise, &gain))
		return time_plus(curve->to[at], (int64_t)passed);
	return time_plus(curve->to[at], (int64_t)(gain / run));
}

static int knots_add(struct knots *knots, int64_t time)
{
	if (array_reserve(&knots->times, &knots->room, knots->count + 1, sizeof(*knots->times)))
		return -ENOMEM;
	knots->times[knots->count++] = time;
	return 0;
}

static int compare_times(const void *left, const void *right)
{
	const int64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Wherever one of the three pieces of the way bends: both clocks' anchors, and the curve. */
static int gather_knots(const struct curve *curve, const struct raw_clock *own,
			const struct raw_clock *root, struct knots *knots)
{
	const struct curve back = {curve->to, curve->from, curve->count};
	int err = 0;

	for (size_t i = 0; i < curve->count && !err; i++)
		err = knots_add(knots, curve->from[i]);
	for (size_t i = 0; i < own->count && !err; i++)
		err = knots_add(knots, (int64_t)own->anchors[i].raw_ns);
	for (size_t i = 0; i < root->count && !err; i++)
		err = knots_add(knots, follow(&back, (int64_t)root->anchors[i].raw_ns));
	if (!err && knots->count)
		qsort(knots->times, knots->count, sizeof(*knots->times), compare_times);
	return err;
}

int clock_curve(const struct clock_graph *graph, uint32_t node, struct timeline *timeline)
{
	uint32_t root = graph->nodes[node].root;
	const struct curve curve = {graph->nodes[node].times, graph->nodes[root].times,
				    graph->counts[root]};
	const struct raw_clock *own = graph->nodes[node].clock, *other = graph->nodes[root].clock;
	struct knots knots = {0};
	int err = gather_knots(&curve, own, other, &knots);
	uint64_t last = 0;

	for (size_t i = 0; i < knots.count && !err; i++) {
		uint64_t mono_ns = raw_clock_mono(own, knots.times[i]);
		int64_t time = follow(&curve, knots.times[i]);

		if (knots.times[i] < 0 || time < 0 || (timeline->count && mono_ns <= last))
			continue;
		last = mono_ns;
		err = timeline_add(timeline, mono_ns, raw_clock_mono(other, time));
	}
	free(knots.times);
	return err;
}
