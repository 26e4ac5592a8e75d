// SPDX-License-Identifier: GPL-2.0-only
/* Journeys of random traffic against the definition, whatever the memory. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "join_feed.h"
#include "lib/map.h"

#define EVENTS_MAX 60000

struct digest {
	uint64_t hash; /* of all journeys and all that is in them, in their order */
	size_t count;
	size_t longest;
	int err;
};

struct scene {
	uint64_t seed;
	size_t count;
	struct vnt_event events[EVENTS_MAX];
	bool taken[EVENTS_MAX];
};

static uint64_t random_below(struct scene *scene, uint64_t limit)
{
	scene->seed = scene->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (scene->seed >> 33) % limit;
}

static void digest_add(struct digest *digest, uint64_t value)
{
	digest->hash = map_hash(digest->hash, value);
}

static void digest_sighting(struct digest *digest, uint64_t time_ns, unsigned int probe,
			    unsigned int cpu, uint32_t data)
{
	digest_add(digest, time_ns);
	digest_add(digest, (uint64_t)probe << 48 | (uint64_t)cpu << 32 | data);
}

static int take_journey(void *context, const struct seat *seat)
{
	const struct sighting *seen;
	struct digest *digest = context;
	struct journey journey;

	seat_journey(seat, &journey);
	seen = journey_sightings(&journey);
	digest->count++;
	digest_add(digest, journey.flow);
	digest_add(digest, journey.key);
	digest_add(digest, journey.length);
	for (size_t i = 0; i < journey.count; i++)
		digest_sighting(digest, seen[i].time_ns, seen[i].probe, seen[i].segment,
				seen[i].data);
	if (journey.count > digest->longest)
		digest->longest = journey.count;
	return digest->err;
}

static uint32_t data_of(const struct vnt_event *event)
{
	return event->flags & VNT_PACKET_TCP_DATA || event->segment ? event->payload : 0;
}

/* The definition, word by word: for each event that no journey has, gather its journey. */
static struct digest join_naively(struct scene *scene, uint64_t horizon_ns)
{
	struct vnt_event *events = scene->events;
	struct digest digest = {0};

	for (size_t i = 1; i < scene->count; i++)
		if (events[i].time_ns < events[i - 1].time_ns)
			events[i].time_ns = events[i - 1].time_ns;
	memset(scene->taken, 0, sizeof(scene->taken));
	for (size_t i = 0; i < scene->count; i++) {
		const struct vnt_event *first = &events[i];

		if (scene->taken[i])
			continue;
		digest.count++;
		digest_add(&digest, first->flow);
		digest_add(&digest, first->key);
		digest_add(&digest, first->length);
		for (size_t k = i; k < scene->count; k++) {
			if (events[k].time_ns - first->time_ns > horizon_ns)
				break;
			if (events[k].key != first->key || events[k].flow != first->flow)
				continue;
			scene->taken[k] = true;
			digest_sighting(&digest, events[k].time_ns, events[k].probe,
					events[k].segment, data_of(&events[k]));
		}
	}
	return digest;
}

/* In pieces of random size. `memory` 0: no limit. */
static struct digest join_spilling(struct scene *scene, uint64_t horizon_ns, size_t memory,
				   bool *spilled)
{
	struct digest digest = {0};
	struct spill *spill;

	cr_assert_eq(spill_open(&spill, horizon_ns, take_journey, &digest), 0);
	if (memory)
		spill_limit(spill, memory);
	for (size_t done = 0, n; done < scene->count; done += n) {
		n = random_below(scene, random_below(scene, 2) ? 10 : 5000);
		n = n < scene->count - done ? n : scene->count - done;
		cr_assert_eq(feed_spill(spill, scene->events + done, n), 0);
	}
	*spilled = spill_began(spill);
	cr_assert_eq(spill_flush(spill), 0);
	spill_close(spill);
	return digest;
}

