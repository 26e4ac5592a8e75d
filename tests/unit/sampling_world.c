// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "lib/packet.h"
#include "sampling.h"

uint64_t random_below(struct world *world, uint64_t limit)
{
	world->seed = world->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (vnt_mix(0, world->seed) >> 16) % limit;
}

uint32_t world_threshold(const struct world *world, uint16_t probe, uint64_t time_ns)
{
	uint32_t threshold = VNT_SAMPLE_ALL;

	for (size_t i = 0; i < world->nrates; i++) {
		if (world->rates[probe][i].time_ns <= time_ns)
			threshold = world->rates[probe][i].threshold;
	}
	return threshold;
}

static struct route random_route(struct world *world)
{
	struct route route = {.n = 2 + random_below(world, PROBES - 1)};

	for (uint16_t i = 0; i < PROBES; i++)
		route.probes[i] = i;
	for (size_t i = 0; i < PROBES; i++) {
		size_t k = i + random_below(world, PROBES - i);
		uint16_t probe = route.probes[k];

		route.probes[k] = route.probes[i];
		route.probes[i] = probe;
	}
	return route;
}

static void make_network(struct world *world, const struct world_config *config)
{
	size_t rates = 0;

	world->info = (struct trace_info){world->domains, DOMAINS, world->probes, PROBES};
	for (size_t i = 0; i < DOMAINS; i++)
		snprintf(world->domains[i].name, sizeof(world->domains[i].name), "d%zu", i);
	for (size_t i = 0; i < PROBES; i++)
		world->probes[i].domain = random_below(world, DOMAINS);
	for (size_t i = 0; i < FLOWS; i++) {
		world->routes[i] = random_route(world);
		world->hashes[i] = vnt_mix(vnt_mix(0, world->seed), i);
	}
	while (config->rates[rates])
		rates++;
	world->nrates = config->changing ? RATES : 1;
	for (size_t i = 0; i < PROBES * world->nrates; i++) {
		size_t probe = i / world->nrates, k = i % world->nrates;
		struct rate *rate = &world->rates[probe][k];

		*rate = (struct rate){
			k ? rate[-1].time_ns + random_below(world, (END_NS - START_NS) / RATES) : 0,
			vnt_sample_threshold(config->rates[random_below(world, rates)])};
		if (config->same && probe)
			*rate = world->rates[0][k];
	}
}

/* At the probe: an event, or one more that was left out. */
static void come_by(struct world *world, struct packet *packet, uint16_t probe, uint64_t time_ns,
		    uint32_t payload)
{
	struct vnt_event event = {
		.time_ns = time_ns,
		.flow = world->hashes[packet->flow],
		.key = packet->key,
		.length = packet->length - packet->payload + payload,
		.payload = payload,
		.flags = packet->flags,
		.probe = probe,
		.cpu = random_below(world, CPUS),
	};

	if (!world->all[probe].events || time_ns < world->probe_first_ns[probe])
		world->probe_first_ns[probe] = time_ns;
	if (time_ns > world->probe_last_ns[probe])
		world->probe_last_ns[probe] = time_ns;
	world->all[probe].events++;
	world->all[probe].bytes += event.length;
	if (vnt_sample_level(event.flow, event.key, payload, event.flags) >
	    world_threshold(world, probe, time_ns)) {
		world->losses[world->nlosses++] = (struct loss_row){
			.first_ns = time_ns,
			.last_ns = time_ns,
			.count = 1,
			.domain = world->probes[probe].domain,
			.probe = probe,
			.cpu = event.cpu,
			.cause = LOSS_SAMPLED,
			.bytes = event.length,
		};
		return;
	}
	packet->times[packet->route.n] = time_ns;
	packet->route.probes[packet->route.n++] = probe;
	world->events[world->nevents++] = event;
}

