// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>

#include "array.h"
#include "clock_graph_private.h"

#define BESIDE_NS 100000    /* more than the clock readings and estimates around a step are wrong */
#define TIMES_MAX (1 << 17) /* more are farther apart */
#define APPROACH  4 /* rounds to find when a clock that runs differently by 1000 ppm shows a time */

struct grid {
	int64_t *times;
	size_t count;
	size_t room;
};

/* The pair of least scatter that leads out of a group. */
static uint32_t best_way_out(const struct clock_graph *graph, uint32_t root)
{
	double least = INFINITY;
	uint32_t best = NO_PAIR;

	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		bool has_a = graph->nodes[pair->a].root == root;
		bool has_b = graph->nodes[pair->b].root == root;

		if (graph->dropped[i] || has_a == has_b || clock_graph_knows_better(graph, i) ||
		    pair->scatter_ns >= least)
			continue;
		least = pair->scatter_ns;
		best = i;
	}
	return best;
}

static void find_machines(struct clock_graph *graph)
{
	bool changed;

	for (uint32_t i = 0; i < graph->nnodes; i++)
		graph->nodes[i].machine = i;
	do {
		changed = false;
		for (size_t i = 0; i < graph->npairs; i++) {
			uint32_t *a = &graph->nodes[graph->pairs[i].a].machine;
			uint32_t *b = &graph->nodes[graph->pairs[i].b].machine;

			if (graph->dropped[i] || !graph->pairs[i].by_counter || *a == *b)
				continue;
			*a = *b = *a < *b ? *a : *b;
			changed = true;
		}
	} while (changed);
}

/* Groups, and in each the tree of least scatter from its root (Prim). */
static void grow_trees(struct clock_graph *graph)
{
	size_t count = 0;

	find_machines(graph);
	for (size_t i = 0; i < graph->nnodes; i++)
		graph->nodes[i].root = UINT32_MAX;
	for (uint32_t root = 0; root < graph->nnodes; root++) {
		uint32_t node = root, way = NO_PAIR;

		if (graph->nodes[root].root != UINT32_MAX)
			continue;
		do {
			graph->nodes[node].root = root;
			graph->nodes[node].parent = way;
			graph->order[count++] = node;
			way = best_way_out(graph, root);
			if (way == NO_PAIR)
				break;
			node = graph->nodes[graph->pairs[way].a].root == root ? graph->pairs[way].b
									      : graph->pairs[way].a;
		} while (true);
	}
}

/* What clock a shows when b shows `time`. */
static int64_t a_from_b(const struct clock_pair *pair, int64_t time)
{
	return time_plus(time_plus(time, pair->base), llround(clock_pair_at(pair, time)));
}

/* The same from a, if there is a step near the guess: further and further off, then in between. */
static int64_t search_b(const struct clock_pair *pair, int64_t time, int64_t guess)
{
	int64_t reach = 1, low = guess, high = guess;

	for (; reach < RAW_TIME_MAX && time_since(a_from_b(pair, low), time) > 0; reach *= 2)
		low = time_since(guess, reach);
	for (; reach < RAW_TIME_MAX && time_since(a_from_b(pair, high), time) < 0; reach *= 2)
		high = time_plus(guess, reach);
	while (time_since(high, low) > 1) {
		int64_t middle = time_plus(low, time_since(high, low) / 2);

		if (time_since(a_from_b(pair, middle), time) < 0)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static int64_t b_from_a(const struct clock_pair *pair, int64_t time)
{
	int64_t guess = time_since(time, pair->base), off = 0;

	for (int i = 0; i <= APPROACH; i++) {
		off = time_since(time, a_from_b(pair, guess));
		if (off >= -1 && off <= 1)
			return time_plus(guess, off);
		guess = time_plus(guess, off);
	}
	return search_b(pair, time, guess);
}

/* What the root shows when a node of its group shows `time`, along the tree. */
static int64_t root_time(const struct clock_graph *graph, uint32_t node, int64_t time)
{
	while (graph->nodes[node].parent != NO_PAIR) {
		const struct clock_pair *pair = &graph->pairs[graph->nodes[node].parent];

		time = pair->b == node ? a_from_b(pair, time) : b_from_a(pair, time);
		node = pair->b == node ? pair->a : pair->b;
	}
	return time > RAW_TIME_MAX ? RAW_TIME_MAX : time < -RAW_TIME_MAX ? -RAW_TIME_MAX : time;
}

static int grid_add(struct grid *grid, int64_t time)
{
	if (array_reserve(&grid->times, &grid->room, grid->count + 1, sizeof(*grid->times)))
		return -ENOMEM;
	grid->times[grid->count++] = time;
	return 0;
}

/* Steps begin and end at times of their own; where both are nearly one for the root, the ones beside them
 * keep what is before apart from what is behind. */
static int add_step(const struct clock_graph *graph, uint32_t node, const int64_t times[4],
		    struct grid *grid)
{
	int err = 0;

	for (size_t i = 0; i < 4 && !err; i++)
		err = grid_add(grid, root_time(graph, node, times[i]));
	return err;
}

static int add_steps(const struct clock_graph *graph, uint32_t root, struct grid *grid)
{
	int64_t from, to;
	int err = 0;

	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];

		if (!clock_graph_uses(graph, i, root))
			continue;
		for (size_t at = 0; at < pair->count && !err; at++) {
			if (!clock_pair_step(pair, at, &from, &to))
				continue;
			err = add_step(
				graph, pair->b,
				(const int64_t[]){from - BESIDE_NS, from, to, to + BESIDE_NS},
				grid);
		}
	}
	return err;
}

