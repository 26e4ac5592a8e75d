// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "cpu_limit.h"
#include "stats_feed.h"
#include "lib/translations.h"

#define LEAD    TRANSLATION_LEAD_NS
#define BOUND   1000
#define FLOWS   20
#define ROWS    2000
#define KEY     77
#define SECONDS 1000000000ull

/* Probes R and S in one domain, T in another one whose clock is off by at most BOUND, U in one whose
 * clock nobody knows. */
enum {
	R,
	S,
	T,
	U
};

static struct domain domains[] = {
	{.name = "r"},
	{.name = "t", .clock = {.bound_ns = BOUND}},
	{.name = "u", .clock = {.bound_ns = CLOCK_UNBOUNDED}},
};
static struct probe probes[] = {
	{.name = "r"}, {.name = "s"}, {.name = "t", .domain = 1}, {.name = "u", .domain = 2}};
static const struct trace_info info = {domains, 3, probes, 4};

static struct translations all;

static void add(uint64_t flow, uint64_t before, uint64_t time_ns)
{
	const struct translation_row row = {time_ns, flow, before, R};

	cr_assert(eq(int, translations_add(&all, &info, &row), 0));
}

static uint64_t origin(uint64_t flow, uint64_t time_ns, uint16_t probe)
{
	return translations_origin(&all, &info, flow, time_ns, probe);
}

static void release(void)
{
	translations_release(&all);
}

TestSuite(translations, .fini = release);

Test(translations, none_change_nothing)
{
	cr_assert(eq(u64, origin(5, 100, R), 5));
	cr_assert(eq(u64, origin(0, 0, U), 0));
}

Test(translations, one_is_in_force_from_its_time_on)
{
	add(2, 1, SECONDS);
	cr_assert(eq(u64, origin(2, SECONDS, R), 1));
	cr_assert(eq(u64, origin(2, 900 * SECONDS, T), 1));
	cr_assert(eq(u64, origin(1, SECONDS, R), 1));
	cr_assert(eq(u64, origin(3, SECONDS, R), 3));
}

Test(translations, the_first_one_is_in_force_a_little_earlier)
{
	add(2, 1, SECONDS);
	for (uint16_t probe = R; probe <= U; probe++) {
		cr_assert(eq(u64, origin(2, SECONDS - LEAD, probe), 1));
		cr_assert(eq(u64, origin(2, SECONDS - LEAD - 1, probe), 2));
	}
}

Test(translations, a_port_is_used_again)
{
	add(9, 1, SECONDS);
	add(9, 2, 2 * SECONDS);
	add(9, 1, 3 * SECONDS);
	cr_assert(eq(u64, origin(9, 2 * SECONDS - 1, S), 1));
	cr_assert(eq(u64, origin(9, 2 * SECONDS, S), 2));
	cr_assert(eq(u64, origin(9, 3 * SECONDS - 1, S), 2));
	cr_assert(eq(u64, origin(9, 3 * SECONDS, S), 1));
}

Test(translations, clocks_that_differ_see_it_as_much_earlier)
{
	add(9, 1, SECONDS);
	add(9, 2, 2 * SECONDS);
	cr_assert(eq(u64, origin(9, 2 * SECONDS - BOUND, T), 2));
	cr_assert(eq(u64, origin(9, 2 * SECONDS - BOUND - 1, T), 1));
	cr_assert(eq(u64, origin(9, 2 * SECONDS - LEAD, U), 2));
	cr_assert(eq(u64, origin(9, 2 * SECONDS - LEAD - 1, U), 1));
}

Test(translations, chains_lead_to_the_sender)
{
	add(2, 1, SECONDS);
	add(3, 2, SECONDS + 10);
	add(4, 3, SECONDS + 20);
	cr_assert(eq(u64, origin(4, SECONDS + 30, T), 1));
	cr_assert(eq(u64, origin(3, SECONDS + 30, T), 1));
}

/* Router one makes 2 of 1, and router two 1 of 2 again: the far end sees what the sender sent. */
Test(translations, what_is_undone_is_the_same_flow)
{
	add(2, 1, SECONDS);
	add(1, 2, SECONDS + 10);
	cr_assert(eq(u64, origin(1, SECONDS + 20, R), 1));
	cr_assert(eq(u64, origin(2, SECONDS + 20, R), 1));
	add(5, 5, SECONDS);
	cr_assert(eq(u64, origin(5, SECONDS + 20, R), 5));
}

struct random_row {
	uint64_t time_ns;
	uint64_t before;
};

