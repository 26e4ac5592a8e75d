// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

#include "lib/epochs.h"
#include "lib/latency.h"
#include "stats_fixture.h"

Test(stats, longer_path_takes_over)
{
	struct fixture f;

	setup(&f, 100);
	see_path(&f, 1, "ac", 1000);
	see_path(&f, 2, "ac", 2000);
	see_path(&f, 3, "abc", 3000);
	see_path(&f, 4, "ac", 4000);
	see_path(&f, 5, "bd", 5000); /* part of none: a path of its own */
	finish(&f);
	expect_packets(&f, 2, 3, 0);
	cr_assert(eq(sz, f.report.npaths, 2));
	cr_assert(eq(u64, f.report.paths[0].end_to_end.count, 1));
	cr_assert(eq(i64, f.report.paths[0].end_to_end.mean_ns, 20));
	cr_assert(eq(sz, f.report.paths[0].nprobes, 3));
	expect_loss(&f, A, B, 4, 1);
	expect_loss(&f, B, C, 1, 1);
	expect_loss(&f, B, D, 1, 1);
	teardown(&f);
}

Test(stats, one_probe_is_a_whole_path)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	see(&f, 1, B, 1000);
	see(&f, 2, B, 2000);
	finish(&f);
	expect_packets(&f, 2, 0, 0);
	cr_assert(eq(sz, f.report.npaths, 1));
	cr_assert(eq(sz, f.report.paths[0].nprobes, 1));
	cr_assert(eq(u64, f.report.paths[0].packets, 2));
	cr_assert(eq(u64, f.report.paths[0].end_to_end.count, 0));
	cr_assert(eq(sz, f.report.nlosses, 0));
	cr_assert(eq(u64, f.report.flows[0].latency.count, 0));
	teardown(&f);
}

Test(stats, horizon_ends_a_journey)
{
	struct fixture f;

	setup(&f, 100);
	see(&f, 1, A, 1000);
	see(&f, 1, B, 1100);
	see(&f, 2, A, 2000);
	see(&f, 2, B, 2101); /* too late: another packet */
	finish(&f);
	expect_packets(&f, 1, 2, 0);
	expect_loss(&f, A, B, 2, 1);
	teardown(&f);
}

Test(stats, a_probe_twice_is_ambiguous)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	see_path(&f, 1, "abcd", 1000);
	see_path(&f, 2, "abab", 2000);
	see_path(&f, 3, "aab", 3000);
	finish(&f);
	expect_packets(&f, 1, 0, 2);
	expect_loss(&f, A, B, 1, 1);
	cr_assert(eq(u64, f.report.paths[0].end_to_end.count, 1));
	cr_assert(eq(u64, f.report.flows[0].packets, 3));
	cr_assert(eq(u64, f.report.flows[0].bytes, 300));
	cr_assert(eq(u64, f.report.probes[A].packets, 3));
	cr_assert(eq(u64, f.report.probes[A].events, 5));
	teardown(&f);
}

Test(stats, identical_packets_in_succession)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	see_path(&f, 1, "abc", 1000);
	see_path(&f, 2, "abcabcabc", 2000); /* three whole passes of a known path */
	see_path(&f, 3, "abcab", 3000); /* the second one may have begun before the first ended */
	see_path(&f, 4, "abcbca", 4000);
	finish(&f);
	expect_packets(&f, 4, 0, 2);
	cr_assert(eq(u64, f.report.paths[0].packets, 4));
	cr_assert(eq(i64, f.report.paths[0].end_to_end.max_ns, 20));
	teardown(&f);
}

Test(stats, a_packet_that_comes_again_was_not_overtaken_meanwhile)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	see_path(&f, 1, "ab", 500);
	see_path(&f, 2, "ab", 1000);
	see_path(&f, 3, "ab", 1500);
	see_path(&f, 2, "ab", 2000);
	finish(&f);
	cr_assert(eq(u64, f.report.paths[0].end_to_end.count, 4));
	cr_assert(eq(u64, f.report.paths[0].reordered, 0));
	teardown(&f);
}

Test(stats, not_yet_observing_is_no_loss)
{
	struct fixture f;

	setup(&f, 100);
	epoch(&f, A, 0, true);
	see_path(&f, 1, "ac", 1000); /* before B */
	epoch(&f, B, 1500, true);
	see_path(&f, 2, "ac", 2000); /* a loss */
	see_path(&f, 3, "abc", 3000);
	finish(&f);
	expect_loss(&f, A, B, 2, 1);
	teardown(&f);
}

