// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams and their fragments, held against the definition: what is known of each byte is where and when a
 * packet with it was seen, and nothing of any other datagram.
 *
 * Datagrams pass four probes. Before each they may be cut, cut again, or put together; fragments are lost, come
 * twice or overtake each other. The first probe sees all of them.
 */
#include <criterion/criterion.h>

#include "cpu_limit.h"
#include "lib/flows.h"
#include "lib/tuple.h"
#include "segments_feed.h"

#define DATAGRAMS  600
#define PROBES     4
#define SIZE_MAX_8 1200 /* in units of eight bytes, as other sizes here */
#define EVENTS_MAX 400000
#define PARTS_MAX  200
#define HORIZON_NS 1000000
#define WHOLE      UINT16_MAX

struct config {
	uint32_t seed;
	uint16_t cuts[PROBES]; /* bytes that IP may carry there, or WHOLE */
	unsigned int loss;     /* one in so many at each hop; 0: none */
	unsigned int twice;    /* one in so many is doubled; 0: none */
	unsigned int jitter_ns;
	uint16_t ids; /* there are so many; 0: no two within a horizon are the same */
	bool small;   /* every other one fits everywhere */
};

struct datagram {
	uint32_t size;
	uint16_t id;
	uint64_t seen[SIZE_MAX_8]; /* the sum of the hashes of its sightings */
	bool out[SIZE_MAX_8];
	bool undecided;
};

struct part {
	uint32_t start, size;
	uint64_t time_ns;
};

struct world {
	struct config config;
	uint32_t seed;
	uint64_t time_ns;
	struct datagram *datagrams;
	struct vnt_event *events;
	size_t nevents;
	struct flows flows;
	uint64_t flow[2]; /* of two ports */
	uint64_t bare;
	uint32_t joined, undecided;
};

static uint32_t random_below(struct world *world, uint32_t limit)
{
	world->seed = world->seed * 1664525 + 1013904223;
	return (world->seed >> 8) % limit;
}

static bool one_in(struct world *world, unsigned int n)
{
	return n && !random_below(world, n);
}

static uint64_t sighting_hash(uint64_t time_ns, uint16_t probe)
{
	return map_hash(map_hash(1, time_ns), probe);
}

/* Its key begins with its number, as if the digest were that. */
static void see(struct world *world, uint32_t number, const struct part *part, uint16_t probe)
{
	struct datagram *datagram = &world->datagrams[number];
	struct vnt_event *event = &world->events[world->nevents++];
	uint32_t end = part->start + part->size;
	bool more = end < datagram->size;

	cr_assert(world->nevents < EVENTS_MAX);
	*event = (struct vnt_event){
		.time_ns = part->time_ns,
		.flow = world->flow[number % 2],
		.key = (uint64_t)number << 40 | UINT32_MAX,
		.probe = probe,
		.id = datagram->id,
		.length = 20 + part->size,
		.payload = part->size - 8,
	};
	if (part->start || more)
		event->flags = VNT_PACKET_FRAGMENT;
	if (part->start) {
		event->flow = world->bare;
		event->flags |= VNT_PACKET_LATER;
		event->payload = part->size;
		event->key = (uint64_t)number << 40 | (uint64_t)(part->size / 8 % 256) << 32 |
			     (uint32_t)datagram->id << 16 | (more ? 1u << 13 : 0) | part->start / 8;
	}
	for (uint32_t i = part->start / 8; i < (end + 7) / 8; i++)
		datagram->seen[i] += sighting_hash(part->time_ns, probe);
}

