// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "array.h"
#include "clock_graph_private.h"
#include "clock_ranges.h"

/* Time stamps next to a jump are the last and the first beside it: but for what conversions round, they
 * belong to the better side. */
#define EDGE_NS 4

struct clock_ends {
	const struct clock_node *node;
	const struct clock_node *root;
};

/* Times of both at the same moment. */
struct moment {
	uint64_t node_ns;
	uint64_t root_ns;
};

static uint64_t mono_of(const struct clock_node *node, size_t at)
{
	return node->times[at] < 0 ? 0 : raw_clock_mono(node->clock, node->times[at]);
}

static struct moment moment_at(const struct clock_ends *ends, size_t at)
{
	return (struct moment){mono_of(ends->node, at), mono_of(ends->root, at)};
}

static struct range_row make_range(const struct clock_ends *ends, size_t first, size_t end,
				   double bound_ns)
{
	struct moment from = moment_at(ends, first), to = moment_at(ends, end);
	struct range_row row = {
		.from_ns = from.root_ns,
		.to_ns = to.root_ns,
		.offset_ns = (int64_t)(from.root_ns - from.node_ns),
		.bound_ns = (int64_t)ceil(bound_ns),
	};

	if (to.node_ns > from.node_ns)
		row.drift_ppm = (double)((int64_t)(to.root_ns - to.node_ns) - row.offset_ns) /
				(double)(to.node_ns - from.node_ns) * 1e6;
	return row;
}

static int64_t middle(const int64_t times[2])
{
	return time_plus(times[0], time_since(times[1], times[0]) / 2);
}

/* In which of the intervals any clock of the group may have stepped. */
static void mark_steps(const struct clock_graph *graph, uint32_t root, bool *steps)
{
	int64_t from, to;

	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		const int64_t *times = graph->nodes[pair->b].times;
		size_t intervals = graph->counts[root] - 1;

		if (!clock_graph_uses(graph, i, root))
			continue;
		for (size_t at = 0, k = 0; at < pair->count; at++) {
			if (!clock_pair_step(pair, at, &from, &to))
				continue;
			for (; k < intervals && middle(&times[k]) <= to; k++)
				steps[k] |= middle(&times[k]) >= from;
		}
	}
}

/* One behind the other, with steps and without. Returns how many; `rows` has room for as many as there
 * are intervals. */
static size_t cut(const struct clock_ends *ends, size_t intervals, const bool *steps,
		  struct range_row *rows)
{
	const double *bounds = ends->node->bounds;
	size_t count = 0, first = 0;
	double most = 0;

	for (size_t at = 0; at < intervals; at++) {
		if (!isfinite(bounds[at])) /* before its first event, or behind its last one */
			continue;
		if (!count || steps[at] != steps[at - 1]) {
			first = at;
			most = 0;
			count++;
		}
		most = fmax(most, bounds[at]);
		rows[count - 1] = make_range(ends, first, at + 1, most);
	}
	return count;
}

/* Joins neighbours whose bounds differ by no more than the factor; returns how many are left. */
static size_t join_alike(struct range_row *rows, size_t count, double factor)
{
	size_t kept = 0;

	for (size_t i = 1; i < count; i++) {
		struct range_row *last = &rows[kept];
		double a = (double)last->bound_ns, b = (double)rows[i].bound_ns;

		if (fmax(a, b) > factor * fmin(a, b)) {
			rows[++kept] = rows[i];
			continue;
		}
		last->to_ns = rows[i].to_ns;
		last->bound_ns = llround(fmax(a, b));
	}
	return count ? kept + 1 : 0;
}

static void move_edges(struct range_row *rows, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++) {
		uint64_t *edge = &rows[i].to_ns;

		if (rows[i].bound_ns < rows[i + 1].bound_ns)
			*edge += EDGE_NS;
		else
			*edge -= *edge < EDGE_NS ? *edge : EDGE_NS;
		rows[i + 1].from_ns = *edge;
	}
}

int clock_ranges(const struct clock_graph *graph, uint32_t node, struct range_row **rows,
		 size_t *count)
{
	uint32_t root = graph->nodes[node].root;
	const struct clock_ends ends = {&graph->nodes[node], &graph->nodes[root]};
	size_t intervals = graph->counts[root] - 1;
	bool *steps;

	*rows = NULL;
	*count = 0;
	if (root == node || !(ends.node->bound_ns < CLOCK_BOUND_MAX_NS))
		return 0;
	steps = calloc(intervals + 1, sizeof(*steps));
	*rows = calloc(intervals + 1, sizeof(**rows));
	if (!steps || !*rows) {
		free(steps);
		return -ENOMEM;
	}
	mark_steps(graph, root, steps);
	*count = cut(&ends, intervals, steps, *rows);
	free(steps);
	for (double factor = 2; *count > 1 && (factor == 2 || *count > CLOCK_RANGES_MAX);
	     factor *= 2)
		*count = join_alike(*rows, *count, factor);
	if (*count == 1)
		*count = 0;
	move_edges(*rows, *count);
	return 0;
}
