// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stage between join and stats, held against the definition: what is known of each byte (of each
 * datagram for UDP) is where and when a packet with it was seen, and nothing of any other transmission.
 * Datagrams come as bpf/ makes events of them (lib/datagrams.h).
 *
 * A sender's super-packets pass a probe, are cut into segments, which pass two more and may be lost, come
 * twice or overtake each other, and are put together again before the last one.
 */
#include <criterion/criterion.h>

#include "lib/map.h"
#include "segments_feed.h"

#define EVENTS_MAX 200000
#define UNITS_MAX  400000
#define HORIZON_NS 1000000
#define SIZE       10 /* bytes of a segment; UDP: one position, of ten bytes */

struct config {
	uint64_t seed;
	bool udp;
	bool ipv6;
	bool fixed_ids;
	bool cut_at_sender; /* no super-packets at the first probe */
	bool never_cut;     /* super-packets everywhere */
	unsigned int loss;  /* one in so many segments at each hop; 0: none */
	unsigned int again; /* one in so many super-packets is sent twice; 0: none */
	unsigned int twice; /* one in so many segments is doubled by the network; 0: none */
	unsigned int merge; /* segments that the last probe has in one, at most */
	unsigned int jitter_ns;
};

/* A byte or datagram of one transmission: the sum of the hashes of its sightings. */
struct unit {
	uint32_t position;
	uint64_t seen;
	bool out;
};

struct world {
	const struct config *config;
	uint64_t seed;
	uint64_t time_ns;
	struct vnt_event *events;
	size_t nevents;
	struct unit *units;
	size_t nunits;
	size_t found; /* one of them: the next is near */
	uint32_t sequence;
	uint16_t id;
	uint64_t last_ns; /* first sighting of the journey before */
	size_t journeys;
	size_t longest;
};

static uint64_t random_below(struct world *world, uint64_t limit)
{
	world->seed = world->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (world->seed >> 33) % limit;
}

static bool one_in(struct world *world, unsigned int n)
{
	return n && !random_below(world, n);
}

/* Segments [from, from + count) of a transmission, as one packet. */
struct transmission {
	uint32_t position; /* of the first segment */
	uint32_t count;
	uint16_t id;
	uint16_t tsval;
	size_t unit;
};

static uint32_t unit_span(const struct world *world)
{
	return world->config->udp ? 1 : SIZE;
}

static uint64_t sighting_hash(uint64_t time_ns, uint16_t probe)
{
	return map_hash(map_hash(1, time_ns), probe);
}

static uint16_t id_of(const struct world *world, const struct transmission *sent, uint32_t segment)
{
	return world->config->ipv6 ? 0 : sent->id + (world->config->fixed_ids ? 0 : segment);
}

/* Behind the first one the ID is a guess. */
static void see_datagrams(struct world *world, const struct transmission *sent, uint32_t from,
			  uint32_t count, uint16_t probe, uint64_t time_ns)
{
	for (uint32_t i = from; i < from + count; i++) {
		bool guess = i > from && !world->config->ipv6;
		uint16_t id = id_of(world, sent, from) + (guess ? i - from : 0);

		cr_assert(world->nevents < EVENTS_MAX);
		world->events[world->nevents++] = (struct vnt_event){
			.time_ns = time_ns,
			.flow = 77,
			.probe = probe,
			.id = id,
			.payload = SIZE,
			.length = 52 + SIZE,
			.segment = guess ? SIZE : 0,
			.key = (uint64_t)map_hash(sent->unit + i, 5) << 32 | id,
		};
		world->units[sent->unit + i].seen += sighting_hash(time_ns, probe);
	}
}

