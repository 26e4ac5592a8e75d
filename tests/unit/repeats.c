// SPDX-License-Identifier: GPL-2.0-only
/* Packets that are counted in short, because they went the way of the one before, count as any. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/stats_private.h"
#include "stats_feed.h"

#define DOMAINS    2
#define PROBES     12
#define FLOWS      5
#define PACKETS    2000
#define EVENTS     (PACKETS * PROBES * 2)
#define HORIZON_NS 1000000

struct scene {
	uint64_t seed;
	struct domain domains[DOMAINS];
	struct probe probes[PROBES];
	struct trace_info info;
	struct vnt_event events[EVENTS];
	size_t count;
};

static uint64_t random_below(struct scene *scene, uint64_t limit)
{
	scene->seed = scene->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (scene->seed >> 33) % limit;
}

/* From one probe of the flow's to the next; some are not seen everywhere, some come twice. */
static void send_packet(struct scene *scene, uint64_t number)
{
	uint64_t flow = random_below(scene, FLOWS), time_ns = 1000000 + 5000 * number;
	uint64_t length = flow ? 2 * flow : PROBES; /* one with more probes than a seat has */
	unsigned int times = random_below(scene, 50) ? 1 : 2;

	for (uint64_t i = 0; i < length * times; i++) {
		if (random_below(scene, 30))
			scene->events[scene->count++] = (struct vnt_event){
				.time_ns = time_ns,
				.flow = flow,
				.key = number,
				.length = 100 + random_below(scene, 1000),
				.probe = (flow + i % length) % PROBES,
			};
		time_ns += random_below(scene, random_below(scene, 100) ? 100 : 50000);
	}
}

static int compare_events(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	return a->key != b->key ? (a->key > b->key ? 1 : -1) : 0;
}

static void make_scene(struct scene *scene, uint64_t seed)
{
	*scene = (struct scene){.seed = seed};
	scene->info = (struct trace_info){scene->domains, DOMAINS, scene->probes, PROBES};
	for (size_t i = 0; i < DOMAINS; i++)
		snprintf(scene->domains[i].name, sizeof(scene->domains[i].name), "d%zu", i);
	for (size_t i = 0; i < PROBES; i++) {
		snprintf(scene->probes[i].name, sizeof(scene->probes[i].name), "p%zu", i);
		scene->probes[i].domain = i % DOMAINS;
	}
	for (uint64_t i = 0; i < PACKETS; i++)
		send_packet(scene, i);
	qsort(scene->events, scene->count, sizeof(*scene->events), compare_events);
}

/* Now and then a probe starts or ends. */
static void put(struct scene *scene, struct stats *stats)
{
	for (size_t done = 0, n; done < scene->count; done += n) {
		const struct epoch_row row = {.time_ns = scene->events[done].time_ns,
					      .probe = random_below(scene, PROBES),
					      .active = random_below(scene, 2)};
		const struct batch epoch = {.type = BATCH_EPOCHS, .count = 1, .epochs = &row};
		struct batch batch = {.type = BATCH_EVENTS, .events = scene->events + done};

		n = 1 + random_below(scene, 300);
		if (n > scene->count - done)
			n = scene->count - done;
		batch.count = n;
		cr_assert_eq(feed_stats(stats, &epoch), 0);
		cr_assert_eq(feed_stats(stats, &batch), 0);
	}
}

/* The JSON of the report. What flows with super-packets do is looked at before it counts; here there are
 * none, but if they are expected no packet is counted in short. */
static char *report_scene(uint64_t seed, bool expect, uint64_t *repeats)
{
	static struct scene scene;
	struct stats *stats;
	char *text;

	make_scene(&scene, seed);
	cr_assert_eq(stats_open(&stats, &scene.info, HORIZON_NS), 0);
	for (uint64_t flow = 0; flow < FLOWS && expect; flow++)
		cr_assert_eq(segments_expect(stats->segments, flow, 0), 0);
	put(&scene, stats);
	text = feed_report(stats);
	*repeats = 0;
	for (size_t i = 0; i < stats->flows.paths.count; i++)
		*repeats += stats->flows.paths.paths[i].packets;
	stats_close(stats);
	return text;
}

Test(repeats, count_as_any_packet)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t repeats, none;
		char *some = report_scene(seed, false, &repeats);
		char *all = report_scene(seed, true, &none);

		cr_assert_eq(strcmp(some, all), 0, "seed %llu", (unsigned long long)seed);
		cr_assert(repeats > PACKETS / 4 && repeats < PACKETS / 4 * 3, "%llu",
			  (unsigned long long)repeats);
		cr_assert_eq(none, 0);
		free(some);
		free(all);
	}
}
