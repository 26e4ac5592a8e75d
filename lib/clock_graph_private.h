/* SPDX-License-Identifier: GPL-2.0-only */
/* clock_graph_private.h - the steps of clock_graph_solve(), each for one group. */
#ifndef VNT_CLOCK_GRAPH_PRIVATE_H
#define VNT_CLOCK_GRAPH_PRIVATE_H

#include "clock_graph.h"

#define NO_PAIR UINT32_MAX

/* The pair is in this group, and not left out. */
static inline bool clock_graph_uses(const struct clock_graph *graph, size_t pair, uint32_t root)
{
	return !graph->dropped[pair] && graph->nodes[graph->pairs[pair].a].root == root;
}

/* Packets between two clocks that counters connect bound their difference, but do not estimate it: a path
 * that is slower one way misleads them. */
static inline bool clock_graph_knows_better(const struct clock_graph *graph, size_t pair)
{
	const struct clock_pair *of = &graph->pairs[pair];

	return !of->by_counter && graph->nodes[of->a].machine == graph->nodes[of->b].machine;
}

/* What the times say of a pair's difference, from its base. */
static inline double clock_graph_difference(const struct clock_graph *graph,
					    const struct clock_pair *pair, size_t at)
{
	return (double)time_since(
		time_since(graph->nodes[pair->a].times[at], graph->nodes[pair->b].times[at]),
		pair->base);
}

/* Moves the times to where they fit all pairs best, and says their standard errors. */
int clock_graph_settle(struct clock_graph *graph, uint32_t root);

/* Bounds of all nodes; or in *contradiction the pair that is to blame that there are none, else
 * NO_PAIR, and in *excess_ns by how much. */
int clock_graph_bound(struct clock_graph *graph, uint32_t root, uint32_t *contradiction,
		      double *excess_ns);

#endif