static void see(struct world *world, const struct transmission *sent, uint32_t from, uint32_t count,
		uint16_t probe, uint64_t time_ns)
{
	struct vnt_event *event = &world->events[world->nevents++];
	uint16_t id = id_of(world, sent, from);
	uint32_t span = unit_span(world);

	if (world->config->udp) {
		world->nevents--;
		see_datagrams(world, sent, from, count, probe, time_ns);
		return;
	}
	cr_assert(world->nevents < EVENTS_MAX);
	*event = (struct vnt_event){
		.time_ns = time_ns,
		.flow = 77,
		.probe = probe,
		.id = id,
		.payload = count * SIZE,
		.length = 52 + count * SIZE,
		.segment = count > 1 ? SIZE : 0,
		.flags = VNT_PACKET_TCP_DATA,
		.key = (uint64_t)id << 48 | (uint64_t)sent->tsval << 32 |
		       (uint32_t)(sent->position + from * span),
	};
	for (uint32_t i = from * span; i < (from + count) * span; i++)
		world->units[sent->unit + i].seen += sighting_hash(time_ns, probe);
}

static uint64_t later(struct world *world, uint64_t time_ns)
{
	return time_ns + 1000 + random_below(world, 1 + world->config->jitter_ns);
}

struct arrival {
	uint32_t segment;
	uint64_t time_ns;
};

