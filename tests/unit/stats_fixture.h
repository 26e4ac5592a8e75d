/* SPDX-License-Identifier: GPL-2.0-only */
/* stats_fixture.h - a few packets at four probes, and what a report says of them. */
#ifndef STATS_FIXTURE_H
#define STATS_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "stats_feed.h"

#define NO_HORIZON UINT64_MAX

enum {
	A,
	B,
	C,
	D
};

/* Two domains of two probes: A and B in "x", C and D in "y". */
struct fixture {
	struct domain domains[2];
	struct probe probes[4];
	struct trace_info info;
	struct stats *stats;
	struct report report;
};

static inline void setup(struct fixture *f, uint64_t horizon_ns)
{
	*f = (struct fixture){
		.domains = {{.name = "x"}, {.name = "y"}},
		.probes = {{.name = "a"},
			   {.name = "b"},
			   {.name = "c", .domain = 1},
			   {.name = "d", .domain = 1}},
	};
	f->info = (struct trace_info){f->domains, 2, f->probes, 4};
	cr_assert(eq(int, stats_open(&f->stats, &f->info, horizon_ns), 0));
}

static inline void put(struct fixture *f, enum batch_type type, const void *row)
{
	const struct batch batch = {.type = type, .count = 1, .rows = row};

	cr_assert(eq(int, feed_stats(f->stats, &batch), 0));
}

static inline void see(struct fixture *f, uint64_t key, uint16_t probe, uint64_t time_ns)
{
	put(f, BATCH_EVENTS,
	    &(struct vnt_event){
		    .time_ns = time_ns, .flow = 7, .key = key, .length = 100, .probe = probe});
}

/* The packet at each of the probes ("abd"), 10 ns apart. */
static inline void see_path(struct fixture *f, uint64_t key, const char *probes, uint64_t time_ns)
{
	for (; *probes; probes++, time_ns += 10)
		see(f, key, *probes - 'a', time_ns);
}

static inline void epoch(struct fixture *f, uint16_t probe, uint64_t time_ns, bool active)
{
	put(f, BATCH_EPOCHS,
	    &(struct epoch_row){.time_ns = time_ns, .probe = probe, .active = active});
}

static inline void finish(struct fixture *f)
{
	cr_assert(eq(int, stats_report(f->stats, &f->report), 0));
}

static inline void teardown(struct fixture *f)
{
	report_release(&f->report);
	stats_close(f->stats);
}

static inline const struct loss_report *find_loss(const struct fixture *f, uint16_t from,
						  uint16_t to)
{
	for (size_t i = 0; i < f->report.nlosses; i++) {
		if (f->report.losses[i].from == from && f->report.losses[i].to == to)
			return &f->report.losses[i];
	}
	cr_fatal("no loss row");
}

static inline void expect_loss(const struct fixture *f, uint16_t from, uint16_t to, uint64_t sent,
			       uint64_t received)
{
	const struct loss_report *row = find_loss(f, from, to);

	cr_assert(eq(u64, row->sent, sent));
	cr_assert(eq(u64, row->received, received));
	cr_assert(eq(u64, row->lost, sent - received));
}

static inline void expect_packets(const struct fixture *f, uint64_t complete, uint64_t partial,
				  uint64_t ambiguous)
{
	cr_assert(eq(u64, f->report.observed, complete + partial + ambiguous));
	cr_assert(eq(u64, f->report.complete, complete));
	cr_assert(eq(u64, f->report.partial, partial));
	cr_assert(eq(u64, f->report.ambiguous, ambiguous));
}

#endif
