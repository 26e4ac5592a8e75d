/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h - sink that turns a stream of legs (legs.h) into a report.
 *
 * Joins the legs of a packet to its journey (join.h), and keeps per flow and path only counts and
 * histograms: memory grows with flows and paths, not with the trace. Packets in flight that do not fit
 * into the limit go to temporary files; the report is the same.
 */
#ifndef VNT_STATS_H
#define VNT_STATS_H

#include "report.h"

struct pool;
struct stats;

/* `info` must outlive the stats. horizon_ns: how long after its first event a packet may still be
 * seen. 0 or -ENOMEM. */
int stats_open(struct stats **stats, const struct trace_info *info, uint64_t horizon_ns);

/* Bytes for packets in flight, at least STATS_MEMORY_MIN; before the first batch. Else there is no
 * limit. */
#define STATS_MEMORY_MIN (1u << 20)
void stats_limit(struct stats *stats, size_t memory);
size_t stats_memory(
	const struct stats *stats); /* bytes that they take now; flows and paths come on top */

size_t stats_report_memory(
	const struct stats *stats); /* bytes that a report of them takes, about */

/* Is called now and then while the packets that are left are counted, and flows may grow: 0, or what
 * stats_report() is to return. */
void stats_watch(struct stats *stats, int (*watch)(void *context), void *context);

/* Counts with the threads of the pool too, which outlives the stats; before the first batch. The report is
 * the same. */
void stats_use(struct stats *stats, struct pool *pool);

/* Takes one batch, keeps nothing of it. 0, -ENOMEM, -errno of a temporary file, or -ENOBUFS: for one
 * packet that was seen very often stats_needed() bytes would be needed. */
int stats_put(struct stats *stats, const struct batch *batch);

/* Ends all journeys and fills *report; names in it belong to `stats` and `info`. As
 * stats_put(). */
int stats_report(struct stats *stats, struct report *report);
size_t stats_needed(const struct stats *stats);
void stats_close(struct stats *stats); /* accepts NULL */

#endif
