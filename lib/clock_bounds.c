// SPDX-License-Identifier: GPL-2.0-only
/* Shortest paths over what pairs allow, between two times that follow each other. Pairs bound what raw
 * clocks would differ by if their anchors were exact. */
#include <math.h>

#include "array.h"
#include "clock_graph_private.h"

#define ROUNDING_NS 2    /* of times to whole nanoseconds, on the way to an event and back */
#define RATE_ERROR  1e-3 /* a bound of one clock in time of another */
#define TINY_NS     1e-3

/* The error of `to` is above that of `from` by at most so much. */
struct arc {
	uint32_t from;
	uint32_t to;
	uint32_t pair;
	double length;
};

struct paths_search {
	struct clock_graph *graph;
	uint32_t root;
	struct arc *arcs;
	size_t narcs;
	double *distances;
	uint32_t *before; /* per node: the arc by which it was reached */
	uint32_t *blame;  /* per pair: in how many places there is no contradiction without it */
	double excess_ns;
};

static bool has_bounds(const struct paths_search *search, size_t pair)
{
	const struct clock_graph *graph = search->graph;

	return clock_graph_uses(graph, pair, search->root) &&
	       raw_clock_known(graph->nodes[graph->pairs[pair].a].clock) &&
	       raw_clock_known(graph->nodes[graph->pairs[pair].b].clock);
}

/* Times run straight from `at` to the next, and so do the bounds: what holds at both ends holds
 * between. */
static void lay_arcs(struct paths_search *search, size_t at)
{
	const struct clock_graph *graph = search->graph;

	search->narcs = 0;
	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		const int64_t *times = &graph->nodes[pair->b].times[at];
		double high = -INFINITY, low = INFINITY;
		struct clock_bounds bounds;

		if (!has_bounds(search, i))
			continue;
		bounds = clock_pair_bounds(pair, times[0], times[1]);
		for (size_t end = 0; end < 2; end++) {
			double have = clock_graph_difference(graph, pair, at + end);

			high = fmax(high, bounds.high[end] - have);
			low = fmin(low, bounds.low[end] - have);
		}
		search->arcs[search->narcs++] = (struct arc){pair->b, pair->a, i, high};
		search->arcs[search->narcs++] = (struct arc){pair->a, pair->b, i, -low};
	}
}

/* Node of a circle of negative length, or nnodes. `distances` is set; arcs run backwards if asked for; of
 * one pair they do not count. */
static size_t find_paths(struct paths_search *search, bool backwards, size_t without)
{
	size_t nodes = search->graph->nnodes, changed = 0;

	for (size_t round = 0; round <= nodes && changed < nodes; round++) {
		changed = nodes;
		for (size_t i = 0; i < search->narcs; i++) {
			const struct arc *arc = &search->arcs[i];
			uint32_t from = backwards ? arc->to : arc->from;
			uint32_t to = backwards ? arc->from : arc->to;
			double distance = search->distances[from] + arc->length;

			if (arc->pair == without || !(distance < search->distances[to] - TINY_NS))
				continue;
			search->distances[to] = distance;
			search->before[to] = i;
			changed = to;
		}
	}
	return changed;
}

static void reset(struct paths_search *search, double distance)
{
	for (size_t i = 0; i < search->graph->nnodes; i++)
		search->distances[i] = distance;
}

static bool contradicts(struct paths_search *search, size_t without)
{
	reset(search, 0);
	return find_paths(search, false, without) < search->graph->nnodes;
}

/* Blames the pairs of a circle that are in all of them. */
static void blame_circle(struct paths_search *search, size_t node)
{
	size_t nodes = search->graph->nnodes, length = 0;
	uint32_t *pairs = search->blame + search->graph->npairs;
	double sum = 0;
	size_t start;

	for (size_t i = 0; i < nodes; i++)
		node = search->arcs[search->before[node]].from;
	start = node;
	do {
		const struct arc *arc = &search->arcs[search->before[node]];

		sum += arc->length;
		pairs[length++] = arc->pair;
		node = arc->from;
	} while (node != start && length < nodes);
	search->excess_ns = fmax(search->excess_ns, -sum);
	for (size_t i = 0; i < length; i++)
		search->blame[pairs[i]] += 1 + nodes * !contradicts(search, pairs[i]);
}

/* What a node's anchors leave in doubt between `at` and the next time. Of nodes on the way it cancels out. */
static double doubt(const struct clock_node *node, size_t at)
{
	return raw_clock_doubt(node->clock, node->times[at], node->times[at + 1]);
}

/* What is sure of each node between `at` and the next time. */
static void take_bounds(struct paths_search *search, size_t at)
{
	struct clock_graph *graph = search->graph;

	for (int backwards = 0; backwards < 2; backwards++) {
		reset(search, INFINITY);
		search->distances[search->root] = 0;
		find_paths(search, backwards, NO_PAIR);
		for (size_t i = 0; i < graph->nnodes; i++) {
			struct clock_node *node = &graph->nodes[i];
			double bound;

			if (node->root != search->root || i == search->root ||
			    node->first > node->times[at + 1] || node->last < node->times[at])
				continue;
			bound = search->distances[i] + doubt(node, at) +
				doubt(&graph->nodes[search->root], at);
			bound = bound * (1 + RATE_ERROR) + ROUNDING_NS;
			node->bounds[at] = fmax(node->bounds[at], bound);
			node->bound_ns = fmax(node->bound_ns, bound);
		}
	}
}

static int search_open(struct paths_search *search, struct clock_graph *graph, uint32_t root)
{
	*search = (struct paths_search){.graph = graph, .root = root};
	search->arcs = calloc(2 * graph->npairs + 1, sizeof(*search->arcs));
	search->distances = calloc(graph->nnodes, sizeof(*search->distances));
	search->before = calloc(graph->nnodes, sizeof(*search->before));
	search->blame = calloc(graph->npairs + graph->nnodes, sizeof(*search->blame));
	return search->arcs && search->distances && search->before && search->blame ? 0 : -ENOMEM;
}

static void search_release(struct paths_search *search)
{
	free(search->arcs);
	free(search->distances);
	free(search->before);
	free(search->blame);
}

static uint32_t most_blamed(const struct paths_search *search)
{
	uint32_t most = NO_PAIR, blame = 0;

	for (size_t i = 0; i < search->graph->npairs; i++) {
		if (search->blame[i] > blame) {
			blame = search->blame[i];
			most = i;
		}
	}
	return most;
}

int clock_graph_bound(struct clock_graph *graph, uint32_t root, uint32_t *contradiction,
		      double *excess_ns)
{
	struct paths_search search;
	int err = search_open(&search, graph, root);

	for (size_t i = 0; i < graph->nnodes; i++) {
		struct clock_node *node = &graph->nodes[i];

		if (node->root != root)
			continue;
		node->bound_ns = i == root ? 0 : -INFINITY;
		for (size_t at = 0; i != root && at < graph->counts[root]; at++)
			node->bounds[at] = -INFINITY;
	}
	for (size_t at = 0; !err && at + 1 < graph->counts[root]; at++) {
		size_t node;

		lay_arcs(&search, at);
		reset(&search, 0);
		node = find_paths(&search, false, NO_PAIR);
		if (node < graph->nnodes)
			blame_circle(&search, node);
		else
			take_bounds(&search, at);
	}
	*contradiction = err ? NO_PAIR : most_blamed(&search);
	*excess_ns = search.excess_ns;
	search_release(&search);
	return err;
}