/* Resegmented: the second half of the way sees the first segment of it. */
static void send_packet(struct world *world, struct packet *packet, uint64_t time_ns,
			const struct world_config *config)
{
	const struct route *route = &world->routes[packet->flow];

	for (size_t i = 0; i < route->n; i++) {
		bool cut = config->resegmented && i >= route->n / 2 && packet->payload > 1448;

		if (i && random_below(world, 100) < config->drop_percent)
			return;
		if (!i && !world->first_ns[packet->flow])
			world->first_ns[packet->flow] = time_ns;
		if (time_ns > world->last_ns[packet->flow])
			world->last_ns[packet->flow] = time_ns;
		come_by(world, packet, route->probes[i], time_ns, cut ? 1448 : packet->payload);
		time_ns += 1 + random_below(world, random_below(world, 10) ? 1000 : 100000);
	}
}

/* Even flows are TCP data, byte after byte, in segments and super-packets. */
static void make_packet(struct world *world, size_t i, uint32_t *sequences)
{
	size_t flow = random_below(world, FLOWS);
	struct packet *packet = &world->packets[i];
	uint64_t size = random_below(world, 2);

	*packet = (struct packet){.flow = flow, .key = vnt_mix(world->seed, i)};
	packet->payload = 1 + random_below(world, size ? 1448 : 60000);
	packet->length = packet->payload + 52;
	if (flow % 2 == 0) {
		if (!random_below(world, 300))
			packet->payload += VNT_SAMPLE_WINDOW;
		packet->length = packet->payload + 52;
		packet->flags = VNT_PACKET_TCP_DATA;
		packet->key = (uint64_t)i << 48 | sequences[flow];
		sequences[flow] += packet->payload;
	}
	packet->level = vnt_sample_level(world->hashes[flow], packet->key, 1, packet->flags);
}

static int compare_events(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	return a->key != b->key ? (a->key > b->key ? 1 : -1) : a->probe - b->probe;
}

static int compare_epochs(const void *left, const void *right)
{
	const struct epoch_row *a = left, *b = right;

	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

static void send_packets(struct world *world, const struct world_config *config)
{
	uint32_t sequences[FLOWS];
	uint64_t time_ns = START_NS;

	for (size_t i = 0; i < FLOWS; i++)
		sequences[i] = random_below(world, 1ull << 32);
	for (size_t i = 0; i < PACKETS; i++) {
		make_packet(world, i, sequences);
		send_packet(world, &world->packets[i], time_ns, config);
		time_ns += random_below(world, 2 * GAP_NS);
	}
	qsort(world->events, world->nevents, sizeof(world->events[0]), compare_events);
}

static void put(struct world *world, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	cr_assert(!count || feed_stats(world->stats, &batch) == 0);
}

/* Epochs come at their time, and now and then the rate is said again. */
static void report_world(struct world *world)
{
	size_t nepochs = 0, at = 0;

	for (size_t i = 0; i < PROBES * world->nrates; i++) {
		const struct rate *rate = &world->rates[i / world->nrates][i % world->nrates];

		world->epochs[nepochs++] = (struct epoch_row){.time_ns = rate->time_ns,
							      .probe = i / world->nrates,
							      .active = 1,
							      .sampling = ~rate->threshold};
	}
	qsort(world->epochs, nepochs, sizeof(world->epochs[0]), compare_epochs);
	for (size_t i = 0; i < world->nevents; i++) {
		const struct vnt_event *event = &world->events[i];

		for (; at < nepochs && world->epochs[at].time_ns <= event->time_ns; at++)
			put(world, BATCH_EPOCHS, &world->epochs[at], 1);
		if (i % 50 == 49 && at)
			put(world, BATCH_EPOCHS, &world->epochs[at - 1], 1);
		put(world, BATCH_EVENTS, event, 1);
	}
	put(world, BATCH_EPOCHS, world->epochs + at, nepochs - at);
	put(world, BATCH_LOSSES, world->losses, world->nlosses);
	cr_assert_eq(stats_report(world->stats, &world->report), 0);
}

struct world *world_run(uint64_t seed, const struct world_config *config)
{
	struct world *world = calloc(1, sizeof(*world));

	world->seed = seed;
	make_network(world, config);
	send_packets(world, config);
	cr_assert_eq(stats_open(&world->stats, &world->info, HORIZON_NS), 0);
	report_world(world);
	return world;
}

void world_free(struct world *world)
{
	report_release(&world->report);
	stats_close(world->stats);
	free(world);
}
