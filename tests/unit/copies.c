// SPDX-License-Identifier: GPL-2.0-only
/* Packets that branch: random trees of switches, whose answers are known by construction. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "stats_feed.h"
#include "lib/topology.h"

#define SWITCHES 4
#define HOSTS    9
#define DEVICES  (HOSTS * 2 + SWITCHES * 3)
#define PROBES   (DEVICES * 4) /* with a second one for each */
#define PACKETS  300
#define NONE     UINT32_MAX

/* Device d has the probes 2d, which receives, and 2d + 1, which sends. */
struct net {
	uint64_t seed;
	size_t ndevices;
	size_t nhosts;
	uint32_t host_device[HOSTS];
	uint32_t peer[DEVICES];      /* other end of the wire */
	uint32_t of_switch[DEVICES]; /* or NONE: of a host */
	struct domain domain;
	struct probe probes[PROBES];
	struct trace_info info;
};

/* One packet: what saw it, and what came before. */
struct trip {
	size_t n;
	uint16_t probes[PROBES];
	uint32_t parents[PROBES];
	size_t dropped;
	uint16_t lost_at[PROBES]; /* probes behind which a copy was lost */
};

static uint64_t random_below(struct net *net, uint64_t limit)
{
	net->seed = net->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (net->seed >> 33) % limit;
}

static uint32_t add_device(struct net *net, uint32_t of_switch)
{
	uint32_t device = net->ndevices++;

	net->of_switch[device] = of_switch;
	return device;
}

static void add_wire(struct net *net, uint32_t a, uint32_t b)
{
	net->peer[a] = b;
	net->peer[b] = a;
}

static void name_probes(struct net *net)
{
	for (uint32_t d = 0; d < net->ndevices; d++) {
		struct probe *rx = &net->probes[2 * d], *tx = &net->probes[2 * d + 1];
		bool port = net->of_switch[d] != NONE;
		uint64_t top = port ? 10000 + net->of_switch[d] : 1000 + d;

		*rx = (struct probe){.netns = port ? 1 : 100 + d,
				     .ifindex = 1 + d,
				     .direction = DIRECTION_RX,
				     .from = 100 + d,
				     .to = top};
		*tx = *rx;
		tx->direction = DIRECTION_TX;
		tx->from = top;
		tx->to = 100 + net->peer[d];
		snprintf(rx->name, sizeof(rx->name), "%u:rx", d);
		snprintf(tx->name, sizeof(tx->name), "%u:tx", d);
	}
	net->info = (struct trace_info){&net->domain, 1, net->probes, 2 * net->ndevices};
}

/* Each switch but the first hangs on one before it. */
static void make_net(struct net *net, uint64_t seed)
{
	size_t nswitches;

	*net = (struct net){.seed = seed, .domain = {.name = "x", .boot_id = "b"}};
	nswitches = 1 + random_below(net, SWITCHES);
	for (uint32_t i = 1; i < nswitches; i++) {
		uint32_t above = random_below(net, i);

		add_wire(net, add_device(net, i), add_device(net, above));
	}
	net->nhosts = 3 + random_below(net, HOSTS - 2);
	for (size_t i = 0; i < net->nhosts; i++) {
		net->host_device[i] = add_device(net, NONE);
		add_wire(net, net->host_device[i], add_device(net, random_below(net, nswitches)));
	}
	name_probes(net);
}

static uint32_t see(struct trip *trip, uint16_t probe, uint32_t parent)
{
	trip->probes[trip->n] = probe;
	trip->parents[trip->n] = parent;
	return trip->n++;
}

/* From a device over its wire, and on where that leads. One wire in `loss` drops; one port in `prune` is
 * not sent to. 0: none. */
static void flood(struct net *net, struct trip *trip, uint32_t device, uint32_t parent,
		  unsigned int loss, unsigned int prune)
{
	uint32_t sent = see(trip, 2 * device + 1, parent), peer = net->peer[device], received;

	if (loss && !random_below(net, loss)) {
		trip->lost_at[trip->dropped++] = 2 * device + 1;
		return;
	}
	received = see(trip, 2 * peer, sent);
	for (uint32_t d = 0; d < net->ndevices && net->of_switch[peer] != NONE; d++) {
		if (d != peer && net->of_switch[d] == net->of_switch[peer] &&
		    !(prune && !random_below(net, prune)))
			flood(net, trip, d, received, loss, prune);
	}
}

