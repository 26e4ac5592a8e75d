// SPDX-License-Identifier: GPL-2.0-only
/* The report does not depend on memory and threads: not a byte of it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>

#include "lib/pool.h"
#include "stats_feed.h"

#define DOMAINS    3
#define PROBES     6
#define ROUNDS     60
#define EVENTS     500 /* of a round */
#define PACKETS    3000
#define HORIZON_NS 400000

struct scene {
	uint64_t seed;
	uint64_t time_ns;
	struct domain domains[DOMAINS];
	struct probe probes[PROBES];
	struct trace_info info;
	struct vnt_event events[EVENTS];
	struct vnt_event packets[PACKETS]; /* under way */
};

static uint64_t random_below(struct scene *scene, uint64_t limit)
{
	scene->seed = scene->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (scene->seed >> 33) % limit;
}

static void make_scene(struct scene *scene, uint64_t seed)
{
	*scene = (struct scene){.seed = seed, .time_ns = 1000};
	scene->info = (struct trace_info){scene->domains, DOMAINS, scene->probes, PROBES};
	for (size_t i = 0; i < DOMAINS; i++)
		snprintf(scene->domains[i].name, sizeof(scene->domains[i].name), "d%zu", i);
	for (size_t i = 0; i < PROBES; i++) {
		snprintf(scene->probes[i].name, sizeof(scene->probes[i].name), "p%zu", i);
		scene->probes[i].domain = i / 2;
	}
}

/* Where probe 1 sees one that is a super-packet further on, or was one before. */
static void make_super_packet(struct scene *scene, struct vnt_event *event)
{
	if (event->probe != 1 || event->flow % 2 || scene->time_ns < 300000)
		return;
	event->segment = 60;
	event->payload = 60 * (1 + random_below(scene, 3));
	event->length = 40 + event->payload;
}

/* Packets go from probe to probe, some get lost, and the last domain is not there from the start. */
static struct batch make_events(struct scene *scene, size_t round)
{
	uint16_t probes = round > ROUNDS / 2 ? PROBES : PROBES - 2;

	for (size_t i = 0; i < EVENTS; i++) {
		struct vnt_event *packet = &scene->packets[random_below(scene, PACKETS)];

		if (!packet->length || packet->probe >= probes)
			*packet = (struct vnt_event){
				.flow = random_below(scene, 8),
				.key = random_below(scene, 1ull << 31) << 20,
				.length = 100,
				.payload = 60,
				.flags = random_below(scene, 2) * VNT_PACKET_TCP_DATA,
			};
		scene->time_ns += random_below(scene, 40);
		packet->time_ns = scene->time_ns;
		scene->events[i] = *packet;
		make_super_packet(scene, &scene->events[i]);
		packet->probe += random_below(scene, 10) ? 1 : 1 + random_below(scene, PROBES);
	}
	return (struct batch){.type = BATCH_EVENTS, .count = EVENTS, .events = scene->events};
}

/* A probe starts, ends, or samples from now on. */
static struct epoch_row make_epoch(struct scene *scene)
{
	return (struct epoch_row){
		.time_ns = scene->time_ns,
		.probe = random_below(scene, PROBES),
		.active = random_below(scene, 3) != 0,
		.sampling = random_below(scene, 4) ? 0 : UINT32_MAX - (1u << 30),
	};
}

/* The JSON of the report. `memory` 0: no limit. */
static char *report_scene(uint64_t seed, size_t memory, struct pool *pool)
{
	static struct scene scene;
	struct stats *stats;
	char *text;

	make_scene(&scene, seed);
	cr_assert_eq(stats_open(&stats, &scene.info, HORIZON_NS), 0);
	if (memory)
		stats_limit(stats, memory);
	if (pool)
		stats_use(stats, pool);
	for (size_t round = 0; round < ROUNDS; round++) {
		struct epoch_row epoch = make_epoch(&scene);
		struct batch batch = {.type = BATCH_EPOCHS, .count = 1, .epochs = &epoch};
		const struct flow_row flow = {.hash = round % 8, .flow = {.sport = round}};

		cr_assert_eq(feed_stats(stats, &batch), 0);
		batch = (struct batch){.type = BATCH_FLOWS, .count = 1, .flows = &flow};
		cr_assert_eq(feed_stats(stats, &batch), 0);
		batch = make_events(&scene, round);
		cr_assert_eq(feed_stats(stats, &batch), 0);
	}
	text = feed_report(stats);
	stats_close(stats);
	return text;
}

Test(stats_memory, does_not_show)
{
	struct pool *pool;

	cr_assert_eq(pool_open(&pool), 0);
	cr_assert_eq(pool_grow(pool, 2), 0);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		char *all = report_scene(seed, 0, NULL);
		char *few = report_scene(seed, STATS_MEMORY_MIN, seed % 2 ? pool : NULL);
		char *some = report_scene(seed, 3 * STATS_MEMORY_MIN, NULL);
		char *threads = report_scene(seed, 0, pool);

		cr_expect_eq(strcmp(few, all), 0, "seed %llu", (unsigned long long)seed);
		cr_expect_eq(strcmp(some, all), 0, "seed %llu", (unsigned long long)seed);
		cr_expect_eq(strcmp(threads, all), 0, "seed %llu", (unsigned long long)seed);
		free(all);
		free(few);
		free(some);
		free(threads);
	}
	pool_close(pool);
}

static int refuse(void *context)
{
	++*(int *)context;
	return -EDQUOT;
}

/* Flows and paths may be too much even if no packet ever was. */
Test(stats_memory, whoever_watches_ends_the_report)
{
	static struct scene scene;
	struct report report;
	struct stats *stats;
	struct batch batch;
	int calls = 0;

	make_scene(&scene, 1);
	batch = make_events(&scene, 0);
	cr_assert_eq(stats_open(&stats, &scene.info, HORIZON_NS), 0);
	stats_watch(stats, refuse, &calls);
	cr_assert_eq(feed_stats(stats, &batch), 0);
	cr_assert_eq(stats_report(stats, &report), -EDQUOT);
	cr_assert_eq(calls, 1);
	stats_close(stats);
}
