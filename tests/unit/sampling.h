/* SPDX-License-Identifier: GPL-2.0-only */
/* sampling.h - random networks whose probes sample, each at a rate of its own that may change. */
#ifndef VNT_TEST_SAMPLING_H
#define VNT_TEST_SAMPLING_H

#include <criterion/criterion.h>

#include "lib/sample.h"
#include "stats_feed.h"

#define DOMAINS    3
#define PROBES     6
#define CPUS       2
#define FLOWS      5
#define PACKETS    2000
#define EVENTS     (PACKETS * PROBES)
#define RATES      8
#define HORIZON_NS 1000000 /* no packet is under way for as long */
#define START_NS   1000000ull
#define GAP_NS     5000 /* between packets, on average */
#define END_NS     (START_NS + 2ull * PACKETS * GAP_NS)

struct world_config {
	const uint32_t *rates; /* 1/n each, ends with 0 */
	bool changing;
	bool same; /* rates at all probes */
	bool resegmented;
	unsigned int drop_percent;
};

struct route {
	size_t n;
	uint16_t probes[PROBES];
};

/* Its route is where it was kept; the flow's is where it went, unless dropped. */
struct packet {
	size_t flow;
	uint64_t key;
	uint32_t payload;
	uint32_t length;
	uint32_t level; /* of its first byte */
	uint16_t flags;
	struct route route;
	uint64_t times[PROBES];
};

struct rate {
	uint64_t time_ns; /* from here on */
	uint32_t threshold;
};

struct sum {
	uint64_t events, bytes;
};

struct world {
	uint64_t seed;
	struct domain domains[DOMAINS];
	struct probe probes[PROBES];
	struct trace_info info;
	struct rate rates[PROBES][RATES];
	size_t nrates;
	struct route routes[FLOWS];
	uint64_t hashes[FLOWS];
	struct packet packets[PACKETS];
	struct vnt_event events[EVENTS];
	size_t nevents;
	struct epoch_row epochs[PROBES * RATES];
	struct loss_row losses[EVENTS];
	size_t nlosses;
	struct sum all[PROBES]; /* what came by */
	uint64_t first_ns[FLOWS], last_ns[FLOWS];
	uint64_t probe_first_ns[PROBES], probe_last_ns[PROBES];
	struct report report;
	struct stats *stats;
};

uint64_t random_below(struct world *world, uint64_t limit);
uint32_t world_threshold(const struct world *world, uint16_t probe, uint64_t time_ns);

/* Makes the network and its trace, and has the statistics report it. */
struct world *world_run(uint64_t seed, const struct world_config *config);
void world_free(struct world *world);

#endif