/* Any order in which nothing comes before what it follows. */
static void shuffle(struct net *net, struct trip *trip)
{
	struct trip next = *trip;
	uint32_t place[PROBES];

	memset(place, 0xff, sizeof(place));
	for (size_t done = 0; done < trip->n; done++) {
		size_t pick;

		do {
			pick = random_below(net, trip->n);
		} while (place[pick] != NONE ||
			 (trip->parents[pick] != NO_PARENT && place[trip->parents[pick]] == NONE));
		place[pick] = done;
		next.probes[done] = trip->probes[pick];
		next.parents[done] = trip->parents[pick] == NO_PARENT ? NO_PARENT
								      : place[trip->parents[pick]];
	}
	*trip = next;
}

/* Some probes do not see it, but the first does: what follows them then follows what was before. */
static void hide(struct net *net, struct trip *trip)
{
	uint32_t place[PROBES];
	size_t kept = 0;

	for (size_t i = 0; i < trip->n; i++) {
		uint32_t parent = i ? place[trip->parents[i]] : NO_PARENT;

		if (i && !random_below(net, 5)) {
			place[i] = parent;
			continue;
		}
		trip->probes[kept] = trip->probes[i];
		trip->parents[kept] = parent;
		place[i] = kept++;
	}
	trip->n = kept;
}

Test(copies, every_order_gives_the_tree)
{
	uint32_t parents[PROBES];

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct topology *topology;
		struct net net;

		make_net(&net, seed);
		cr_assert(eq(int, topology_open(&topology, &net.info), 0));
		for (int i = 0; i < 50; i++) {
			struct trip trip = {0};

			flood(&net, &trip, net.host_device[random_below(&net, net.nhosts)],
			      NO_PARENT, 10, 4);
			if (i % 2)
				hide(&net, &trip);
			shuffle(&net, &trip);
			cr_assert(topology_parents(topology, trip.probes, trip.n, parents));
			for (size_t k = 0; k < trip.n; k++)
				cr_assert(eq(u32, parents[k], trip.parents[k]), "seed %lu", seed);
		}
		topology_close(topology);
	}
}

/* What the report has to say of all packets. */
struct tally {
	uint64_t complete, partial, copies;
	uint64_t ways;         /* of a packet of which nothing is lost */
	uint64_t went[PROBES]; /* packets at the end of each way */
	uint64_t lost[PROBES]; /* behind each probe */
};

static void tally_trip(struct tally *tally, const struct trip *trip)
{
	size_t leaves = 0;

	for (size_t i = 0; i < trip->n; i++) {
		bool leaf = true;

		for (size_t k = 0; k < trip->n; k++)
			leaf &= trip->parents[k] != i;
		leaves += leaf;
		tally->went[trip->probes[i]] += leaf;
	}
	for (size_t i = 0; i < trip->dropped; i++)
		tally->lost[trip->lost_at[i]]++;
	tally->ways = leaves > tally->ways ? leaves : tally->ways;
	tally->copies += leaves - 1;
	tally->complete += !trip->dropped;
	tally->partial += trip->dropped > 0;
}

static void put_trip(struct stats *stats, const struct trip *trip, uint64_t key)
{
	for (size_t i = 0; i < trip->n; i++) {
		const struct vnt_event event = {.time_ns = 1000000 * key + 10 * i,
						.flow = 7,
						.key = key,
						.length = 100,
						.probe = trip->probes[i]};
		const struct batch batch = {.type = BATCH_EVENTS, .count = 1, .events = &event};

		cr_assert(eq(int, feed_stats(stats, &batch), 0));
	}
}

static void check_report(const struct report *report, const struct tally *tally)
{
	cr_assert(eq(u64, report->observed, PACKETS));
	cr_assert(eq(u64, report->complete, tally->complete));
	cr_assert(eq(u64, report->partial, tally->partial));
	cr_assert(eq(u64, report->ambiguous, 0));
	cr_assert(eq(u64, report->copies, tally->copies));
	cr_assert(eq(sz, report->npaths, tally->ways));
	for (size_t i = 0; i < report->npaths; i++) {
		const struct path_report *path = &report->paths[i];

		cr_assert(eq(u64, path->packets, tally->went[path->probes[path->nprobes - 1]]));
		cr_assert(eq(u64, path->end_to_end.count, path->packets));
	}
	for (size_t i = 0; i < report->nlosses; i++)
		cr_assert(eq(u64, report->losses[i].lost,
			     report->losses[i].from % 2 ? tally->lost[report->losses[i].from] : 0));
}