/* Packets of few or many keys, seen by up to six probes, some lost, some twice, many at once. */
static void make_scene(struct scene *scene, uint64_t seed, size_t count, uint64_t keys)
{
	uint64_t step = 1 + seed % 3;

	scene->seed = seed;
	scene->count = count;
	for (size_t i = 0; i < count; i++) {
		bool again = i && !random_below(scene, 4);
		const struct vnt_event *before = &scene->events[random_below(scene, i + 1)];
		uint64_t time_ns = 1000 + i / 2 * step;

		scene->events[i] = (struct vnt_event){
			.time_ns = time_ns - random_below(scene, 3),
			.flow = again ? before->flow : random_below(scene, 4),
			.key = again ? before->key : random_below(scene, keys),
			.length = random_below(scene, 1500),
			.payload = random_below(scene, 1000),
			.probe = random_below(scene, 6),
			.segment = random_below(scene, 2) * 100,
			.flags = random_below(scene, 2) ? VNT_PACKET_TCP_DATA : 0,
		};
	}
}

static struct scene *new_scene(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	cr_assert_not_null(scene);
	return scene;
}

static void check(struct scene *scene, uint64_t horizon_ns, bool must_spill)
{
	static const size_t memories[] = {SPILL_MEMORY_MIN, SPILL_MEMORY_MIN * 2,
					  SPILL_MEMORY_MIN * 6, 0};
	struct digest truth = join_naively(scene, horizon_ns);
	bool spilled;

	for (size_t i = 0; i < sizeof(memories) / sizeof(memories[0]); i++) {
		struct digest digest = join_spilling(scene, horizon_ns, memories[i], &spilled);

		cr_expect(eq(u64, digest.hash, truth.hash), "memory %zu", memories[i]);
		cr_expect(eq(sz, digest.count, truth.count));
		cr_expect_eq(spilled | (i > 0) | !must_spill, true);
		cr_expect_eq(spilled && !memories[i], false);
	}
}

Test(spill, is_the_definition_whatever_the_memory)
{
	static const uint64_t horizons_ns[] = {0, 10, 3000, 9000, UINT64_MAX};
	struct scene *scene = new_scene();

	for (uint64_t seed = 1; seed <= 10; seed++) {
		make_scene(scene, seed, 8000, seed % 3 ? 3 + seed * 200 : 1ull << 32);
		for (size_t i = 0; i < sizeof(horizons_ns) / sizeof(horizons_ns[0]); i++)
			check(scene, horizons_ns[i], seed % 3 == 0 && i == 4);
	}
	free(scene);
}

Test(spill, divides_parts_that_are_too_large)
{
	struct scene *scene = new_scene();

	make_scene(scene, 7, EVENTS_MAX, 1ull << 40);
	check(scene, UINT64_MAX, true);
	free(scene);
}

Test(spill, a_packet_seen_ever_again_names_what_it_needs)
{
	static struct vnt_event event = {.flow = 1, .key = 2};
	struct digest digest = {0};
	struct spill *spill;
	size_t pushed = 0, needed;
	int err = 0;

	cr_assert_eq(spill_open(&spill, UINT64_MAX, take_journey, &digest), 0);
	spill_limit(spill, SPILL_MEMORY_MIN);
	for (; pushed < 100000 && !err; pushed++)
		err = feed_spill(spill, &event, 1);
	cr_assert_eq(err, 0);
	cr_assert_eq(spill_flush(spill), -ENOBUFS);
	needed = spill_needed(spill);
	cr_assert_gt(needed, SPILL_MEMORY_MIN);
	spill_close(spill);

	cr_assert_eq(spill_open(&spill, UINT64_MAX, take_journey, &digest), 0);
	spill_limit(spill, 8 * needed);
	for (size_t i = 0; i < pushed; i++)
		cr_assert_eq(feed_spill(spill, &event, 1), 0);
	cr_assert_eq(spill_flush(spill), 0);
	cr_assert_eq(digest.longest, pushed);
	spill_close(spill);
}

