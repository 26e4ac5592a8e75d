// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of random networks against the definitions, computed the slow way. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "stats_feed.h"

#define DOMAINS  3
#define PROBES   8
#define FLOWS    6
#define PACKETS  400
#define HOPS_MAX 16
#define EVENTS   (PACKETS * HOPS_MAX)

struct path {
	size_t n;
	uint16_t probes[HOPS_MAX];
};

struct packet {
	uint64_t flow, key;
	uint32_t length;
	struct path path;
	uint64_t times[HOPS_MAX];
	bool ambiguous, full;
};

struct world {
	uint64_t seed;
	struct domain domains[DOMAINS];
	struct probe probes[PROBES];
	struct trace_info info;
	struct vnt_event events[EVENTS];
	size_t nevents;
	struct packet packets[PACKETS];
	size_t npackets;
	uint64_t domain_first[DOMAINS];
	struct report report;
};

static uint64_t random_below(struct world *world, uint64_t limit)
{
	world->seed = world->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (world->seed >> 33) % limit;
}

static struct path random_path(struct world *world)
{
	uint16_t deck[PROBES];
	struct path path = {.n = 1 + random_below(world, 6)};

	for (uint16_t i = 0; i < PROBES; i++)
		deck[i] = i;
	for (size_t i = 0; i < path.n; i++) {
		size_t k = i + random_below(world, PROBES - i);
		uint16_t probe = deck[k];

		deck[k] = deck[i];
		deck[i] = path.probes[i] = probe;
	}
	return path;
}

static void add_event(struct world *world, const struct packet *packet, uint16_t probe,
		      uint64_t time_ns)
{
	world->events[world->nevents++] = (struct vnt_event){
		.time_ns = time_ns,
		.flow = packet->flow,
		.key = packet->key,
		.length = packet->length,
		.probe = probe,
		.cpu = random_below(world, 3),
	};
}

/* One packet along its path: missed or lost here and there, sometimes seen twice. */
static void send_packet(struct world *world, const struct packet *packet, unsigned int loss_percent)
{
	uint64_t time_ns = 1000000 + random_below(world, 3000000);

	for (size_t i = 0; i < packet->path.n; i++) {
		if (random_below(world, 100) < loss_percent) {
			if (random_below(world, 2))
				return;
			continue;
		}
		add_event(world, packet, packet->path.probes[i], time_ns);
		if (!random_below(world, 60))
			add_event(world, packet, packet->path.probes[random_below(world, i + 1)],
				  time_ns + 1);
		time_ns += 2 + random_below(world, random_below(world, 10) ? 1000 : 1000000);
	}
}

static int compare_events(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	if (a->flow != b->flow)
		return a->flow > b->flow ? 1 : -1;
	return a->key != b->key ? (a->key > b->key ? 1 : -1) : a->probe - b->probe;
}

static void make_world(struct world *world, uint64_t seed)
{
	struct path paths[FLOWS][2];

	world->seed = seed;
	world->info = (struct trace_info){world->domains, DOMAINS, world->probes, PROBES};
	for (size_t i = 0; i < DOMAINS; i++)
		snprintf(world->domains[i].name, sizeof(world->domains[i].name), "d%zu", i);
	for (size_t i = 0; i < PROBES; i++) {
		snprintf(world->probes[i].name, sizeof(world->probes[i].name), "p%zu", i);
		world->probes[i].domain = random_below(world, DOMAINS);
	}
	for (size_t i = 0; i < FLOWS; i++) {
		paths[i][0] = random_path(world);
		paths[i][1] = random_path(world);
	}
	for (uint64_t i = 0; i < PACKETS; i++) {
		struct packet packet = {.key = i, .length = random_below(world, 1500)};
		size_t flow = random_below(world, FLOWS);

		packet.flow = flow * 1000;
		packet.path = paths[flow][!random_below(world, 4)];
		send_packet(world, &packet, seed % 4 * 8);
	}
	qsort(world->events, world->nevents, sizeof(world->events[0]), compare_events);
}