Test(copies, are_counted)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct report report;
		struct tally tally = {0};
		struct stats *stats;
		struct net net;

		make_net(&net, seed);
		cr_assert(eq(int, stats_open(&stats, &net.info, 500000), 0));
		for (uint64_t key = 1; key <= PACKETS; key++) {
			struct trip trip = {0};

			flood(&net, &trip, net.host_device[0], NO_PARENT, key > 1 ? 40 : 0, 0);
			shuffle(&net, &trip);
			tally_trip(&tally, &trip);
			put_trip(stats, &trip, key);
		}
		cr_assert(eq(int, stats_report(stats, &report), 0));
		check_report(&report, &tally);
		report_release(&report);
		stats_close(stats);
	}
}

/* As what was sent ahead of them did; each may be judged only once all were seen. */
Test(copies, identical_packets_in_succession)
{
	struct trip trip = {0}, again = {0};
	struct report report;
	struct stats *stats;
	struct net net;

	make_net(&net, 5);
	flood(&net, &trip, net.host_device[0], NO_PARENT, 0, 0);
	shuffle(&net, &trip);
	cr_assert(eq(int, stats_open(&stats, &net.info, 500000), 0));
	put_trip(stats, &trip, 1);
	again = trip;
	for (size_t i = 0; i < 2; i++) { /* two more, of one ID */
		struct trip next = trip;

		shuffle(&net, &next);
		memcpy(again.probes + i * trip.n, next.probes, trip.n * sizeof(trip.probes[0]));
	}
	again.n = 2 * trip.n;
	put_trip(stats, &again, 2);
	again.probes[again.n - 1] = again.probes[0]; /* who knows */
	put_trip(stats, &again, 3);
	cr_assert(eq(int, stats_report(stats, &report), 0));
	cr_assert(eq(u64, report.observed, 4));
	cr_assert(eq(u64, report.complete, 3));
	cr_assert(eq(u64, report.ambiguous, 1));
	cr_assert(eq(u64, report.copies, 3 * (net.nhosts - 2)));
	report_release(&report);
	stats_close(stats);
}

enum {
	UP_RX,
	UP_TX,
	TAP1_RX,
	TAP1_TX,
	TAP2_RX,
	TAP2_TX,
	G1_RX,
	G1_TX,
	G2_RX,
	G2_TX,
	MON_TX,
	VIEWS
};

/* A switch with two guests, which have kernels of their own, at TAP devices; and a monitor. */
static struct topology *open_guests(void)
{
	struct domain domains[] = {{.boot_id = "host"}, {.boot_id = "g1"}, {.boot_id = "g2"}};
	struct probe probes[VIEWS] = {
		[UP_RX] = {.direction = DIRECTION_RX, .from = MEDIUM_OUTSIDE, .to = 100},
		[UP_TX] = {.direction = DIRECTION_TX, .from = 100, .to = MEDIUM_OUTSIDE},
		[TAP1_RX] = {.direction = DIRECTION_RX, .from = MEDIUM_OUTSIDE, .to = 100},
		[TAP1_TX] = {.direction = DIRECTION_TX, .from = 100, .to = MEDIUM_OUTSIDE},
		[TAP2_RX] = {.direction = DIRECTION_RX, .from = MEDIUM_OUTSIDE, .to = 100},
		[TAP2_TX] = {.direction = DIRECTION_TX, .from = 100, .to = MEDIUM_OUTSIDE},
		[G1_RX] = {.direction = DIRECTION_RX, .from = MEDIUM_OUTSIDE, .to = 50},
		[G2_RX] = {.direction = DIRECTION_RX, .from = MEDIUM_OUTSIDE, .to = 50},
		[G1_TX] = {.direction = DIRECTION_TX, .from = 50, .to = MEDIUM_OUTSIDE},
		[G2_TX] = {.direction = DIRECTION_TX, .from = 50, .to = MEDIUM_OUTSIDE},
		[MON_TX] = {.direction = DIRECTION_TX, .from = 60, .to = MEDIUM_OUTSIDE},
	};
	struct trace_info info = {domains, 3, probes, VIEWS};
	struct topology *topology;

	for (uint16_t i = 0; i < VIEWS; i++) {
		probes[i].netns = 1;
		probes[i].ifindex = 1 + i / 2;
	}
	probes[G1_RX].domain = probes[G1_TX].domain = 1;
	probes[G2_RX].domain = probes[G2_TX].domain = 2;
	cr_assert(eq(int, topology_open(&topology, &info), 0));
	return topology;
}

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void expect_parents(struct topology *topology, const uint16_t *probes, size_t n,
			   const uint32_t *want)
{
	uint32_t parents[2 * PROBES];

	cr_assert(topology_parents(topology, probes, n, parents));
	for (size_t i = 0; i < n; i++)
		cr_assert(eq(u32, parents[i], want[i]), "%zu: %d", i, (int)parents[i]);
}