/* Against a search through all rows; they come a little out of order. No flow is before itself. */
Test(translations, random_ones_are_found_by_their_definition)
{
	static struct random_row rows[FLOWS][ROWS / FLOWS];
	uint64_t time_ns = SECONDS;

	srand(1);
	for (size_t i = 0; i < ROWS / FLOWS; i++) {
		for (size_t flow = 0; flow < FLOWS; flow++) {
			time_ns += 1 + rand() % 5;
			rows[flow][i] = (struct random_row){time_ns, 100 + rand() % 3};
		}
	}
	for (size_t i = 0; i < ROWS / FLOWS; i += 2)
		for (size_t flow = 0; flow < FLOWS; flow++)
			for (size_t k = 2; k-- > 0;)
				add(flow, rows[flow][i + k].before, rows[flow][i + k].time_ns);
	for (size_t i = 0; i < 10000; i++) {
		uint64_t flow = rand() % FLOWS, at = time_ns - rand() % 1000, expected = flow;

		for (size_t k = 0; k < ROWS / FLOWS && rows[flow][k].time_ns <= at; k++)
			expected = rows[flow][k].before;
		cr_assert(eq(u64, origin(flow, at, S), expected));
	}
}

/* A file may say anything: nothing takes long, nothing is endless. */
Test(translations, lies_cost_no_more_than_truth, .init = limit_cpu)
{
	for (uint64_t i = 0; i < 200000; i++)
		add(7, 100 + i, UINT64_MAX - i);
	for (uint64_t i = 0; i < 200000; i++)
		add(1000 + i, 1001 + i, SECONDS);
	for (uint64_t i = 0; i < 200000; i++) {
		cr_assert(eq(u64, origin(7, SECONDS, R), 7));
		origin(1000 + i, SECONDS, R);
	}
}

static void put(struct stats *stats, enum batch_type type, const void *row)
{
	const struct batch batch = {.type = type, .count = 1, .rows = row};

	cr_assert(eq(int, feed_stats(stats, &batch), 0));
}

static void name(struct stats *stats, uint64_t hash, uint16_t port)
{
	put(stats, BATCH_FLOWS,
	    &(struct flow_row){hash, {.sport = port, .ethertype = 0x0800, .proto = 17}});
}

static void see(struct stats *stats, uint64_t flow, uint16_t probe, uint64_t time_ns)
{
	put(stats, BATCH_EVENTS,
	    &(struct vnt_event){.time_ns = time_ns, .flow = flow, .key = KEY, .probe = probe});
}

/* Packets of flow 1 that R makes flow 2, and T flow 3. */
static void send_through(struct stats *stats)
{
	for (uint16_t flow = 1; flow <= 3; flow++)
		name(stats, flow, flow * 10);
	put(stats, BATCH_TRANSLATIONS, &(struct translation_row){SECONDS + 10, 2, 1, R});
	put(stats, BATCH_TRANSLATIONS, &(struct translation_row){SECONDS + 20, 3, 2, T});
	see(stats, 1, S, SECONDS);
	see(stats, 2, R, SECONDS + 10);
	see(stats, 3, T, SECONDS + 20);
	see(stats, 3, U, SECONDS + 30);
}

Test(translations, a_translated_packet_is_one_journey)
{
	struct report report;
	struct stats *stats;

	cr_assert(eq(int, stats_open(&stats, &info, SECONDS), 0));
	send_through(stats);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.observed, 1));
	cr_assert(eq(u64, report.complete, 1));
	cr_assert(eq(sz, report.nflows, 1));
	cr_assert(eq(u16, report.flows[0].flow.sport, 10));
	cr_assert(eq(sz, report.flows[0].ntranslated, 2));
	cr_assert(eq(u16, report.flows[0].translated[0].sport, 20));
	cr_assert(eq(u16, report.flows[0].translated[1].sport, 30));
	report_release(&report);
	stats_close(stats);
}

/* Which of its packets a probe kept is not known of a flow that it saw as another one. */
Test(translations, sampled_packets_are_not_joined)
{
	struct report report;
	struct stats *stats;

	cr_assert(eq(int, stats_open(&stats, &info, SECONDS), 0));
	put(stats, BATCH_EPOCHS,
	    &(struct epoch_row){.time_ns = 1, .probe = S, .active = 1, .sampling = 1});
	send_through(stats);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(sz, report.nflows, 3));
	cr_assert(eq(u64, report.observed, 3));
	report_release(&report);
	stats_close(stats);
}

/* Where keys name packets alone, no translation needs to be known. */
Test(translations, by_payload_flows_do_not_matter)
{
	struct report report;
	struct stats *stats;

	domains[0].id = VNT_ID_PAYLOAD;
	cr_assert(eq(int, stats_open(&stats, &info, SECONDS), 0));
	name(stats, 1, 10);
	see(stats, 1, S, SECONDS);
	see(stats, 2, R, SECONDS + 10);
	see(stats, 3, T, SECONDS + 20);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.observed, 1));
	cr_assert(eq(u64, report.complete, 1));
	cr_assert(eq(u16, report.flows[0].flow.sport, 10));
	report_release(&report);
	stats_close(stats);
	domains[0].id = VNT_ID_AUTO;
}
