/* SPDX-License-Identifier: GPL-2.0-only */
/* stats_private.h - what stats.c gathers and stats_report.c and loss.c read. */
#ifndef VNT_STATS_PRIVATE_H
#define VNT_STATS_PRIVATE_H

#include "changes.h"
#include "flows.h"
#include "ledger.h"
#include "segments.h"
#include "spill.h"
#include "stats.h"
#include "translations.h"
#include "tunnels.h"

#define FULL_NAME_MAX (sizeof(((struct domain *)0)->name) + sizeof(((struct probe *)0)->name))

struct probe_count {
	uint64_t events;
	uint64_t bytes;
	uint64_t packets;
	uint64_t last_packet; /* number of the packet seen last; they count from 1 */
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t missed;  /* by the tracer itself, as the ledger says of this probe */
	uint32_t cpu_row; /* where its last event was counted */
	/* Of the ledger too: events left out on purpose, and when. */
	uint64_t sampled_out;
	uint64_t sampled_out_bytes;
	uint64_t sampled_first_ns;
	uint64_t sampled_last_ns;
};

struct domain_count {
	bool seen;
	uint64_t missed;           /* all ledger rows of the domain, but for */
	uint64_t sampled_out;      /* these */
	uint64_t missed_somewhere; /* those that name no probe */
};

struct stats {
	const struct trace_info *info;
	char (*names)[FULL_NAME_MAX]; /* of probes: "domain/probe" */
	struct probe_count *probes;
	struct domain_count *domains;
	struct cpu_report *cpus;
	size_t ncpus;
	size_t cpus_room;
	struct map by_cpu; /* probe and cpu -> cpus */
	struct cost_row *costs;
	size_t ncosts;
	size_t costs_room;
	struct map by_recording; /* hash of domain, recording and program -> costs */
	struct ledger ledger;
	struct tunnels tunnels;
	struct translations translations;
	struct ranges ranges;
	struct spill *join;
	struct changes changes;
	struct segments *segments; /* what the join hands out, on its way to the counting */
	struct epochs *epochs;
	struct rates *rates;
	bool samples;  /* any probe, as far as the trace was read */
	bool sampling; /* ... as far as journeys are counted: rates_sampling() */
	struct flows flows;
	uint64_t horizon_ns;
	uint64_t longest_ns; /* journey so far */
	uint64_t observed;
	uint64_t ambiguous;
};

int stats_flush(struct stats *stats); /* ends all journeys; as stats_put() */

#endif
