/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_graph.h - many raw clocks against one, from what is known of pairs of them.
 *
 * Clocks that packets connect, directly or not, form a group, and the first one is its root. At
 * times a few seconds apart the clocks of a group get the times that fit the estimates of all pairs best
 * (weighted least squares, solved by conjugate gradients); in between they run straight. What all pairs
 * allow bounds how wrong that is: differences that are bounded are the arcs of a graph, bounds its
 * shortest paths (Bellman-Ford). A circle of negative length is a contradiction: the pair without which
 * there is none is named and left out.
 */
#ifndef VNT_CLOCK_GRAPH_H
#define VNT_CLOCK_GRAPH_H

#include "clock_pair.h"

#define CLOCK_BOUND_MAX_NS 9e18 /* that a number on disk holds */

struct clock_node {
	/* Set by the caller. */
	const char *name; /* of a domain */
	int64_t first;    /* its own raw times of its first and last event; last >= first */
	int64_t last;
	const struct raw_clock *clock;
	const struct clock_vms *vms;
	/* Set by clock_graph_solve(). */
	uint32_t root; /* of its group; itself if no packets connect it */
	uint32_t
		machine; /* the first of those that counters (clock_tsc.h) connect it with; itself if none */
	int64_t *times; /* its raw times, when the root's are those of the root: in order */
	double *bounds; /* from each of the times to the next; -INFINITY outside of first and last */
	double bound_ns;   /* the largest one; or INFINITY */
	double scatter_ns; /* standard error of the estimate */
	uint64_t rejected;
	uint32_t parent; /* pair that leads to the root */
};

struct clock_graph {
	struct clock_node *nodes;
	size_t nnodes;
	struct clock_pair *pairs; /* each with a window at least */
	size_t npairs;
	bool *dropped;   /* per pair */
	uint32_t *order; /* nodes, each behind its parent; groups one after the other */
	size_t *counts;  /* per root: how many times */
	log_fn log;
	void *log_context;
};

/* 0 or -ENOMEM. Takes nodes and pairs, to be freed by clock_graph_release(). */
int clock_graph_solve(struct clock_graph *graph);
void clock_graph_release(struct clock_graph *graph);

#endif
