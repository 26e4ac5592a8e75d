// SPDX-License-Identifier: GPL-2.0-only
/* What the tracer did not keep and what it cost, in a report. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

#include "lib/sample.h"
#include "stats_feed.h"

static struct domain domains[] = {{.name = "x"}, {.name = "y"}};
static struct probe probes[] = {{.name = "a"}, {.name = "b"}, {.name = "c", .domain = 1}};
static const struct trace_info info = {domains, 2, probes, 3};
static struct stats *stats;
static struct report report;

static void begin(void)
{
	cr_assert(eq(int, stats_open(&stats, &info, 1000), 0));
}

static void end(void)
{
	report_release(&report);
	stats_close(stats);
}

TestSuite(ledger, .init = begin, .fini = end);

static void put(enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	cr_assert(eq(int, feed_stats(stats, &batch), 0));
}

static void see(uint64_t key, uint16_t probe, uint64_t time_ns)
{
	const struct vnt_event event = {
		.time_ns = time_ns, .flow = 7, .key = key, .length = 100, .probe = probe};

	put(BATCH_EVENTS, &event, 1);
}

Test(ledger, one_row_for_each_cause_and_place)
{
	static const struct loss_row rows[] = {
		{50, 90, 3, 1, ANY_PROBE, ANY_CPU, LOSS_DAMAGED_FILE},
		{10, 20, 5, 0, 1, 1, LOSS_RING_FULL},
		{30, 40, 7, 0, 1, 0, LOSS_RING_FULL},
		{5, 8, 2, 0, 1, 1, LOSS_RING_FULL},
		{15, 18, 40, 0, 1, 1, LOSS_SAMPLED, 4000},
		{15, 18, 0, 0, 0, 1, LOSS_WRITE_ERROR},
		{70, 95, 1, 1, ANY_PROBE, UINT64_MAX, LOSS_DAMAGED_FILE},
	};
	static const struct ledger_report want[] = {
		{0, 1, 0, LOSS_RING_FULL, 30, 40, 7},
		{0, 1, 1, LOSS_RING_FULL, 5, 20, 7},
		{0, 1, 1, LOSS_SAMPLED, 15, 18, 40},
		{1, ANY_PROBE, ANY_CPU, LOSS_DAMAGED_FILE, 50, 95, 4},
	};

	put(BATCH_LOSSES, rows, sizeof(rows) / sizeof(rows[0]));
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(sz, report.nledger, 4));
	for (size_t i = 0; i < 4; i++)
		cr_assert(eq(int, memcmp(&report.ledger[i], &want[i], sizeof(want[i])), 0),
			  "row %zu", i);
	cr_assert(eq(u64, report.domains[0].lost, 14));
	cr_assert(eq(u64, report.domains[0].sampled_out, 40));
	cr_assert(eq(u64, report.domains[1].lost, 4));
	cr_assert(eq(u64, report.probes[1].lost, 14));
	cr_assert(eq(u64, report.probes[1].sampled_out, 40));
}

Test(ledger, sampling_does_not_widen_the_ratio)
{
	static const struct loss_row rows[] = {{0, 9, 100, 0, 0, 0, LOSS_SAMPLED, 10000},
					       {0, 9, 50, 0, ANY_PROBE, 0, LOSS_SAMPLED, 5000}};

	for (uint64_t i = 0; i < 4; i++) {
		see(i, 0, 10 * i);
		if (i)
			see(i, 1, 10 * i + 1);
	}
	put(BATCH_LOSSES, rows, 2);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(dbl, report.losses[0].ratio_min, 0.25));
	cr_assert(eq(dbl, report.losses[0].ratio_max, 0.25));
	cr_assert(eq(u64, report.domains[0].sampled_out, 150));
}

/* Rates count what was sampled out, and last as long; a packet in the trace twice is one packet. */
Test(ledger, rates_of_a_probe_are_of_all_packets)
{
	static const struct loss_row rows[] = {
		{100, 250000000, 4, 0, 0, 0, LOSS_SAMPLED, 800},
		{250000000, 1000000100, 4, 0, 0, 1, LOSS_SAMPLED, 800},
		{100, 500000100, 10, 1, 2, 0, LOSS_SAMPLED, 1000}};

	see(1, 0, 1000);
	see(1, 0, 1001);
	put(BATCH_LOSSES, rows, 3);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.probes[0].bytes, 1800));
	cr_assert(eq(dbl, report.probes[0].throughput_bps, 1800 * 8));
	cr_assert(eq(dbl, report.probes[0].packet_rate, 1 + 8 / 2));
	cr_assert(eq(u64, report.probes[0].events, 2));
	cr_assert(eq(u64, report.probes[0].sampled_out, 8));
	cr_assert(eq(dbl, report.probes[2].packet_rate, 20), "nothing of it was kept");
}

