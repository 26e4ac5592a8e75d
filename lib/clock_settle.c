// SPDX-License-Identifier: GPL-2.0-only
/* Weighted least squares over a group, by conjugate gradients with the diagonal as preconditioner. */
#include <math.h>

#include "array.h"
#include "clock_graph_private.h"

#define AWAY_DRIFT \
	3e-8        /* standard error of the drift, where an estimate goes on beyond its windows */
#define ENOUGH 1e-6 /* ns: a correction that changes less is found */

/* The normal equations of one time. Vectors have an element for each node; the root's stays 0. */
struct system {
	const struct clock_graph *graph;
	uint32_t root;
	double *weights; /* per pair */
	double *diagonal;
	double *solution;
	double *residual;
	double *direction;
	double *product;
	double *memory;
};

static int system_open(struct system *system, const struct clock_graph *graph, uint32_t root)
{
	size_t nodes = graph->nnodes;

	*system = (struct system){.graph = graph, .root = root};
	system->memory = calloc(graph->npairs + 5 * nodes, sizeof(*system->memory));
	if (!system->memory)
		return -ENOMEM;
	system->weights = system->memory;
	system->diagonal = system->weights + graph->npairs;
	system->solution = system->diagonal + nodes;
	system->residual = system->solution + nodes;
	system->direction = system->residual + nodes;
	system->product = system->direction + nodes;
	return 0;
}

/* Each pair counts by how well it is known at this time. */
static void weigh(struct system *system, size_t at)
{
	const struct clock_graph *graph = system->graph;

	memset(system->diagonal, 0, graph->nnodes * sizeof(*system->diagonal));
	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		double away, error;

		system->weights[i] = 0;
		if (!clock_graph_uses(graph, i, system->root) || clock_graph_knows_better(graph, i))
			continue;
		away = clock_pair_away(pair, graph->nodes[pair->b].times[at]);
		error = pair->scatter_ns + 1 + away * (AWAY_DRIFT + CLOCK_WANDER * away);
		system->weights[i] = 1 / (error * error);
		system->diagonal[pair->a] += system->weights[i];
		system->diagonal[pair->b] += system->weights[i];
	}
}

static void multiply(struct system *system, const double *vector)
{
	const struct clock_graph *graph = system->graph;

	memset(system->product, 0, graph->nnodes * sizeof(*system->product));
	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		double flow = system->weights[i] * (vector[pair->a] - vector[pair->b]);

		system->product[pair->a] += flow;
		system->product[pair->b] -= flow;
	}
	system->product[system->root] = 0;
}

static double scaled_norm(const struct system *system)
{
	double sum = 0;

	for (size_t i = 0; i < system->graph->nnodes; i++)
		if (system->diagonal[i] > 0)
			sum += system->residual[i] * system->residual[i] / system->diagonal[i];
	return sum;
}

static double dot(const double *a, const double *b, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += a[i] * b[i];
	return sum;
}

/* For the right side in `residual`. */
static void solve(struct system *system)
{
	size_t nodes = system->graph->nnodes;
	double norm, before = 0;

	system->residual[system->root] = 0;
	memset(system->solution, 0, nodes * sizeof(*system->solution));
	memset(system->direction, 0, nodes * sizeof(*system->direction));
	for (size_t step = 0; step < 2 * nodes; step++) {
		double length;

		norm = scaled_norm(system);
		if (norm <= 0)
			break;
		for (size_t i = 0; i < nodes; i++) {
			system->direction[i] *= before > 0 ? norm / before : 0;
			if (system->diagonal[i] > 0)
				system->direction[i] += system->residual[i] / system->diagonal[i];
		}
		multiply(system, system->direction);
		length = norm / dot(system->direction, system->product, nodes);
		for (size_t i = 0; i < nodes; i++) {
			system->solution[i] += length * system->direction[i];
			system->residual[i] -= length * system->product[i];
		}
		if (fabs(length) * sqrt(dot(system->direction, system->direction, nodes)) < ENOUGH)
			break;
		before = norm;
	}
}

/* How far the estimates are from the times. */
static void take_misfits(struct system *system, size_t at)
{
	const struct clock_graph *graph = system->graph;

	memset(system->residual, 0, graph->nnodes * sizeof(*system->residual));
	for (size_t i = 0; i < graph->npairs; i++) {
		const struct clock_pair *pair = &graph->pairs[i];
		double misfit;

		if (!clock_graph_uses(graph, i, system->root))
			continue;
		misfit = clock_pair_at(pair, graph->nodes[pair->b].times[at]) -
			 clock_graph_difference(graph, pair, at);
		system->residual[pair->a] += system->weights[i] * misfit;
		system->residual[pair->b] -= system->weights[i] * misfit;
	}
}

/* Standard errors are the diagonal of the inverse, here in the middle of the trace. */
static void take_errors(struct clock_graph *graph, struct system *system)
{
	weigh(system, graph->counts[system->root] / 2);
	for (size_t i = 0; i < graph->nnodes; i++) {
		graph->nodes[i].scatter_ns =
			graph->nodes[i].root == system->root ? 0 : graph->nodes[i].scatter_ns;
		if (graph->nodes[i].root != system->root || i == system->root)
			continue;
		memset(system->residual, 0, graph->nnodes * sizeof(*system->residual));
		system->residual[i] = 1;
		solve(system);
		graph->nodes[i].scatter_ns = sqrt(fmax(system->solution[i], 0));
	}
}

int clock_graph_settle(struct clock_graph *graph, uint32_t root)
{
	struct system system;
	int err = system_open(&system, graph, root);

	for (size_t at = 0; at < graph->counts[root] && !err; at++) {
		weigh(&system, at);
		take_misfits(&system, at);
		solve(&system);
		for (size_t i = 0; i < graph->nnodes; i++)
			if (graph->nodes[i].root == root && i != root)
				graph->nodes[i].times[at] += llround(system.solution[i]);
	}
	if (!err)
		take_errors(graph, &system);
	free(system.memory);
	return err;
}
