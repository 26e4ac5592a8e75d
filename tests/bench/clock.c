// SPDX-License-Identifier: GPL-2.0-only
/*
 * How well merge finds clocks: the scenarios of clock_scene.h, many seeds each. Prints quantiles of
 * the absolute error over the whole trace, over all seeds together, the target for the 99th, and in
 * what part of all instants the hard bound held the truth. Exits with 1 if a target is missed.
 *
 *   bench-clock [-s SEEDS] [-v] [SCENARIO]...
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/clock_scene.h"

struct total {
	double *errors;
	size_t count;
	size_t missed;
	size_t unbounded;
	size_t not_fitted;
	double bound;
	double scatter;
	unsigned long long rejected;
};

static int by_size(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void add_run(struct total *total, const struct scene *scene, uint64_t seed, bool verbose)
{
	struct scene_result result;

	scene_run(scene, seed, &result);
	total->errors = reallocarray(total->errors, total->count + result.count, sizeof(double));
	if (!total->errors)
		err(1, "errors");
	memcpy(total->errors + total->count, result.errors, result.count * sizeof(double));
	total->count += result.count;
	total->missed += result.missed;
	total->unbounded += result.unbounded;
	total->not_fitted += result.not_fitted;
	total->rejected += result.rejected;
	total->bound = fmax(total->bound, result.bound);
	total->scatter = fmax(total->scatter, result.scatter);
	if (verbose)
		printf("    seed %2lu: p50 %.3f p99 %.3f max %.3f bound %.2f scatter %.3f\n%s",
		       (unsigned long)seed, result.errors[result.count / 2],
		       result.errors[result.count * 99 / 100], result.errors[result.count - 1],
		       result.bound, result.scatter, result.log);
	scene_result_release(&result);
}

/* The 99th percentile, and what is wrong. */
static double print_row(const struct scene *scene, struct total *total, bool *failed)
{
	double p99, held = 1 - (double)total->missed / (double)total->count;
	char target[16] = "-";

	qsort(total->errors, total->count, sizeof(double), by_size);
	p99 = total->errors[total->count * 99 / 100];
	if (scene->target > 0)
		snprintf(target, sizeof(target), "%.2f", scene->target);
	printf("%-40s %8.3f %8.3f %8.3f %8s %8.2f %9.4f %% %8.3f %6llu%s%s\n", scene->name,
	       total->errors[total->count / 2], p99, total->errors[total->count - 1], target,
	       total->bound, held * 100, total->scatter, total->rejected,
	       total->unbounded ? " unbounded" : "", total->not_fitted ? " not fitted" : "");
	fflush(stdout);
	*failed |= (scene->target > 0 && p99 > scene->target) || total->missed ||
		   total->unbounded || total->not_fitted;
	return p99;
}

static bool is_wanted(const char *name, char **wanted, int count)
{
	for (int i = 0; i < count; i++)
		if (strstr(name, wanted[i]))
			return true;
	return !count;
}

int main(int argc, char **argv)
{
	unsigned int seeds = 20;
	double before = 0, p99;
	bool verbose = false, failed = false;
	int option;

	while ((option = getopt(argc, argv, "s:v")) != -1) {
		if (option == 's')
			seeds = strtoul(optarg, NULL, 10);
		else if (option == 'v')
			verbose = true;
		else
			return 2;
	}
	printf("%-40s %8s %8s %8s %8s %8s %11s %8s %6s\n", "|error| in us", "p50", "p99", "max",
	       "target", "bound", "bound holds", "scatter", "rej");
	for (size_t i = 0; scenes[i].name; i++) {
		struct total total = {0};

		if (!is_wanted(scenes[i].name, argv + optind, argc - optind))
			continue;
		for (unsigned int seed = 1; seed <= seeds; seed++)
			add_run(&total, &scenes[i], seed, verbose);
		p99 = print_row(&scenes[i], &total, &failed);
		if (scenes[i].mesh > 0 && !scenes[i].tree)
			printf("    %.2f times as exact as the spanning tree (target 1.5)\n",
			       before / p99);
		before = p99;
		free(total.errors);
	}
	return failed;
}
