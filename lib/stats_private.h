/* SPDX-License-Identifier: GPL-2.0-only */
/* stats_private.h - what stats.c gathers and stats_report.c and loss.c read. */
#ifndef VNT_STATS_PRIVATE_H
#define VNT_STATS_PRIVATE_H

#include "changes.h"
#include "flows.h"
#include "ledger.h"
#include "pool.h"
#include "segments.h"
#include "spill.h"
#include "stats.h"
#include "translations.h"
#include "tunnels.h"

#define FULL_NAME_MAX (sizeof(((struct domain *)0)->name) + sizeof(((struct probe *)0)->name))

struct probe_count {
	uint64_t events;
	uint64_t bytes;
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t missed; /* by the tracer itself, as the ledger says of this probe */
	/* Of the ledger too: events left out on purpose, and when. */
	uint64_t sampled_out;
	uint64_t sampled_out_bytes;
	uint64_t sampled_first_ns;
	uint64_t sampled_last_ns;
};

/* Packets that a probe saw. */
struct passed_count {
	uint64_t packets;
	uint64_t last_packet; /* number of the packet seen last; they count from 1 */
};

#define GATHERED_MAX  4096 /* journeys: so many that it pays to wake a thread */
#define GATHERED_MANY 4096 /* sightings that are not in these */

/* Journeys that have ended. */
struct gathered {
	size_t count;
	size_t nmany;
	struct seat seats[GATHERED_MAX];
	struct sighting many[GATHERED_MANY];
};

struct domain_count {
	uint64_t first_ns;         /* event; UINT64_MAX before there is one */
	uint64_t missed;           /* all ledger rows of the domain, but for */
	uint64_t sampled_out;      /* these */
	uint64_t missed_somewhere; /* those that name no probe */
};

struct stats {
	const struct trace_info *info;
	char (*names)[FULL_NAME_MAX]; /* of probes: "domain/probe" */
	struct probe_count *probes;
	struct passed_count *passed; /* per probe */
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
	spill_fn watch; /* or NULL */
	void *watch_context;
	struct changes changes;
	/* What the join hands out is gathered, and counted by a thread of the pool while more is. All that
	 * the counting uses is its own until stats_settle(). */
	struct gathered *gathering;
	struct gathered *counting;
	struct pool *pool; /* or NULL: it is counted at once */
	struct task task;
	int err;                   /* of the counting */
	size_t counted_flows;      /* when it last ended */
	struct segments *segments; /* on the way to the counting */
	struct epochs *epochs;
	struct segment segment; /* of them, that a packet was first seen in lately */
	struct rates *rates;
	bool samples;  /* any probe, as far as the trace was read */
	bool sampling; /* ... as far as journeys are counted: rates_sampling() */
	struct flows flows;
	uint64_t horizon_ns;
	uint64_t longest_ns; /* journey so far */
	uint64_t observed;
	uint64_t ambiguous;
};

static inline uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

int stats_joined(void *stats, const struct seat *seat);        /* of the join; as stats_put() */
int stats_journey(void *stats, const struct journey *journey); /* of the segments; as stats_put() */
void stats_count(struct task *task, unsigned int thread);      /* what was handed over */
int stats_settle(struct stats *stats); /* until all that was gathered is counted; as stats_put() */

/* What the trace had said until then; settled before. As stats_put(). */
int stats_changes(struct stats *stats, uint64_t until_ns);

int stats_flush(struct stats *stats); /* ends all journeys; as stats_put() */

#endif