Test(stats, no_epoch_is_from_the_first_event_of_the_domain)
{
	struct fixture f;

	setup(&f, 100);
	see(&f, 1, A, 1000); /* nothing is known of domain y */
	see(&f, 2, A, 2000);
	see(&f, 2, D, 2050);
	see(&f, 3, A, 3000);
	finish(&f);
	expect_loss(&f, A, D, 2, 1);
	teardown(&f);
}

Test(stats, no_longer_observing_is_no_loss)
{
	struct fixture f;

	setup(&f, 100);
	for (uint16_t probe = A; probe <= D; probe++)
		epoch(&f, probe, 0, true);
	see(&f, 1, A, 1000);
	see(&f, 1, C, 1040); /* the longest journey: 40 ns */
	see(&f, 2, A, 2000); /* C observes for 40 ns more: lost */
	epoch(&f, C, 2040, false);
	see(&f, 3, A, 3000); /* C does not observe */
	epoch(&f, C, 4000, true);
	see(&f, 4, A, 5000); /* C observes for 39 ns more: who knows */
	epoch(&f, C, 5039, false);
	finish(&f);
	expect_loss(&f, A, C, 2, 1);
	cr_assert(eq(dbl, f.report.flows[0].loss_ratio, 0.5));
	teardown(&f);
}

/* Also of a packet that goes the way of the one before. */
Test(stats, the_longest_journey_is_any_packets)
{
	struct fixture f;

	setup(&f, 100);
	for (uint16_t probe = A; probe <= D; probe++)
		epoch(&f, probe, 0, true);
	put(&f, BATCH_FLOWS, &(struct flow_row){.hash = 7});
	see(&f, 1, A, 1000);
	see(&f, 1, C, 1010);
	see(&f, 2, A, 2000);
	see(&f, 2, C, 2040);
	see(&f, 3, A, 5000); /* C observes for 39 ns more: who knows */
	epoch(&f, C, 5039, false);
	finish(&f);
	expect_loss(&f, A, C, 2, 2);
	teardown(&f);
}

/* Behind the last event nothing else says how far the trace had come. */
Test(stats, what_ends_behind_the_last_event_is_known)
{
	const struct epoch_row end = {.time_ns = 2050, .probe = C};
	const struct batch batch = {
		.type = BATCH_EPOCHS, .count = 1, .epochs = &end, .now_ns = end.time_ns};
	struct fixture f;

	setup(&f, 45);
	for (uint16_t probe = A; probe <= D; probe++)
		epoch(&f, probe, 0, true);
	see(&f, 1, A, 1000);
	see(&f, 1, B, 1020);
	see(&f, 1, C, 1040); /* the longest journey: 40 ns */
	see(&f, 2, A, 2000); /* its horizon is over at 2045 */
	see(&f, 2, B, 2020); /* C observes for 30 ns more: who knows */
	cr_assert(eq(int, stats_put(f.stats, &batch), 0));
	finish(&f);
	expect_loss(&f, B, C, 1, 1);
	teardown(&f);
}

/* Sightings of one packet may lie on both sides of a start, and of the next. */
Test(stats, each_hop_has_its_time)
{
	struct fixture f;

	setup(&f, 100);
	epoch(&f, A, 0, true);
	epoch(&f, C, 0, true);
	see(&f, 1, A, 1000);
	epoch(&f, B, 1010, true);
	epoch(&f, D, 1010, true);
	see(&f, 1, C, 1020);
	see_path(&f, 2, "abcd", 2000);
	finish(&f);
	expect_loss(&f, A, B, 1, 1);
	expect_loss(&f, C, D, 2, 1);
	teardown(&f);
}

Test(stats, each_hop_has_its_time_between_starts)
{
	struct fixture f;

	setup(&f, 100);
	epoch(&f, A, 0, true);
	see(&f, 1, A, 1000);
	epoch(&f, B, 1005, true);
	epoch(&f, C, 1005, true);
	see(&f, 1, B, 1010); /* C was observing, but did not see it */
	epoch(&f, D, 1015, true);
	see(&f, 1, D, 1020);
	see_path(&f, 2, "abcd", 2000);
	finish(&f);
	expect_loss(&f, A, B, 2, 2);
	expect_loss(&f, B, C, 2, 1);
	teardown(&f);
}