static int compare_times(const void *left, const void *right)
{
	const int64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void keep_distinct(struct grid *grid)
{
	size_t kept = 1;

	qsort(grid->times, grid->count, sizeof(*grid->times), compare_times);
	for (size_t i = 1; i < grid->count; i++)
		if (grid->times[i] != grid->times[kept - 1])
			grid->times[kept++] = grid->times[i];
	grid->count = kept;
}

/* From the first event of any node to the last one. */
static int make_grid(const struct clock_graph *graph, uint32_t root, struct grid *grid)
{
	int64_t first = INT64_MAX, last = INT64_MIN;
	double length;
	size_t steps;
	int err = 0;

	for (uint32_t i = 0; i < graph->nnodes; i++) {
		int64_t from, to;

		if (graph->nodes[i].root != root)
			continue;
		from = root_time(graph, i, graph->nodes[i].first);
		to = root_time(graph, i, graph->nodes[i].last);
		first = from < first ? from : first;
		last = to > last ? to : last;
	}
	length = fmax((double)last - (double)first, CLOCK_STEP_NS);
	steps = (size_t)fmin(ceil(length / CLOCK_STEP_NS), TIMES_MAX);
	for (size_t i = 0; i <= steps && !err; i++)
		err = grid_add(grid,
			       time_plus(first, (int64_t)(length * (double)i / (double)steps)));
	if (!err)
		err = add_steps(graph, root, grid);
	if (!err)
		keep_distinct(grid);
	return err;
}

/* The times of all nodes of a group, along the tree. */
static int lay_out(struct clock_graph *graph, uint32_t root)
{
	struct grid grid = {0};
	int err = make_grid(graph, root, &grid);

	graph->counts[root] = grid.count;
	free(graph->nodes[root].times);
	graph->nodes[root].times = grid.times;
	for (size_t i = 0; i < graph->nnodes && !err; i++) {
		struct clock_node *node = &graph->nodes[graph->order[i]];
		const struct clock_pair *pair;

		if (node->root != root || node->parent == NO_PAIR)
			continue;
		free(node->times);
		free(node->bounds);
		node->times = calloc(grid.count, sizeof(*node->times));
		node->bounds = calloc(grid.count, sizeof(*node->bounds));
		if (!node->times || !node->bounds)
			return -ENOMEM;
		pair = &graph->pairs[node->parent];
		for (size_t at = 0; at < grid.count; at++)
			node->times[at] = pair->b == graph->order[i]
						  ? b_from_a(pair, graph->nodes[pair->a].times[at])
						  : a_from_b(pair, graph->nodes[pair->b].times[at]);
	}
	return err;
}

static void say_contradiction(const struct clock_graph *graph, uint32_t index, double excess_ns)
{
	const struct clock_pair *pair = &graph->pairs[index];
	char line[256];

	snprintf(
		line, sizeof(line),
		"packets between '%.60s' and '%.60s' contradict those of other domains by %.1f us: "
		"left out",
		graph->nodes[pair->a].name, graph->nodes[pair->b].name, excess_ns / 1e3);
	graph->log(graph->log_context, line);
}

/* One group, and again without a pair that contradicts the others. */
static int solve_group(struct clock_graph *graph, uint32_t root)
{
	uint32_t contradiction = NO_PAIR;
	double excess_ns;
	int err;

	do {
		if (contradiction != NO_PAIR) {
			say_contradiction(graph, contradiction, excess_ns);
			graph->dropped[contradiction] = true;
			grow_trees(graph);
		}
		err = lay_out(graph, root);
		if (!err)
			err = clock_graph_settle(graph, root);
		if (!err)
			err = clock_graph_bound(graph, root, &contradiction, &excess_ns);
	} while (!err && contradiction != NO_PAIR);
	return err;
}

int clock_graph_solve(struct clock_graph *graph)
{
	int err = 0;

	graph->dropped = calloc(graph->npairs + 1, sizeof(*graph->dropped));
	graph->order = calloc(graph->nnodes + 1, sizeof(*graph->order));
	graph->counts = calloc(graph->nnodes + 1, sizeof(*graph->counts));
	if (!graph->dropped || !graph->order || !graph->counts)
		return -ENOMEM;
	grow_trees(graph);
	for (size_t i = 0; i < graph->npairs; i++) {
		graph->nodes[graph->pairs[i].a].rejected += graph->pairs[i].rejected;
		graph->nodes[graph->pairs[i].b].rejected += graph->pairs[i].rejected;
	}
	for (uint32_t i = 0; i < graph->nnodes && !err; i++)
		if (graph->nodes[i].root == i)
			err = solve_group(graph, i);
	return err;
}

void clock_graph_release(struct clock_graph *graph)
{
	for (size_t i = 0; i < graph->nnodes && graph->nodes; i++) {
		free(graph->nodes[i].times);
		free(graph->nodes[i].bounds);
	}
	for (size_t i = 0; i < graph->npairs; i++)
		clock_pair_release(&graph->pairs[i]);
	free(graph->nodes);
	free(graph->pairs);
	free(graph->dropped);
	free(graph->order);
	free(graph->counts);
	*graph = (struct clock_graph){0};
}
