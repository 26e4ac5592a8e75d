// SPDX-License-Identifier: GPL-2.0-only
/* Equal datagrams of which IP IDs are guesses, held against a plain search of all pairs. */
#include <criterion/criterion.h>

#include "cpu_limit.h"
#include "lib/segments.h"

#define HORIZON_NS 1000
#define PIECES     300

static uint32_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % limit;
}

struct scene {
	struct journey pieces[PIECES];
	bool guessed[PIECES];
	uint32_t met[PIECES];   /* probes, bit by bit */
	uint32_t mates[PIECES]; /* how many it may be the same as */
	uint32_t mate[PIECES];  /* the last of them */
	uint64_t last_ns[PIECES];
	bool out[PIECES];
};

static void make_scene(struct scene *scene)
{
	uint64_t time_ns = 5000;

	memset(scene, 0, sizeof(*scene));
	for (uint32_t i = 0; i < PIECES; i++) {
		struct journey *piece = &scene->pieces[i];
		uint32_t probe = random_below(3);

		time_ns += 1 + random_below(300);
		piece->flow = 77;
		piece->payload = 10;
		piece->key = (uint64_t)random_below(8) << 16 | i;
		piece->count = 1 + random_below(2);
		scene->guessed[i] = random_below(2);
		for (uint32_t k = 0; k < piece->count; k++) {
			piece->few[k] = (struct sighting){.time_ns = time_ns + 100 * k,
							  .probe = probe + k,
							  .segment = scene->guessed[i] ? 10 : 0};
			scene->met[i] |= 1u << (probe + k);
		}
	}
}

static bool may_be_one(const struct scene *scene, uint32_t a, uint32_t b)
{
	const struct journey *left = &scene->pieces[a], *right = &scene->pieces[b];
	int64_t apart = right->few[0].time_ns - left->few[0].time_ns;

	return a != b && (scene->guessed[a] || scene->guessed[b]) &&
	       !(scene->met[a] & scene->met[b]) && left->key >> 16 == right->key >> 16 &&
	       apart >= -HORIZON_NS && apart <= HORIZON_NS;
}

static void find_mates(struct scene *scene)
{
	for (uint32_t a = 0; a < PIECES; a++)
		for (uint32_t b = 0; b < PIECES; b++)
			if (may_be_one(scene, a, b)) {
				scene->mates[a]++;
				scene->mate[a] = b;
				scene->last_ns[a] = scene->pieces[b].few[0].time_ns;
			}
}

/* All that could be known as it was handed out: what comes a horizon later than the older one could not. */
static void check_joined(struct scene *scene, const struct journey *journey, uint32_t i)
{
	uint32_t mate = scene->mate[i], count = scene->pieces[i].count + scene->pieces[mate].count;
	const struct sighting *seen = journey_sightings(journey);

	cr_assert(scene->mates[i] == 1 && mate > i && !scene->out[mate]);
	cr_assert(scene->mates[mate] == 1 || scene->last_ns[mate] > HORIZON_NS + seen[0].time_ns);
	cr_assert(!journey->undecided && journey->count == count);
	for (uint32_t k = 1; k < count; k++)
		cr_assert_geq(seen[k].time_ns, seen[k - 1].time_ns);
	scene->out[mate] = true;
}

static int take(void *context, const struct journey *journey)
{
	uint64_t time_ns = journey_sightings(journey)->time_ns;
	struct scene *scene = context;
	uint32_t i = 0;

	while (i < PIECES && scene->pieces[i].few[0].time_ns != time_ns)
		i++;
	cr_assert(i < PIECES && !scene->out[i]);
	scene->out[i] = true;
	if (journey->count > scene->pieces[i].count) {
		check_joined(scene, journey, i);
		return 0;
	}
	cr_assert_eq(journey->undecided, scene->mates[i] > 0);
	cr_assert(scene->mates[i] != 1 || scene->mates[scene->mate[i]] != 1);
	return 0;
}

Test(segments_udp, datagrams_are_joined_if_they_can_be_no_others)
{
	for (uint32_t round = 1; round < 400; round++) {
		struct segments *segments;
		struct scene scene;

		seed = round;
		make_scene(&scene);
		find_mates(&scene);
		cr_assert_eq(segments_open(&segments, HORIZON_NS, take, &scene), 0);
		cr_assert_eq(segments_expect(segments, 77, 0), 0);
		for (uint32_t i = 0; i < PIECES; i++)
			cr_assert_eq(segments_put(segments, &scene.pieces[i]), 0);
		cr_assert_eq(segments_flush(segments), 0);
		segments_close(segments);
		for (uint32_t i = 0; i < PIECES; i++)
			cr_assert(scene.out[i]);
	}
}

static int count_undecided(void *context, const struct journey *journey)
{
	*(uint32_t *)context += journey->undecided;
	return 0;
}

/* So many equal ones, each known at two probes, and last one of which the guess at the second probe is wrong. */
static uint32_t undecided_of(uint32_t count)
{
	struct segments *segments;
	uint32_t undecided = 0;

	cr_assert_eq(segments_open(&segments, 1000000, count_undecided, &undecided), 0);
	cr_assert_eq(segments_expect(segments, 77, 0), 0);
	for (uint32_t i = 0; i < count + 2; i++) {
		bool whole = i<count, guess = i> count;
		struct journey journey = {
			.flow = 77,
			.payload = 10,
			.key = 5 << 16 | i,
			.count = whole ? 2 : 1,
			.few = {{.time_ns = i + 1, .probe = guess, .segment = guess ? 10 : 0},
				{.time_ns = i + 1, .probe = 1}}};

		cr_assert_eq(segments_put(segments, &journey), 0);
	}
	cr_assert_eq(segments_flush(segments), 0);
	segments_close(segments);
	return undecided;
}

Test(segments_udp, equal_datagrams_by_the_thousand_take_no_time, .init = limit_cpu)
{
	cr_assert_eq(undecided_of(3000), 0);
	cr_assert_eq(undecided_of(65000), 2);
}
