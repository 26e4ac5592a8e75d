/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h - sink that turns a stream of events into a report.
 *
 * Joins the events of a packet to its journey (join.h), and keeps per flow and path only counts and
 * histograms: memory grows with flows, paths and packets in flight, not with the trace.
 */
#ifndef VNT_STATS_H
#define VNT_STATS_H

#include "report.h"

struct stats;

/* `info` must outlive the stats. horizon_ns: how long after its first event a packet may still be
 * seen. 0 or -ENOMEM. */
int stats_open(struct stats **stats, const struct trace_info *info, uint64_t horizon_ns);

/* Takes one batch, keeps nothing of it. 0 or -ENOMEM. */
int stats_put(struct stats *stats, const struct batch *batch);

/* Ends all journeys and fills *report; names in it belong to `stats` and `info`. 0 or -ENOMEM. */
int stats_report(struct stats *stats, struct report *report);
void stats_close(struct stats *stats); /* accepts NULL */

#endif