/* Cuts each part as the probe has it, or puts them together; returns how many they are then. */
static size_t cut(const struct world *world, uint32_t number, uint16_t probe, struct part *parts,
		  size_t n)
{
	uint32_t size = world->datagrams[number].size, most = world->config.cuts[probe];
	struct part before[PARTS_MAX];
	uint32_t sum = 0;
	size_t count = 0;

	memcpy(before, parts, n * sizeof(*parts));
	for (size_t i = 0; i < n; i++)
		sum += before[i].size;
	if (most == WHOLE && n > 1) {
		for (size_t i = 1; i < n; i++)
			if (before[i].time_ns > parts[0].time_ns)
				parts[0].time_ns = before[i].time_ns;
		parts[0].start = 0;
		parts[0].size = size;
		return sum == size;
	}
	for (size_t i = 0; i < n; i++) {
		for (uint32_t at = 0; at < before[i].size; at += most & ~7u) {
			uint32_t rest = before[i].size - at;

			cr_assert(count < PARTS_MAX);
			parts[count] = before[i];
			parts[count].start += at;
			parts[count++].size = rest <= most ? rest : most & ~7u;
			if (rest <= most)
				break;
		}
	}
	return count;
}

static void send(struct world *world, uint32_t number)
{
	const struct config *config = &world->config;
	struct part parts[PARTS_MAX] = {{0, world->datagrams[number].size, world->time_ns}};
	size_t n = 1;

	for (uint16_t probe = 0; probe < PROBES && n; probe++) {
		size_t kept = 0;

		n = cut(world, number, probe, parts, n);
		for (size_t i = 0; i < n; i++) {
			parts[i].time_ns +=
				1000 + i * 7 + random_below(world, 1 + config->jitter_ns);
			if (probe && one_in(world, config->loss))
				continue;
			see(world, number, &parts[i], probe);
			if (one_in(world, config->twice)) {
				parts[i].time_ns += 3;
				see(world, number, &parts[i], probe);
			}
			parts[kept++] = parts[i];
		}
		n = kept;
	}
}

static int take(void *context, const struct journey *journey)
{
	const struct sighting *seen = journey_sightings(journey);
	uint32_t position = journey->key, size = journey->length - 20, number = journey->key >> 40;
	struct world *world = context;
	struct datagram *datagram = &world->datagrams[number];
	uint64_t sum = 0;

	cr_assert(number < DATAGRAMS && size && !datagram->undecided | journey->undecided);
	world->undecided += journey->undecided;
	datagram->undecided |= journey->undecided;
	if (journey->undecided)
		return 0;
	if (position <= UINT16_MAX) {
		world->joined++;
		cr_assert_eq(journey->flow, world->flow[number % 2]);
		cr_assert_eq(journey->payload, size);
	} else {
		position = journey->flags & VNT_PACKET_LATER ? (position & 0x1fff) * 8 : 0;
	}
	for (uint32_t i = 0; i < journey->count; i++) {
		sum += sighting_hash(seen[i].time_ns, seen[i].probe);
		cr_assert(!i || seen[i].time_ns >= seen[i - 1].time_ns);
	}
	cr_assert(position + size <= datagram->size);
	for (uint32_t i = position / 8; i < (position + size + 7) / 8; i++) {
		cr_assert(datagram->seen[i] == sum && !datagram->out[i]);
		datagram->out[i] = true;
	}
	return 0;
}

static void name_flows(struct world *world)
{
	struct flow_row row = {.flow = {.saddr = {10, 0, 0, 1},
					.daddr = {10, 0, 0, 2},
					.ethertype = VNT_ETHERTYPE_IPV4,
					.proto = VNT_PROTO_UDP}};

	world->bare = vnt_flow_hash(&row.flow);
	for (int i = 0; i < 2; i++) {
		row.flow.sport = 1000 + i;
		row.flow.dport = 5001;
		world->flow[i] = row.hash = vnt_flow_hash(&row.flow);
		cr_assert_eq(flows_name(&world->flows, &row), 0);
	}
}

static void run(struct world *world)
{
	struct segments *segments;
	struct join *join;

	cr_assert_eq(segments_open(&segments, HORIZON_NS, take, world), 0);
	cr_assert_eq(join_open(&join, HORIZON_NS, feed_put, segments), 0);
	segments_name(segments, &world->flows);
	qsort(world->events, world->nevents, sizeof(*world->events), feed_compare);
	for (size_t i = 0; i < world->nevents; i++) {
		const struct vnt_event *event = &world->events[i];

		if (event->flags & VNT_PACKET_LATER)
			cr_assert_eq(
				segments_expect_fragments(segments, event->flow, event->time_ns),
				0);
		cr_assert_eq(feed_join(join, event, 1), 0);
	}
	cr_assert_eq(join_flush(join), 0);
	cr_assert_eq(segments_flush(segments), 0);
	join_close(join);
	segments_close(segments);
}