Test(stats, epochs_of_one_probe)
{
	struct fixture f;
	struct epochs *epochs;

	setup(&f, 1);
	cr_assert(eq(int, epochs_open(&epochs, &f.info), 0));
	cr_assert(not(epochs_observed(epochs, A, 0, 0)), "its domain has no event");
	cr_assert(eq(int, epochs_domain(epochs, 0, 100), 0));
	cr_assert(not(epochs_observed(epochs, A, 0, 1)));
	cr_assert(epochs_observed(epochs, A, 1, 1));
	cr_assert(eq(int, epochs_probe(epochs, &(struct epoch_row){200, B, 0}), 0));
	cr_assert(epochs_observed(epochs, B, 0, 1), "it ended, so it was observing");
	cr_assert(not(epochs_observed(epochs, B, 0, 2)));
	cr_assert(not(epochs_observed(epochs, B, 2, 2)));
	cr_assert(eq(u32, epochs_until(epochs, 99), 0));
	cr_assert(eq(u32, epochs_until(epochs, 100), 1));
	cr_assert(eq(u32, epochs_until(epochs, UINT64_MAX), 2));
	epochs_close(epochs);
	epochs_close(NULL);
	teardown(&f);
}

Test(stats, ledger_bounds_the_ratio)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	for (uint64_t i = 0; i < 10; i++) {
		see(&f, i, A, 1000 + i * 100);
		if (i >= 4)
			see(&f, i, C, 1010 + i * 100);
	}
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 6, .probe = A});
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 4, .probe = ANY_PROBE});
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 3, .probe = C, .domain = 1});
	finish(&f);
	/* The 4 packets before the first event of domain y do not count. */
	expect_loss(&f, A, C, 6, 6);
	teardown(&f);

	setup(&f, NO_HORIZON);
	for (uint64_t i = 0; i < 10; i++) {
		see(&f, i, A, 1000 + i * 100);
		if (i < 6)
			see(&f, i, B, 1010 + i * 100);
	}
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 6, .probe = A});
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 1, .probe = ANY_PROBE});
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = 2, .probe = B});
	finish(&f);
	/* Of the 4 that were not seen at B, the tracer may have missed 3. */
	cr_assert(eq(u64, f.report.losses[0].sent, 10));
	cr_assert(eq(u64, f.report.losses[0].received, 6));
	cr_assert(eq(u64, f.report.losses[0].lost, 1));
	cr_assert(eq(dbl, f.report.flows[0].loss_ratio, 1.0 / 10));
	cr_assert(eq(dbl, f.report.losses[0].ratio, 1.0 / 10));
	cr_assert(eq(dbl, f.report.losses[0].ratio_min, 1.0 / 17));
	cr_assert(eq(dbl, f.report.losses[0].ratio_max, 11.0 / 17));
	cr_assert(eq(u64, f.report.probes[A].lost, 6));
	cr_assert(eq(u64, f.report.domains[0].lost, 9));
	teardown(&f);
}

Test(stats, hop_means_add_up)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	for (uint64_t i = 0; i < 3; i++) { /* hops of 1/3, 1/3 and 4/3 ns on average */
		see(&f, i, A, 1000 + i * 100);
		see(&f, i, B, 1000 + i * 100 + !i);
		see(&f, i, C, 1000 + i * 100 + 2 * !i);
		see(&f, i, D, 1001 + i * 100 + 3 * !i);
	}
	finish(&f);
	cr_assert(eq(i64, f.report.paths[0].end_to_end.mean_ns, 2));
	cr_assert(eq(i64, f.report.paths[0].hops[0].latency.mean_ns, 0));
	cr_assert(eq(i64, f.report.paths[0].hops[1].latency.mean_ns, 1));
	cr_assert(eq(i64, f.report.paths[0].hops[2].latency.mean_ns, 1));
	teardown(&f);
}

Test(stats, bounds_of_clocks)
{
	static const struct {
		int64_t x, y, want;
	} rows[] = {
		{0, 0, 0},
		{0, 70, 70},
		{5, 70, 75},
		{CLOCK_UNBOUNDED, 70, CLOCK_UNBOUNDED},
		{0, CLOCK_UNBOUNDED, CLOCK_UNBOUNDED},
		{INT64_MAX, 1, CLOCK_UNBOUNDED},
	};
	struct fixture f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(&f, NO_HORIZON);
		f.domains[0].clock.bound_ns = rows[i].x;
		f.domains[1].clock.bound_ns = rows[i].y;
		see_path(&f, 1, "abcd", 1000);
		finish(&f);
		cr_assert(eq(i64, f.report.paths[0].hops[0].latency.bound_ns, 0));
		cr_assert(eq(i64, f.report.paths[0].hops[1].latency.bound_ns, rows[i].want));
		cr_assert(eq(i64, f.report.paths[0].end_to_end.bound_ns, rows[i].want));
		cr_assert(eq(i64, f.report.flows[0].latency.bound_ns, rows[i].want));
		cr_assert(f.report.paths[0].hops[1].cross_domain);
		cr_assert(not(f.report.paths[0].hops[0].cross_domain));
		teardown(&f);
	}
}

