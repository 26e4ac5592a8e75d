// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "array.h"
#include "clock_links.h"
#include "clock_tsc.h"

enum verdict {
	LINK_ONE_WAY,
	LINK_REFUTED,
	LINK_PLAUSIBLE,
};

/* All links between two clocks. */
struct candidate {
	uint32_t a;
	uint32_t b;
	enum verdict best;
	size_t first; /* of the points that count */
	size_t count;
};

struct candidates {
	struct candidate *rows;
	size_t count;
	size_t room;
	struct map by_clocks;
	uint32_t *of_link; /* per link: its candidate */
	enum verdict *verdicts;
};

__attribute__((format(printf, 3, 4))) static void say(const struct clock_graph *graph,
						      const struct candidate *candidate,
						      const char *format, ...)
{
	char line[320], what[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	snprintf(line, sizeof(line), "packets between '%.60s' and '%.60s' %s",
		 graph->nodes[candidate->a].name, graph->nodes[candidate->b].name, what);
	graph->log(graph->log_context, line);
}

static bool goes_both_ways(const struct clock_point *points, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (points[i].side != points[0].side)
			return true;
	return false;
}

/* enum verdict or -ENOMEM */
static int judge(struct clock_point *points, size_t count)
{
	int plausible;

	if (!goes_both_ways(points, count))
		return LINK_ONE_WAY;
	plausible = clock_plausible(points, count);
	return plausible < 0 ? plausible : plausible ? LINK_PLAUSIBLE : LINK_REFUTED;
}

/* The one between the link's clocks, begun if it is new; NULL if there is no memory. */
static struct candidate *find_candidate(struct candidates *candidates,
					const struct clock_link *link)
{
	uint64_t key = (uint64_t)link->a << 32 | link->b;
	uint32_t index = map_find(&candidates->by_clocks, key);

	if (index != MAP_NONE)
		return &candidates->rows[index];
	if (array_reserve(&candidates->rows, &candidates->room, candidates->count + 1,
			  sizeof(*candidates->rows)) ||
	    map_add(&candidates->by_clocks, key, candidates->count))
		return NULL;
	candidates->rows[candidates->count] = (struct candidate){.a = link->a, .b = link->b};
	return &candidates->rows[candidates->count++];
}

static int judge_links(struct candidates *candidates, struct clock_points *points)
{
	candidates->of_link = calloc(points->nlinks + 1, sizeof(*candidates->of_link));
	candidates->verdicts = calloc(points->nlinks + 1, sizeof(*candidates->verdicts));
	if (!candidates->of_link || !candidates->verdicts)
		return -ENOMEM;
	for (size_t i = 0; i < points->nlinks; i++) {
		const struct clock_link *link = &points->links[i];
		struct candidate *candidate = find_candidate(candidates, link);
		int verdict = judge(&points->points[link->first], link->count);

		if (!candidate || verdict < 0)
			return -ENOMEM;
		candidates->of_link[i] = candidate - candidates->rows;
		candidates->verdicts[i] = verdict;
		if (candidates->verdicts[i] > candidate->best)
			candidate->best = verdict;
	}
	return 0;
}

/* Puts first what counts, in order of candidate and of time: links as good as the best one between the
 * two clocks. */
static void gather_points(struct candidates *candidates, struct clock_points *points)
{
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < points->count; i++) {
		struct clock_point point = points->points[i];
		struct candidate *candidate = &candidates->rows[candidates->of_link[point.link]];

		if (candidates->verdicts[point.link] != candidate->best)
			continue;
		point.link = candidates->of_link[point.link];
		points->points[kept++] = point;
		candidate->count++;
	}
	points->count = kept;
	qsort(points->points, kept, sizeof(*points->points), compare_points);
	for (size_t i = 0; i < candidates->count; i++) {
		candidates->rows[i].first = at;
		at += candidates->rows[i].count;
	}
}

static void say_findings(const struct clock_graph *graph, const struct candidate *candidate,
			 const struct clock_pair *pair)
{
	size_t steps = 0;
	int64_t from, to;

	for (size_t i = 0; i < pair->count; i++)
		steps += clock_pair_step(pair, i, &from, &to);
	if (!pair->count)
		say(graph, candidate, "are too few to compare their clocks");
	if (pair->left_out)
		say(graph, candidate, "contradict each other in %zu of %zu windows: left out",
		    pair->left_out, pair->left_out + pair->count);
	if (pair->rejected)
		say(graph, candidate, "had %" PRIu64 " impossible times: left out of the estimate",
		    pair->rejected);
	if (steps)
		say(graph, candidate, "show %zu step%s of a clock", steps, steps > 1 ? "s" : "");
}

static int add_pair(struct clock_points *points, const struct candidate *candidate,
		    struct clock_graph *graph)
{
	struct clock_point *first = &points->points[candidate->first];
	struct clock_pair pair = {.a = candidate->a, .b = candidate->b};
	int verdict = judge(first, candidate->count), err;

	if (verdict < 0)
		return verdict;
	if (verdict == LINK_ONE_WAY)
		say(graph, candidate, "went one way only: they bound no clock");
	if (verdict == LINK_REFUTED || candidate->best == LINK_REFUTED)
		say(graph, candidate, "contradict each other: no clock is taken from them");
	if (verdict != LINK_PLAUSIBLE || candidate->best == LINK_REFUTED)
		return 0;
	err = clock_pair_fit(&pair, first, candidate->count);
	if (!err && pair.count)
		err = clock_tsc_refine(graph, &pair, first, candidate->count);
	if (!err)
		say_findings(graph, candidate, &pair);
	if (!err && pair.count)
		graph->pairs[graph->npairs++] = pair;
	else
		clock_pair_release(&pair);
	return err;
}

int clock_links_pairs(struct clock_points *points, struct clock_graph *graph)
{
	struct candidates candidates = {0};
	int err = points->count ? judge_links(&candidates, points) : 0;

	if (!err && points->count)
		gather_points(&candidates, points);
	if (!err) {
		graph->pairs = calloc(candidates.count + 1, sizeof(*graph->pairs));
		err = graph->pairs ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < candidates.count && !err; i++)
		err = add_pair(points, &candidates.rows[i], graph);
	free(candidates.rows);
	free(candidates.of_link);
	free(candidates.verdicts);
	map_release(&candidates.by_clocks);
	return err;
}