/* What else takes memory may grow. */
Test(spill, makes_room_when_there_is_less)
{
	struct scene *scene = new_scene();
	struct digest expected, digest = {0};
	struct spill *spill;
	bool spilled;

	make_scene(scene, 5, EVENTS_MAX, 1ull << 40);
	expected = join_spilling(scene, UINT64_MAX, 0, &spilled);
	cr_assert_eq(spill_open(&spill, UINT64_MAX, take_journey, &digest), 0);
	spill_limit(spill, 1u << 30);
	cr_assert_eq(feed_spill(spill, scene->events, scene->count - 1), 0);
	cr_assert_eq(spill_began(spill), false);
	cr_assert_gt(spill_memory(spill), 2 * SPILL_MEMORY_MIN);
	spill_limit(spill, SPILL_MEMORY_MIN);
	cr_assert_eq(feed_spill(spill, scene->events + scene->count - 1, 1), 0);
	cr_assert_eq(spill_began(spill), true);
	cr_assert_leq(spill_memory(spill), SPILL_MEMORY_MIN);
	cr_assert_eq(spill_flush(spill), 0);
	cr_assert_eq(memcmp(&digest, &expected, sizeof(digest)), 0);
	spill_close(spill);
	free(scene);
}

static int count_down(void *context)
{
	int *calls = context;

	return --*calls ? 0 : -EDQUOT;
}

Test(spill, whoever_watches_ends_it)
{
	struct scene *scene = new_scene();
	struct digest digest = {0};
	struct spill *spill;
	int calls = 3;

	make_scene(scene, 3, EVENTS_MAX, 1ull << 40);
	cr_assert_eq(spill_open(&spill, UINT64_MAX, take_journey, &digest), 0);
	spill_limit(spill, SPILL_MEMORY_MIN);
	spill_watch(spill, count_down, &calls);
	cr_assert_eq(feed_spill(spill, scene->events, scene->count), 0);
	cr_assert_eq(spill_flush(spill), -EDQUOT);
	cr_assert_eq(calls, 0);
	cr_assert_gt(digest.count, 0);
	spill_close(spill);
	free(scene);
}

struct lowering {
	struct spill *spill;
	bool began;
};

static int lower_limit(void *context)
{
	struct lowering *lowering = context;

	spill_limit(lowering->spill, SPILL_MEMORY_MIN);
	lowering->began |= spill_began(lowering->spill);
	return 0;
}

/* Flows grow while packets are counted: what these leave may become too little for those that wait. */
Test(spill, what_a_flush_leaves_no_memory_for_goes_to_files)
{
	struct scene *scene = new_scene();
	struct digest digest = {0}, expected;
	struct lowering lowering = {0};
	bool spilled;

	make_scene(scene, 3, EVENTS_MAX, 1ull << 40);
	expected = join_spilling(scene, UINT64_MAX, 0, &spilled);
	cr_assert_eq(spilled, false);
	cr_assert_eq(spill_open(&lowering.spill, UINT64_MAX, take_journey, &digest), 0);
	spill_watch(lowering.spill, lower_limit, &lowering);
	cr_assert_eq(feed_spill(lowering.spill, scene->events, scene->count), 0);
	cr_assert_eq(spill_flush(lowering.spill), 0);
	cr_assert(lowering.began);
	cr_assert(digest.count == expected.count && digest.hash == expected.hash);
	spill_close(lowering.spill);
	free(scene);
}

/* The first journeys of the scene until it spills, and then all that is left. */
static int spill_scene(struct scene *scene, struct digest *digest)
{
	struct spill *spill;
	int err;

	make_scene(scene, 3, EVENTS_MAX, 1ull << 40);
	cr_assert_eq(spill_open(&spill, UINT64_MAX, take_journey, digest), 0);
	spill_limit(spill, SPILL_MEMORY_MIN);
	err = feed_spill(spill, scene->events, scene->count);
	if (!err)
		err = spill_flush(spill);
	spill_close(spill);
	return err;
}

Test(spill, says_what_its_taker_said)
{
	struct scene *scene = new_scene();
	struct digest digest = {.err = -EIO};

	cr_expect_eq(spill_scene(scene, &digest), -EIO);
	cr_expect(eq(sz, digest.count, 1));
	free(scene);
}

Test(spill, says_that_there_is_no_room)
{
	const struct rlimit limit = {16384, 16384};
	struct scene *scene = new_scene();
	struct digest digest = {0};

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(spill_scene(scene, &digest), -EFBIG);
	setenv("TMPDIR", "/nonexistent", 1);
	cr_expect_eq(spill_scene(scene, &digest), -ENOENT);
	free(scene);
}
