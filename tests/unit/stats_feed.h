/* SPDX-License-Identifier: GPL-2.0-only */
/* stats_feed.h - events to stats, as legs. */
#ifndef STATS_FEED_H
#define STATS_FEED_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "legs_feed.h"
#include "lib/format.h"
#include "lib/stats.h"

static inline int feed_put_stats(void *stats, const struct legs *legs)
{
	const struct batch counts = {
		.type = BATCH_COUNTS, .count = legs->ncounts, .counts = legs->counts};
	const struct batch batch = {.type = BATCH_LEGS, .count = legs->count, .legs = legs->legs};
	int err = stats_put(stats, &counts);

	return err ? err : stats_put(stats, &batch);
}

/* The JSON of the report, to be freed. */
static inline char *feed_report(struct stats *stats)
{
	struct report report = {};
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(stats_report(stats, &report), 0);
	cr_assert_eq(format_find("json")->print(&report, out), 0);
	fclose(out);
	report_release(&report);
	return text;
}

/* As stats_put(), of events too. */
static inline int feed_stats(struct stats *stats, const struct batch *batch)
{
	static struct legs_feed feed;

	feed.now_ns = 0;
	if (batch->type != BATCH_EVENTS)
		return stats_put(stats, batch);
	return feed_all(&feed, batch->events, batch->count, feed_put_stats, stats);
}

#endif