/* Journeys in order of their first event. */
static void gather(struct world *world)
{
	for (size_t i = 0; i < DOMAINS; i++)
		world->domain_first[i] = UINT64_MAX;
	for (size_t i = 0; i < world->nevents; i++) {
		const struct vnt_event *event = &world->events[i];
		uint64_t *first = &world->domain_first[world->probes[event->probe].domain];
		struct packet *packet = NULL;

		if (event->time_ns < *first)
			*first = event->time_ns;
		for (size_t k = 0; k < world->npackets && !packet; k++) {
			if (world->packets[k].flow == event->flow &&
			    world->packets[k].key == event->key)
				packet = &world->packets[k];
		}
		if (!packet) {
			packet = &world->packets[world->npackets++];
			packet->flow = event->flow;
			packet->key = event->key;
			packet->length = event->length;
		}
		cr_assert(packet->path.n < HOPS_MAX);
		for (size_t k = 0; k < packet->path.n; k++)
			packet->ambiguous |= packet->path.probes[k] == event->probe;
		packet->times[packet->path.n] = event->time_ns;
		packet->path.probes[packet->path.n++] = event->probe;
	}
}

static int position(const struct path *path, uint16_t probe)
{
	for (size_t i = 0; i < path->n; i++) {
		if (path->probes[i] == probe)
			return i;
	}
	return -1;
}

static bool same(const struct path *a, const struct path *b)
{
	return a->n == b->n && !memcmp(a->probes, b->probes, a->n * sizeof(a->probes[0]));
}

static bool contains(const struct path *whole, const struct path *part)
{
	int last = -1;

	for (size_t i = 0; i < part->n; i++) {
		int at = position(whole, part->probes[i]);

		if (at <= last)
			return false;
		last = at;
	}
	return true;
}

static void decide_full(struct world *world)
{
	for (size_t i = 0; i < world->npackets; i++) {
		struct packet *packet = &world->packets[i];

		packet->full = !packet->ambiguous;
		for (size_t k = 0; k < world->npackets; k++) {
			const struct packet *other = &world->packets[k];

			if (!other->ambiguous && other->flow == packet->flow &&
			    other->path.n > packet->path.n && contains(&other->path, &packet->path))
				packet->full = false;
		}
	}
}

static uint64_t count_same(const struct world *world, const struct packet *packet)
{
	uint64_t count = 0;

	for (size_t i = 0; i < world->npackets; i++)
		count += !world->packets[i].ambiguous && world->packets[i].flow == packet->flow &&
			 same(&world->packets[i].path, &packet->path);
	return count;
}

/* The path that a packet belongs to: its own, or the commonest full one it is part of. */
static const struct path *owner(const struct world *world, const struct packet *packet)
{
	const struct packet *best = NULL;
	uint64_t most = 0;

	if (packet->full)
		return &packet->path;
	for (size_t i = 0; i < world->npackets; i++) {
		const struct packet *other = &world->packets[i];

		if (other->full && other->flow == packet->flow &&
		    contains(&other->path, &packet->path) && count_same(world, other) > most) {
			best = other;
			most = count_same(world, other);
		}
	}
	cr_assert(best != NULL);
	return &best->path;
}

