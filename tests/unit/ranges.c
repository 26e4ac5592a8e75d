// SPDX-License-Identifier: GPL-2.0-only
/* Bounds of hops whose packets were seen when clocks were known better than at other times. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/latency.h"
#include "stats_feed.h"

#define MANY 200

/* Probe 0 is in the reference; 1 and 2 are in a domain that is known to 70 at all times. */
struct fixture {
	struct domain domains[2];
	struct probe probes[3];
	struct trace_info info;
	struct stats *stats;
	struct report report;
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){
		.domains = {{.name = "x"}, {.name = "y", .clock.bound_ns = 70}},
		.probes = {{.name = "a"}, {.name = "b", .domain = 1}, {.name = "c", .domain = 1}},
	};
	f->info = (struct trace_info){f->domains, 2, f->probes, 3};
	cr_assert(eq(int, stats_open(&f->stats, &f->info, UINT64_MAX), 0));
}

static void put(struct fixture *f, enum batch_type type, const void *row)
{
	const struct batch batch = {.type = type, .count = 1, .rows = row};

	cr_assert(eq(int, feed_stats(f->stats, &batch), 0));
}

static void put_range(struct fixture *f, uint64_t from_ns, uint64_t to_ns, int64_t bound_ns)
{
	put(f, BATCH_RANGES,
	    &(struct range_row){
		    .domain = 1, .from_ns = from_ns, .to_ns = to_ns, .bound_ns = bound_ns});
}

/* At probe 1 at that time, 10 before at 0 and 10 after at 2. */
static void see(struct fixture *f, uint64_t key, uint64_t time_ns)
{
	for (uint16_t i = 0; i < 3; i++)
		put(f, BATCH_EVENTS,
		    &(struct vnt_event){.time_ns = time_ns - 10 + 10ul * i,
					.flow = 7,
					.key = key,
					.length = 100,
					.probe = i});
}

static int64_t bound_of_hop(const struct fixture *f, size_t hop)
{
	return f->report.paths[0].hops[hop].latency.bound_ns;
}

static void finish(struct fixture *f)
{
	cr_assert(eq(int, stats_report(f->stats, &f->report), 0));
	cr_assert(eq(sz, f->report.npaths, 1));
	cr_assert(eq(i64, bound_of_hop(f, 1), 0), "within a domain");
}

static void teardown(struct fixture *f)
{
	report_release(&f->report);
	stats_close(f->stats);
}

Test(ranges, of_when_packets_were_seen)
{
	static const struct {
		uint64_t times[2];
		int64_t hop;
		int64_t end_to_end;
	} rows[] = {
		{{1000, 1100}, 10, 10},  {{1000, 1989}, 10, 10},
		{{1000, 1990}, 10, 70}, /* at the last probe it is 2000 */
		{{1000, 2000}, 70, 70},  {{1000, 3000}, 20, 20},
		{{3000, 5000}, 20, 20},  {{1000, 2500}, 70, 70},
		{{1000, 10000}, 70, 70}, /* of which nothing is said */
	};
	struct fixture f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(&f);
		put_range(&f, 500, 2000, 10);
		put_range(&f, 2000, 3000, 70);
		put_range(&f, 3000, 9000, 20);
		put(&f, BATCH_RANGES, &(struct range_row){0, 9000, 20000, 0, 0, 0});
		see(&f, 1, rows[i].times[0]);
		see(&f, 2, rows[i].times[1]);
		finish(&f);
		cr_assert(eq(i64, bound_of_hop(&f, 0), rows[i].hop));
		cr_assert(eq(i64, f.report.paths[0].end_to_end.bound_ns, rows[i].end_to_end));
		cr_assert(eq(i64, f.report.flows[0].latency.bound_ns, rows[i].end_to_end));
		cr_assert(eq(sz, f.report.nranges, 4));
		teardown(&f);
	}
}

Test(ranges, of_packets_that_are_sampled)
{
	struct fixture f;

	setup(&f);
	put_range(&f, 500, 2000, 10);
	put_range(&f, 2000, 9000, 70);
	see(&f, 1, 1000);
	for (uint16_t i = 0; i < 3; i++)
		put(&f, BATCH_EPOCHS,
		    &(struct epoch_row){.time_ns = 1500, .probe = i, .active = 1, .sampling = 1});
	see(&f, 2, 5000);
	finish(&f);
	cr_assert(eq(u64, f.report.paths[0].packets, 2));
	cr_assert(eq(i64, bound_of_hop(&f, 0), 70));
	teardown(&f);
}

/* There are more than can be told apart: the bound is never less than it was. */
Test(ranges, more_than_spans)
{
	struct fixture f;

	setup(&f);
	f.domains[1].clock.bound_ns = 1000;
	for (uint64_t i = 0; i < MANY; i++)
		put_range(&f, 1000 + i * 100, 1100 + i * 100, 1 + i);
	see(&f, 1, 1010 + 30 * 100);
	see(&f, 2, 1010 + 150 * 100);
	finish(&f);
	cr_assert(ge(i64, bound_of_hop(&f, 0), 151));
	cr_assert(le(i64, bound_of_hop(&f, 0), MANY));
	teardown(&f);
}

/* What was noted before says nothing of them. */
Test(ranges, that_come_too_late_count_for_nothing)
{
	struct fixture f;

	setup(&f);
	see(&f, 1, 1000);
	cr_assert(eq(int, stats_report(f.stats, &f.report), 0));
	report_release(&f.report);
	put_range(&f, 500, 2000, 10);
	see(&f, 2, 1500);
	finish(&f);
	cr_assert(eq(i64, bound_of_hop(&f, 0), 70));
	teardown(&f);
}