Test(copies, what_no_medium_tells_is_learnt)
{
	static const uint16_t flooded[] = {UP_RX, TAP2_TX, TAP1_TX, G1_RX, G2_RX};
	static const uint16_t other_way[] = {UP_RX, TAP1_TX, TAP2_TX, G1_RX, G2_RX};
	static const uint16_t alone[] = {UP_RX, TAP1_TX, G1_RX};
	static const uint16_t wrong[] = {UP_RX, TAP2_TX, G1_RX};
	struct topology *topology = open_guests();
	uint32_t parents[VIEWS], lessons = topology_lessons(topology);

	cr_assert(not(topology_parents(topology, flooded, N_OF(flooded), parents)));
	cr_assert(eq(u32, topology_lessons(topology), lessons));
	expect_parents(topology, alone, N_OF(alone), (uint32_t[]){NO_PARENT, 0, 1});
	cr_assert(ne(u32, topology_lessons(topology), lessons));
	expect_parents(topology, flooded, N_OF(flooded), (uint32_t[]){NO_PARENT, 0, 0, 2, 1});
	expect_parents(topology, other_way, N_OF(other_way), (uint32_t[]){NO_PARENT, 0, 0, 1, 2});
	/* Two lessons that contradict each other are none. */
	expect_parents(topology, wrong, N_OF(wrong), (uint32_t[]){NO_PARENT, 0, 1});
	cr_assert(not(topology_parents(topology, flooded, N_OF(flooded), parents)));
	topology_close(topology);
}

Test(copies, one_way_out_needs_no_lesson)
{
	static const uint16_t mirrored[] = {UP_RX, MON_TX, TAP1_TX};
	struct topology *topology = open_guests();

	expect_parents(topology, mirrored, N_OF(mirrored), (uint32_t[]){NO_PARENT, 0, 0});
	topology_close(topology);
}

Test(copies, a_host_hears_itself)
{
	struct net net;
	struct topology *topology;
	struct trip trip = {0};
	uint32_t parents[PROBES];
	size_t n;

	make_net(&net, 3);
	cr_assert(eq(int, topology_open(&topology, &net.info), 0));
	flood(&net, &trip, net.host_device[1], NO_PARENT, 0, 0);
	n = trip.n;
	for (size_t at = 0; at <= n; at++) { /* whenever it does */
		uint16_t probes[PROBES];

		memcpy(probes, trip.probes, at * sizeof(probes[0]));
		probes[at] = 2 * net.host_device[1];
		memcpy(probes + at + 1, trip.probes + at, (n - at) * sizeof(probes[0]));
		cr_assert(topology_parents(topology, probes, n + 1, parents));
		cr_assert(eq(u32, parents[at], NO_PARENT));
		for (size_t i = 0; i < n; i++) {
			uint32_t want = trip.parents[i];

			if (want != NO_PARENT)
				want += want >= at;
			cr_assert(eq(u32, parents[i + (i >= at)], want));
		}
	}
	topology_close(topology);
	topology_close(NULL);
}

Test(copies, two_recordings_of_one_place)
{
	struct net net;
	struct topology *topology;
	struct trip trip = {0}, twice = {0};

	make_net(&net, 3);
	net.info.nprobes *= 2; /* each has a twin */
	memcpy(net.probes + net.info.nprobes / 2, net.probes,
	       net.info.nprobes / 2 * sizeof(net.probes[0]));
	flood(&net, &trip, net.host_device[1], NO_PARENT, 0, 0);
	shuffle(&net, &trip);
	for (uint32_t i = 0; i < trip.n; i++) {
		uint32_t parent = trip.parents[i];

		see(&twice, trip.probes[i], parent == NO_PARENT ? parent : 2 * parent + 1);
		see(&twice, trip.probes[i] + net.info.nprobes / 2, 2 * i);
	}
	cr_assert(eq(int, topology_open(&topology, &net.info), 0));
	expect_parents(topology, twice.probes, twice.n, twice.parents);
	topology_close(topology);
}

Test(copies, without_a_topology_time_decides)
{
	struct domain domain = {.name = "x"};
	struct probe probes[4] = {0};
	struct trace_info info = {&domain, 1, probes, 4};
	struct topology *topology;
	static const uint16_t order[] = {2, 0, 3, 1};

	cr_assert(eq(int, topology_open(&topology, &info), 0));
	expect_parents(topology, order, 4, (uint32_t[]){NO_PARENT, 0, 1, 2});
	topology_close(topology);
}