Test(stats, tables)
{
	const struct flow_row name = {.hash = 7, .flow = {.proto = 17, .ethertype = 0x0800}};
	const struct flow_row unseen = {.hash = 8};
	struct fixture f;

	setup(&f, NO_HORIZON);
	put(&f, BATCH_COSTS, &(struct cost_row){0, 10, 4, 100, 1000, 1});
	put(&f, BATCH_COSTS, &(struct cost_row){0, 20, 8, 2300, 2000000000, 1});
	put(&f, BATCH_COSTS, &(struct cost_row){1, 5, 2, 200, 500000000, 2});
	put(&f, BATCH_FLOWS, &unseen);
	see_path(&f, 1, "ab", 1000);
	put(&f, BATCH_FLOWS, &name);
	see_path(&f, 2, "ab", 1000001000);
	put(&f, BATCH_ANCHORS, &(struct anchor_row){0});
	finish(&f);
	cr_assert(eq(u64, f.report.overhead_events, 25));
	cr_assert(eq(dbl, f.report.run_ns_per_event, 100));
	cr_assert(eq(dbl, f.report.tracer_cpu_seconds, 2.5));
	cr_assert(eq(sz, f.report.nflows, 1));
	cr_assert(f.report.flows[0].known);
	cr_assert(eq(int, f.report.flows[0].flow.proto, 17));
	cr_assert(eq(dbl, f.report.flows[0].throughput_bps, 200 * 8));
	cr_assert(eq(str, (char *)f.report.probes[B].name, "x/b"));
	cr_assert(fabs(f.report.probes[A].packet_rate - 2) < 1e-6);
	cr_assert(eq(dbl, f.report.probes[C].packet_rate, 0));
	cr_assert(eq(u64, f.report.domains[0].events, 4));
	cr_assert(eq(u64, f.report.domains[0].first_ns, 1000));
	cr_assert(eq(u64, f.report.domains[0].last_ns, 1000001010));
	cr_assert(eq(u64, f.report.domains[1].last_ns, 0));
	cr_assert(eq(sz, f.report.ncpus, 2));
	teardown(&f);
}

Test(stats, hostile_values)
{
	struct fixture f;

	setup(&f, NO_HORIZON);
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = UINT64_MAX, .probe = A});
	put(&f, BATCH_LOSSES, &(struct loss_row){.count = UINT64_MAX, .probe = ANY_PROBE});
	put(&f, BATCH_COSTS,
	    &(struct cost_row){0, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 1});
	epoch(&f, B, UINT64_MAX, false);
	epoch(&f, B, 0, true);
	see(&f, 1, A, 0);
	see(&f, 1, B, UINT64_MAX);
	see(&f, 2, D, UINT64_MAX);
	see(&f, 2, C, UINT64_MAX);
	for (uint64_t i = 0; i < 1000; i++)
		see_path(&f, 3, "abcd", UINT64_MAX);
	finish(&f);
	cr_assert(isfinite(f.report.losses[0].ratio_max));
	cr_assert(eq(u64, f.report.domains[0].lost, UINT64_MAX));
	teardown(&f);
}

/* Also past the point where durations are no longer kept one by one. */
Test(stats, jitter_as_in_the_rfc)
{
	uint64_t seed = 3, jitter = 0;
	struct track track = {0};
	struct latency latency;
	int64_t last = 0;

	for (int i = 0; i < 1000; i++) {
		int64_t duration, d;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		duration = (int64_t)(seed >> 40) - (1 << 22);
		d = llabs(duration - last);
		if (i)
			jitter += d - ((jitter + 8) >> 4);
		last = duration;
		cr_assert(eq(int, track_add(&track, duration), 0));
		track_latency(&track, &latency);
		cr_assert(eq(i64, latency.jitter_ns, jitter >> 4));
	}
	track_release(&track);
}