static struct world make_world(struct config config)
{
	struct world world = {
		.config = config,
		.seed = config.seed,
		.time_ns = 10 * HORIZON_NS,
		.datagrams = calloc(DATAGRAMS, sizeof(*world.datagrams)),
		.events = calloc(EVENTS_MAX, sizeof(*world.events)),
	};

	name_flows(&world);
	return world;
}

static void finish(struct world *world)
{
	run(world);
	for (uint32_t i = 0; i < DATAGRAMS; i++)
		for (uint32_t k = 0; k < SIZE_MAX_8; k++)
			cr_assert(world->datagrams[i].undecided ||
				  world->datagrams[i].out[k] == !!world->datagrams[i].seen[k]);
	flows_release(&world->flows);
	free(world->datagrams);
	free(world->events);
}

static struct world check(struct config config)
{
	struct world world = make_world(config);

	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		struct datagram *datagram = &world.datagrams[i];

		datagram->size = 16 + random_below(&world, config.small && i % 2 ? 400 : 9000);
		datagram->id = 1 + (config.ids ? random_below(&world, config.ids) : i);
		world.time_ns +=
			400 + random_below(&world, random_below(&world, 20) ? 3000 : 300000);
		send(&world, i);
	}
	finish(&world);
	return world;
}

static const uint16_t ways[][PROBES] = {
	{WHOLE, WHOLE, 1480, 1480}, /* cut on the way */
	{WHOLE, 4000, 1480, 976},   /* again and again */
	{1480, 1480, WHOLE, WHOLE}, /* put together */
	{1480, WHOLE, 1480, 1480},  /* for a moment */
	{1480, WHOLE, 976, 976},    /* ... and cut otherwise */
	{4000, 1480, 1480, 1480},   /* nobody sees a whole */
};

Test(segments_fragments, join_with_their_datagram)
{
	for (uint32_t seed = 1; seed < 10; seed++) {
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
			struct config config = {.seed = seed, .small = seed % 2};
			struct world world;

			memcpy(config.cuts, ways[i], sizeof(ways[i]));
			config.loss = seed % 3 ? 10 : 0;
			config.twice = seed % 4 ? 0 : 20;
			config.jitter_ns = seed % 5 ? 5000 : 0;
			world = check(config);
			cr_assert(world.joined && !world.undecided);
		}
	}
}

Test(segments_fragments, that_nobody_saw_whole_are_as_they_are)
{
	struct world world =
		check((struct config){.seed = 1, .cuts = {1480, 1480, 1480, 1480}, .loss = 10});

	cr_assert(!world.joined && !world.undecided);
}

/* Who is of which is not known, but where their lengths tell. */
Test(segments_fragments, of_datagrams_with_the_same_id)
{
	for (uint32_t seed = 1; seed < 10; seed++) {
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
			struct config config = {
				.seed = seed, .loss = 10, .jitter_ns = 5000, .ids = 2000};
			struct world world;

			memcpy(config.cuts, ways[i], sizeof(ways[i]));
			config.small = seed % 2;
			world = check(config);
			cr_assert(world.joined && world.undecided);
		}
	}
}

/* Of a datagram of 4000 bytes, part [start, end). */
static void see_part(struct world *world, uint32_t number, uint32_t start, uint32_t end,
		     uint16_t probe)
{
	world->datagrams[number].size = 4000;
	world->datagrams[number].id = 1;
	see(world, number, &(struct part){start, end - start, ++world->time_ns}, probe);
}

Test(segments_fragments, of_one_that_is_too_short_for_them_are_another_ones)
{
	struct world world = make_world((struct config){.seed = 1});

	see_part(&world, 0, 0, 4000, 0);
	see_part(&world, 0, 0, 1480, 1);
	see_part(&world, 0, 1480, 2960, 1);
	see_part(&world, 0, 2960, 4000, 1);
	world.datagrams[1] = (struct datagram){.size = 2500, .id = 1};
	see(&world, 1, &(struct part){0, 2500, world.time_ns}, 0);
	finish(&world);
	cr_assert(world.joined == 3 && !world.undecided);
}