static int compare_arrivals(const void *left, const void *right)
{
	const struct arrival *a = left, *b = right;

	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* What came of the segments is put together where they are neighbours and in order. */
static void merge(struct world *world, const struct transmission *sent, struct arrival *arrivals,
		  size_t n)
{
	qsort(arrivals, n, sizeof(*arrivals), compare_arrivals);
	for (size_t i = 0, count; i < n; i += count) {
		size_t most = 1 + random_below(world, world->config->merge);

		for (count = 1; count < most && i + count < n; count++)
			if (arrivals[i + count].segment != arrivals[i].segment + count)
				break;
		see(world, sent, arrivals[i].segment, count, 3,
		    arrivals[i + count - 1].time_ns + 500);
	}
}

static void pass_on(struct world *world, const struct transmission *sent, uint64_t time_ns)
{
	const struct config *config = world->config;
	struct arrival arrivals[256];
	size_t n = 0;

	for (uint32_t i = 0; i < sent->count; i++) {
		uint64_t at_ns = later(world, time_ns + i * 7);

		if (config->cut_at_sender)
			see(world, sent, i, 1, 0, time_ns + i * 7);
		/* The very first one comes, so that it is known that there are segments. */
		if (sent->unit + i && one_in(world, config->loss))
			continue;
		if (config->udp) /* bursts do not mix */
			at_ns = time_ns + 1000 + i * 7;
		see(world, sent, i, 1, 1, at_ns);
		if (one_in(world, config->twice))
			see(world, sent, i, 1, 1, at_ns + 3);
		if (sent->unit + i && one_in(world, config->loss))
			continue;
		at_ns = later(world, at_ns);
		see(world, sent, i, 1, 2, at_ns);
		arrivals[n++] = (struct arrival){i, at_ns};
	}
	merge(world, sent, arrivals, n);
}

static void transmit(struct world *world, struct transmission *sent)
{
	const struct config *config = world->config;
	uint32_t span = unit_span(world);

	sent->id = world->id;
	sent->tsval = config->udp ? 0 : world->time_ns / (config->ipv6 ? 300 : 1000000);
	sent->unit = world->nunits;
	world->id += config->udp ? 1 : sent->count; /* as Linux does */
	cr_assert(world->nunits + sent->count * span < UNITS_MAX);
	for (uint32_t i = 0; i < sent->count * span; i++)
		world->units[world->nunits++] = (struct unit){.position = sent->position + i};
	if (config->never_cut) {
		for (uint16_t probe = 0; probe < 4; probe++)
			if (!one_in(world, config->loss))
				see(world, sent, 0, sent->count, probe,
				    world->time_ns + probe * 1000);
		return;
	}
	if (!config->cut_at_sender)
		see(world, sent, 0, sent->count, 0, world->time_ns);
	pass_on(world, sent, world->time_ns);
}

static void make_world(struct world *world)
{
	for (int i = 0; i < 600; i++) {
		struct transmission sent = {
			.position = world->sequence,
			.count = 1 + random_below(world, random_below(world, 2) ? 44 : 3)};

		world->time_ns +=
			400 + random_below(world, random_below(world, 20) ? 3000 : 300000);
		transmit(world, &sent);
		world->sequence += sent.count * unit_span(world);
		if (!one_in(world, world->config->again))
			continue;
		world->time_ns += 400 + random_below(world, 20000);
		sent.position += random_below(world, sent.count) * SIZE;
		sent.count = 1 + (world->sequence - sent.position - 1) / SIZE;
		transmit(world, &sent);
	}
}

static struct unit *find_unit(struct world *world, uint64_t seen, uint32_t position)
{
	for (size_t i = 0; i < world->nunits; i++) {
		struct unit *unit = &world->units[(world->found + i) % world->nunits];

		if (unit->out || unit->seen != seen ||
		    (!world->config->udp && unit->position != position))
			continue;
		world->found = unit - world->units;
		return unit;
	}
	return NULL;
}

static int take(void *context, const struct journey *journey)
{
	const struct sighting *seen = journey_sightings(journey);
	struct world *world = context;
	uint32_t units = world->config->udp ? journey->payload / SIZE : seen[0].data;
	struct unit *unit;
	uint64_t sum = 0;

	cr_assert(!journey->undecided);
	cr_assert(journey->payload == units * (world->config->udp ? SIZE : 1));
	cr_assert_eq(journey->length, 52 + journey->payload);
	cr_assert_geq(seen[0].time_ns, world->last_ns);
	world->last_ns = seen[0].time_ns;
	world->journeys++;
	if (units > world->longest)
		world->longest = units;
	for (uint32_t i = 0; i < journey->count; i++) {
		sum += sighting_hash(seen[i].time_ns, seen[i].probe);
		cr_assert(!i || seen[i].time_ns >= seen[i - 1].time_ns);
		cr_assert(seen[i].segment || units <= unit_span(world));
		cr_assert_eq(seen[i].data, world->config->udp ? 0 : units);
	}
	unit = find_unit(world, sum, journey->key);
	cr_assert_not_null(unit, "nothing was seen so");
	for (uint32_t i = 0; i < units; i++) {
		cr_assert(unit[i].seen == sum && !unit[i].out);
		unit[i].out = true;
	}
	return 0;
}

static void run(struct world *world)
{
	struct segments *segments;
	struct join *join;

	cr_assert_eq(segments_open(&segments, HORIZON_NS, take, world), 0);
	cr_assert_eq(join_open(&join, HORIZON_NS, feed_put, segments), 0);
	qsort(world->events, world->nevents, sizeof(*world->events), feed_compare);
	for (size_t i = 0; i < world->nevents; i++) {
		if (world->events[i].segment)
			cr_assert_eq(segments_expect(segments, world->events[i].flow,
						     world->events[i].time_ns),
				     0);
		cr_assert_eq(feed_join(join, &world->events[i], 1), 0);
	}
	cr_assert_eq(join_flush(join), 0);
	cr_assert_eq(segments_flush(segments), 0);
	join_close(join);
	segments_close(segments);
	for (size_t i = 0; i < world->nunits; i++)
		cr_assert(world->units[i].out == !!world->units[i].seen, "unit %zu", i);
}

/* Returns the longest that came out. */
static size_t check(struct config config)
{
	struct world world = {
		.config = &config,
		.seed = config.seed,
		.time_ns = 5000,
		.sequence = config.udp ? 65000 : UINT32_MAX - 5000,
		.id = 65000,
		.events = calloc(EVENTS_MAX, sizeof(*world.events)),
		.units = calloc(UNITS_MAX, sizeof(*world.units)),
	};

	make_world(&world);
	run(&world);
	free(world.events);
	free(world.units);
	return world.longest;
}

Test(segments, bytes_are_seen_where_a_packet_with_them_was)
{
	for (uint64_t seed = 1; seed < 8; seed++) {
		struct config config = {.seed = seed, .merge = 45, .jitter_ns = seed % 2 ? 2 : 0};

		cr_assert_eq(check(config), SIZE);
		config.loss = 10;
		config.again = 5;
		cr_assert_eq(check(config), SIZE);
		config.jitter_ns = 5000;
		config.twice = 20;
		check(config);
		config.ipv6 = true;
		check(config);
		config.ipv6 = false;
		config.fixed_ids = true;
		check(config);
		config.cut_at_sender = true;
		check(config);
	}
}

Test(segments, super_packets_that_nobody_cuts_stay_whole)
{
	struct config config = {.seed = 3, .never_cut = true, .loss = 20};

	cr_assert_gt(check(config), 2 * SIZE);
	config.ipv6 = true;
	cr_assert_gt(check(config), 2 * SIZE);
}

Test(segments, datagrams_are_seen_where_a_packet_with_them_was)
{
	for (uint64_t seed = 1; seed < 8; seed++) {
		struct config config = {.seed = seed, .udp = true, .merge = 20};

		cr_assert_eq(check(config), 1);
		config.loss = 20;
		cr_assert_eq(check(config), 1);
		config.jitter_ns = 5000;
		config.twice = 20;
		cr_assert_eq(check(config), 1);
		config.ipv6 = true;
		cr_assert_eq(check(config), 1);
		config.ipv6 = false;
		config.cut_at_sender = true;
		config.fixed_ids = true; /* the guesses are wrong */
		cr_assert_eq(check(config), 1);
	}
}

struct outcome {
	size_t journeys;
	size_t undecided;
};

static int count(void *context, const struct journey *journey)
{
	struct outcome *outcome = context;

	outcome->journeys++;
	outcome->undecided += journey->undecided;
	return 0;
}

/* Datagrams with the same bytes: a digit for each event, of its IP ID, or a letter if that is a guess; each at
 * the probe of its place in the text. */
static struct outcome see_alike(const char *ids, bool sampled)
{
	struct outcome outcome = {0};
	struct segments *segments;
	struct join *join;

	cr_assert_eq(segments_open(&segments, HORIZON_NS, count, &outcome), 0);
	cr_assert_eq(join_open(&join, HORIZON_NS, feed_put, segments), 0);
	if (sampled)
		segments_sample(segments);
	cr_assert_eq(segments_expect(segments, 77, 1000), 0);
	for (uint16_t i = 0; ids[i]; i++) {
		bool guess = ids[i] >= 'a';
		struct vnt_event event = {.time_ns = 1000 + i,
					  .flow = 77,
					  .probe = i,
					  .payload = SIZE,
					  .segment = guess ? SIZE : 0,
					  .key = 5 << 16 | (guess ? ids[i] - 'a' : ids[i] - '0')};

		cr_assert_eq(feed_join(join, &event, 1), 0);
	}
	cr_assert_eq(join_flush(join), 0);
	cr_assert_eq(segments_flush(segments), 0);
	join_close(join);
	segments_close(segments);
	return outcome;
}

Test(segments, a_datagram_is_another_one_if_it_can_be_no_other)
{
	static const struct {
		const char *ids;
		bool sampled;
		size_t journeys;
		size_t undecided;
	} cases[] = {
		{"11bb", false, 1, 0},  {"11cc", false, 1, 0},  {"cc11", false, 1, 0},
		{"1122", false, 2, 0},  {"112dd", false, 3, 3}, {"11ccd", false, 3, 3},
		{"1cccc", false, 1, 0}, {"ccdd", false, 1, 0},  {"11", false, 1, 0},
		{"1b", true, 1, 0},     {"1c", true, 1, 0},     {"1122b", true, 2, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = see_alike(cases[i].ids, cases[i].sampled);

		cr_assert_eq(outcome.journeys, cases[i].journeys, "%s", cases[i].ids);
		cr_assert_eq(outcome.undecided, cases[i].undecided, "%s: %zu", cases[i].ids,
			     outcome.undecided);
	}
}