static int compare_durations(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

static void check_quantile(const int64_t *sorted, size_t count, unsigned int permille, int64_t got)
{
	int64_t want = sorted[(count * permille + 999) / 1000 - 1];

	cr_assert(llabs(got - want) * 256 <= llabs(want), "%ld, not %ld", got, want);
}

/* RFC 3550, A.8, over each flow's packets of the path; flows weigh by their packets. */
static int64_t naive_jitter(const struct world *world, const struct path *path, size_t from,
			    size_t to)
{
	uint64_t total = 0, packets = 0;

	for (uint64_t flow = 0; flow < FLOWS * 1000; flow += 1000) {
		uint64_t jitter = 0, count = 0;
		int64_t transit = 0;

		for (size_t i = 0; i < world->npackets; i++) {
			const struct packet *packet = &world->packets[i];
			int64_t d;

			if (packet->flow != flow || !packet->full || !same(&packet->path, path))
				continue;
			d = packet->times[to] - packet->times[from] - transit;
			transit += d;
			if (count++)
				jitter += llabs(d) - ((jitter + 8) >> 4);
		}
		total += jitter * count;
		packets += count;
	}
	return total / packets >> 4;
}

static int64_t check_latency(const struct world *world, const struct path *path, size_t from,
			     size_t to, const struct latency *latency)
{
	int64_t durations[PACKETS], sum = 0;
	size_t count = 0;

	for (size_t i = 0; i < world->npackets; i++) {
		const struct packet *packet = &world->packets[i];

		if (!packet->full || !same(&packet->path, path))
			continue;
		durations[count] = packet->times[to] - packet->times[from];
		sum += durations[count++];
	}
	qsort(durations, count, sizeof(durations[0]), compare_durations);
	cr_assert(eq(u64, latency->count, count));
	cr_assert(eq(i64, latency->min_ns, durations[0]));
	cr_assert(eq(i64, latency->max_ns, durations[count - 1]));
	check_quantile(durations, count, 500, latency->p50_ns);
	check_quantile(durations, count, 900, latency->p90_ns);
	check_quantile(durations, count, 990, latency->p99_ns);
	check_quantile(durations, count, 999, latency->p999_ns);
	cr_assert(eq(i64, latency->jitter_ns, naive_jitter(world, path, from, to)));
	return sum;
}

static void check_path(const struct world *world, const struct path_report *row)
{
	struct path path = {.n = row->nprobes};
	int64_t total, mean = 0;
	uint64_t packets = 0;

	memcpy(path.probes, row->probes, row->nprobes * sizeof(path.probes[0]));
	for (size_t i = 0; i < world->npackets; i++)
		packets += world->packets[i].full && same(&world->packets[i].path, &path);
	cr_assert(packets > 0);
	cr_assert(eq(u64, row->packets, packets));
	if (path.n == 1) {
		cr_assert(eq(u64, row->end_to_end.count, 0));
		return;
	}
	total = check_latency(world, &path, 0, path.n - 1, &row->end_to_end);
	cr_assert(eq(i64, row->end_to_end.mean_ns,
		     (2 * total + (int64_t)packets) / (2 * (int64_t)packets)));
	for (size_t i = 0; i + 1 < path.n; i++) {
		const struct hop_report *hop = &row->hops[i];
		int64_t sum = check_latency(world, &path, i, i + 1, &hop->latency);

		cr_assert(llabs(hop->latency.mean_ns * (int64_t)packets - sum) <= (int64_t)packets);
		cr_assert(hop->share == (double)sum / (double)total);
		mean += hop->latency.mean_ns;
	}
	cr_assert(eq(i64, mean, row->end_to_end.mean_ns));
}

/* Adds the packet to the pair if it counts as sent. */
static void naive_passage(const struct world *world, const struct packet *packet, uint16_t from,
			  uint16_t to, uint64_t *sent, uint64_t *received)
{
	int left = position(&packet->path, from);

	if (left < 0)
		return;
	if (position(&packet->path, to) >= 0) {
		++*sent;
		++*received;
	} else if (packet->times[left] >= world->domain_first[world->probes[to].domain]) {
		++*sent;
	}
}

static void check_loss(const struct world *world, const struct loss_report *row)
{
	uint64_t sent = 0, received = 0;

	for (size_t i = 0; i < world->npackets; i++) {
		const struct packet *packet = &world->packets[i];
		const struct path *path;
		int at;

		if (packet->ambiguous)
			continue;
		path = owner(world, packet);
		at = position(path, row->from);
		if (at >= 0 && (size_t)at + 1 < path->n && path->probes[at + 1] == row->to)
			naive_passage(world, packet, row->from, row->to, &sent, &received);
	}
	cr_assert(eq(u64, row->sent, sent));
	cr_assert(eq(u64, row->received, received));
	cr_assert(eq(u64, row->lost, sent - received));
	cr_assert(row->ratio == (sent ? (double)(sent - received) / (double)sent : 0));
	cr_assert(row->ratio_min == row->ratio && row->ratio_max == row->ratio);
}

static void check_flow(const struct world *world, const struct flow_report *row)
{
	uint64_t packets = 0, bytes = 0, sent = 0, received = 0;

	for (size_t i = 0; i < world->npackets; i++) {
		const struct packet *packet = &world->packets[i];
		const struct path *path;

		if (packet->flow != row->hash)
			continue;
		packets++;
		bytes += packet->length;
		if (packet->ambiguous)
			continue;
		path = owner(world, packet);
		if (path->n > 1)
			naive_passage(world, packet, path->probes[0], path->probes[path->n - 1],
				      &sent, &received);
	}
	cr_assert(eq(u64, row->packets, packets));
	cr_assert(eq(u64, row->bytes, bytes));
	cr_assert(row->loss_ratio == (sent ? (double)(sent - received) / (double)sent : 0));
}

static void check_probe(const struct world *world, size_t probe)
{
	const struct probe_report *row = &world->report.probes[probe];
	uint64_t events = 0, packets = 0, bytes = 0, cpu_events = 0;

	for (size_t i = 0; i < world->nevents; i++) {
		events += world->events[i].probe == probe;
		bytes += world->events[i].probe == probe ? world->events[i].length : 0;
	}
	for (size_t i = 0; i < world->npackets; i++)
		packets += position(&world->packets[i].path, probe) >= 0;
	for (size_t i = 0; i < world->report.ncpus; i++)
		cpu_events += world->report.cpus[i].probe == probe ? world->report.cpus[i].events
								   : 0;
	cr_assert(eq(u64, row->events, events));
	cr_assert(eq(u64, row->packets, packets));
	cr_assert(eq(u64, row->bytes, bytes));
	cr_assert(eq(u64, cpu_events, events));
}

static void check_totals(const struct world *world)
{
	const struct report *report = &world->report;
	uint64_t complete = 0, partial = 0, ambiguous = 0, on_paths = 0, flows = 0;

	for (size_t i = 0; i < world->npackets; i++) {
		complete += world->packets[i].full;
		ambiguous += world->packets[i].ambiguous;
		partial += !world->packets[i].full && !world->packets[i].ambiguous;
	}
	cr_assert(eq(u64, report->observed, world->npackets));
	cr_assert(eq(u64, report->complete, complete));
	cr_assert(eq(u64, report->partial, partial));
	cr_assert(eq(u64, report->ambiguous, ambiguous));
	for (size_t i = 0; i < report->npaths; i++) {
		on_paths += report->paths[i].packets;
		cr_assert(i == 0 || report->paths[i - 1].packets >= report->paths[i].packets);
	}
	cr_assert(eq(u64, on_paths, complete));
	for (size_t i = 0; i < report->nflows; i++) {
		flows += report->flows[i].packets;
		cr_assert(i == 0 || report->flows[i - 1].bytes >= report->flows[i].bytes);
	}
	cr_assert(eq(u64, flows, world->npackets));
}

static void check_world(uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));
	struct stats *stats;

	make_world(world, seed);
	gather(world);
	decide_full(world);
	cr_assert(eq(int, stats_open(&stats, &world->info, 1000000000), 0));
	for (size_t done = 0, n; done < world->nevents; done += n) {
		struct batch batch = {.type = BATCH_EVENTS, .events = world->events + done};

		n = 1 + random_below(world, 600);
		batch.count = n = n < world->nevents - done ? n : world->nevents - done;
		cr_assert(eq(int, feed_stats(stats, &batch), 0));
	}
	cr_assert(eq(int, stats_report(stats, &world->report), 0));
	check_totals(world);
	for (size_t i = 0; i < PROBES; i++)
		check_probe(world, i);
	for (size_t i = 0; i < world->report.npaths; i++)
		check_path(world, &world->report.paths[i]);
	for (size_t i = 0; i < world->report.nlosses; i++)
		check_loss(world, &world->report.losses[i]);
	for (size_t i = 0; i < world->report.nflows; i++)
		check_flow(world, &world->report.flows[i]);
	report_release(&world->report);
	stats_close(stats);
	free(world);
}

Test(oracle, random_networks)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		check_world(seed);
}