/* The head of one of them nobody saw. */
Test(segments_fragments, with_other_bytes_at_the_same_place_are_not_of_one_datagram)
{
	for (uint32_t other = 0; other < 2; other++) {
		struct world world = make_world((struct config){.seed = 1});

		see_part(&world, 0, 0, 4000, 0);
		see_part(&world, 0, 0, 1480, 1);
		see_part(&world, 0, 1480, 2960, 1);
		see_part(&world, 2 * other, 1480, 2960, 2);
		finish(&world);
		cr_assert_eq(world.joined, other ? 0 : 3);
		cr_assert_eq(world.undecided, other ? 3 : 0);
	}
}

Test(segments_fragments, that_overlap_more_often_than_anybody_cuts_are_not_of_one_datagram)
{
	for (uint32_t layers = 16; layers <= 17; layers++) {
		struct world world = make_world((struct config){.seed = 1});

		see_part(&world, 0, 0, 4000, 0);
		for (uint32_t i = 1; i < layers; i++)
			see_part(&world, 0, 8 * i, 2000 + 8 * i, i % PROBES);
		finish(&world);
		cr_assert_eq(world.undecided, layers == 17 ? layers : 0);
	}
}

/* The flow is held for these from then on. */
Test(segments_fragments, join_whatever_comes_much_later)
{
	struct world world = make_world((struct config){.seed = 1});
	struct segments *segments;
	struct join *join;

	see_part(&world, 0, 0, 4000, 0);
	see_part(&world, 0, 0, 1480, 1);
	see_part(&world, 0, 1480, 2960, 1);
	see_part(&world, 0, 2960, 4000, 1);
	cr_assert_eq(segments_open(&segments, HORIZON_NS, take, &world), 0);
	cr_assert_eq(join_open(&join, HORIZON_NS, feed_put, segments), 0);
	segments_name(segments, &world.flows);
	cr_assert_eq(segments_expect_fragments(segments, world.bare, world.time_ns), 0);
	cr_assert_eq(feed_join(join, world.events, world.nevents), 0);
	cr_assert_eq(segments_expect(segments, world.flow[0], world.time_ns + 9 * HORIZON_NS), 0);
	cr_assert_eq(join_flush(join), 0);
	cr_assert_eq(segments_flush(segments), 0);
	cr_assert_eq(world.joined, 3);
	join_close(join);
	segments_close(segments);
	flows_release(&world.flows);
	free(world.datagrams);
	free(world.events);
}

static int ignore(void *context, const struct journey *journey)
{
	(void)context;
	cr_assert(journey->count);
	return 0;
}

/* Of a sender that has one IP ID for all of them. */
Test(segments_fragments, with_one_id_by_the_thousand_take_no_time, .init = limit_cpu)
{
	struct world world = {.datagrams = NULL};
	struct segments *segments;

	name_flows(&world);
	cr_assert_eq(segments_open(&segments, 1000 * (uint64_t)HORIZON_NS, ignore, NULL), 0);
	segments_name(segments, &world.flows);
	cr_assert_eq(segments_expect_fragments(segments, world.bare, 0), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct journey journey = {
			.flow = i % 3 ? world.bare : world.flow[0],
			.key = (uint64_t)i << 32 | 1u << 16 | (i % 3 ? 185 * (i % 3) : 0),
			.flags = VNT_PACKET_FRAGMENT | (i % 3 ? VNT_PACKET_LATER : 0),
			.id = 1,
			.length = 1500,
			.payload = i % 3 ? 1480 : 1472,
			.count = 1,
			.few = {{.time_ns = 1000 + i, .data = 1500 | SIGHTING_FRAGMENT}},
		};

		cr_assert_eq(segments_put(segments, &journey), 0);
	}
	cr_assert_eq(segments_flush(segments), 0);
	segments_close(segments);
	flows_release(&world.flows);
}