/* A flow that began before anything was left out: three packets of one each, then one of four. */
Test(ledger, throughput_of_a_flow_that_is_sampled_from_then_on)
{
	const uint32_t threshold = vnt_sample_threshold(4);
	const struct epoch_row epoch = {25000, 0, 1, (uint32_t)~threshold};
	const struct vnt_event other = {.time_ns = 24000, .flow = 8, .probe = 1};
	uint64_t key = 100;

	while (vnt_sample_level(7, key, 0, 0) > threshold)
		key++;
	for (uint64_t i = 0; i < 3; i++)
		see(i, 0, 10000 * i);
	put(BATCH_EVENTS, &other, 1);
	put(BATCH_EPOCHS, &epoch, 1);
	see(key, 0, 40000);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.flows[0].packets, 3 + 4));
	cr_assert(eq(u64, report.flows[0].bytes, 700));
	/* There are 4.5 units from the first to the last one, and 3 are left out behind it. */
	cr_assert(fabs(report.flows[0].throughput_bps * (40e-6 * (1 + 3 / 4.5)) - 5600) < 1e-6);
}

Test(ledger, sums_do_not_wrap_around)
{
	static const struct loss_row rows[] = {
		{0, 1, UINT64_MAX, 0, 0, 0, LOSS_SAMPLED, UINT64_MAX},
		{0, UINT64_MAX, UINT64_MAX, 0, 0, 0, LOSS_SAMPLED, UINT64_MAX}};

	see(1, 0, 1000);
	put(BATCH_LOSSES, rows, 2);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.ledger[0].count, UINT64_MAX));
	cr_assert(eq(u64, report.probes[0].sampled_out, UINT64_MAX));
	cr_assert(isfinite(report.probes[0].throughput_bps));
}

/* The last row of each program and recording; what all of them cost is not the sum of these. */
Test(ledger, programs)
{
	static const struct cost_row rows[] = {
		{0, 10, 9, 900, 50, 1, PROGRAM_ALL},
		{0, 0, 4, 100, 0, 1, PROGRAM_DEV_TX},
		{0, 0, 5, 500, 0, 1, PROGRAM_DEV_RX},
		{0, 20, 18, 1800, 1000000000, 1, PROGRAM_ALL},
		{0, 0, 8, 240, 0, 1, PROGRAM_DEV_TX},
		{1, 0, 3, 330, 0, 2, PROGRAM_DEV_TX},
		{0, 0, 2, 60, 0, 3, PROGRAM_DEV_TX},
		{1, 0, 0, 0, 0, 2, PROGRAM_DEV_RX},
		{1, 0, 1, 10, 0, 2, PROGRAM_DEV_TX + 50},
	};
	static const struct program_report want[] = {
		{0, PROGRAM_DEV_RX, 5, 500},
		{0, PROGRAM_DEV_TX, 10, 300},
		{1, PROGRAM_DEV_TX, 3, 330},
		{1, PROGRAM_DEV_TX + 50, 1, 10},
	};

	put(BATCH_COSTS, rows, sizeof(rows) / sizeof(rows[0]));
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(sz, report.nprograms, 4));
	for (size_t i = 0; i < 4; i++) {
		cr_assert(eq(u64, report.programs[i].domain, want[i].domain));
		cr_assert(eq(u64, report.programs[i].program, want[i].program));
		cr_assert(eq(u64, report.programs[i].runs, want[i].runs));
		cr_assert(eq(u64, report.programs[i].run_ns, want[i].run_ns));
	}
	cr_assert(eq(u64, report.overhead_events, 20));
	cr_assert(eq(dbl, report.run_ns_per_event, 90));
	cr_assert(eq(dbl, report.tracer_cpu_seconds, 1));
}

Test(ledger, names)
{
	for (uint64_t i = 0; i < LOSS_CAUSES; i++)
		cr_assert(ne(chr, *loss_cause_name(i), 0));
	for (uint64_t i = 0; i < PROGRAMS; i++)
		cr_assert(ne(chr, *cost_program_name(i), 0));
	cr_assert(eq(str, (char *)loss_cause_name(LOSS_SAMPLED), "sampled out"));
	cr_assert(eq(str, (char *)loss_cause_name(UINT64_MAX), "other"));
	cr_assert(eq(str, (char *)cost_program_name(PROGRAM_DEV_RX), "dev:rx"));
	cr_assert(eq(str, (char *)cost_program_name(PROGRAMS), "other"));
}
