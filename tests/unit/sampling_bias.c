// SPDX-License-Identifier: GPL-2.0-only
/* The mean of what many samples say of the same kind of network is the truth. */
#include <math.h>

#include "sampling.h"

#define SEEDS 300

static const uint32_t high[] = {2, 3, 5, 0};
static const uint32_t mixed[] = {1, 4, 20, 0};

/* Mean and scatter of (estimate - truth) / truth. */
struct error {
	double n, sum, squares;
};

static void error_add(struct error *error, double estimate, double truth)
{
	double e = estimate / truth - 1;

	error->n++;
	error->sum += e;
	error->squares += e * e;
}

/* Within four standard errors, and `slack` for what is unbiased for large samples only. */
static void expect_unbiased(const struct error *error, double slack, const char *what)
{
	double mean = error->sum / error->n;
	double variance = (error->squares / error->n - mean * mean) / error->n;
	double off = fabs(mean) > slack ? fabs(mean) - slack : 0;

	cr_assert(error->squares > 0, "%s: there is no sampling", what);
	cr_assert(off * off <= 16 * variance, "%s: off by %.4f, variance %.3g", what, mean,
		  variance);
}

static const struct flow_report *find_flow(const struct world *world, size_t flow)
{
	for (size_t i = 0; i < world->report.nflows; i++)
		if (world->report.flows[i].hash == world->hashes[flow])
			return &world->report.flows[i];
	return NULL;
}

static void add_flow(const struct world *world, size_t flow, struct error *packets,
		     struct error *bytes, struct error *throughput)
{
	static const struct flow_report none;
	const struct flow_report *row = find_flow(world, flow);
	double span_ns = (double)(world->last_ns[flow] - world->first_ns[flow]);
	struct sum truth = {0};

	for (size_t i = 0; i < PACKETS; i++) {
		if (world->packets[i].flow != flow)
			continue;
		truth.events++;
		truth.bytes += world->packets[i].length;
	}
	row = row ? row : &none;
	error_add(packets, (double)row->packets, (double)truth.events);
	error_add(bytes, (double)row->bytes, (double)truth.bytes);
	error_add(throughput, row->throughput_bps, 8e9 * (double)truth.bytes / span_ns);
}

/* Even flows are TCP data. */
static void check_bias(const struct world_config *config, double slack)
{
	struct error packets[2] = {0}, bytes[2] = {0}, throughput[2] = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = world_run(seed, config);

		for (size_t i = 0; i < FLOWS; i++)
			add_flow(world, i, &packets[i % 2], &bytes[i % 2], &throughput[i % 2]);
		world_free(world);
	}
	expect_unbiased(&packets[1], 0, "packets");
	expect_unbiased(&bytes[1], 0, "bytes");
	expect_unbiased(&throughput[1], slack, "throughput");
	expect_unbiased(&packets[0], 0, "packets of TCP data");
	expect_unbiased(&bytes[0], 0, "bytes of TCP data");
	expect_unbiased(&throughput[0], slack, "throughput of TCP data");
}

Test(sampling_bias, one_rate)
{
	check_bias(&(struct world_config){high, .same = true}, 0.01);
}

Test(sampling_bias, rates_that_differ_and_drops)
{
	check_bias(&(struct world_config){mixed, .drop_percent = 10}, 0.01);
}

Test(sampling_bias, rates_that_change)
{
	check_bias(&(struct world_config){mixed, .changing = true, .same = true}, 0.02);
	check_bias(&(struct world_config){mixed, .changing = true, .drop_percent = 10}, 0.02);
}

/* Every byte is in the trace or in the ledger, so the rates of a probe are exact. */
Test(sampling_bias, rates_of_a_probe)
{
	const struct world_config config = {mixed, .changing = true, .same = true};

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = world_run(seed, &config);

		for (size_t i = 0; i < PROBES; i++) {
			const struct probe_report *row = &world->report.probes[i];
			double seconds = (double)world->all[i].bytes * 8 / row->throughput_bps;

			if (!world->all[i].events)
				continue;
			cr_assert(fabs(row->packet_rate * seconds / (double)world->all[i].events -
				       1) < 1e-9);
			cr_assert(fabs(seconds * 1e9 /
					       (double)(world->probe_last_ns[i] -
							world->probe_first_ns[i]) -
				       1) < 1e-9);
		}
		world_free(world);
	}
}
