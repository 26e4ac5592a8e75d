// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/tracks.h"

#define PACKETS 20000
#define PATHS   5
#define HOPS    2

struct scene {
	struct backlog backlog;
	struct tracks tracks[PATHS];
};

/* Packets of all paths in turns; every tenth overtakes the one of its path before. The last path is
 * forgotten again and again. */
static void run(struct scene *scene, struct pool *pool)
{
	*scene = (struct scene){.backlog.pool = pool};
	for (size_t i = 0; i < PATHS; i++)
		scene->tracks[i].nhops = HOPS;
	for (uint64_t i = 0; i < PACKETS; i++) {
		uint64_t time_ns = 1000 * i, hop_ns = i / PATHS % 10 ? 6000 + i % 7 : 100;
		const struct sighting seen[] = {
			{.time_ns = time_ns},
			{.time_ns = time_ns + hop_ns},
			{.time_ns = time_ns + 2 * hop_ns},
		};

		if (i % (PACKETS / 8) == 0)
			tracks_drop(&scene->tracks[PATHS - 1], &scene->backlog);
		cr_assert(eq(int, tracks_add(&scene->tracks[i % PATHS], seen, &scene->backlog), 0));
	}
	cr_assert(eq(int, backlog_settle(&scene->backlog), 0));
}

static void check_same(struct tracks *sum, struct tracks *other)
{
	for (int i = 0; i <= HOPS; i++) {
		struct latency a, b;

		track_latency(&sum->settled->tracks[i], &a);
		track_latency(&other->settled->tracks[i], &b);
		cr_assert(eq(u64, a.count, b.count));
		cr_assert(eq(i64, a.mean_ns, b.mean_ns));
		cr_assert(eq(i64, a.p99_ns, b.p99_ns));
		cr_assert(eq(i64, a.jitter_ns, b.jitter_ns));
	}
	cr_assert(eq(u64, sum->settled->reorder.reordered, other->settled->reorder.reordered));
}

Test(tracks, threads_make_no_difference)
{
	struct tracks sums[2][PATHS] = {0};
	static struct scene scenes[2];
	struct pool *pool;

	cr_assert(eq(int, pool_open(&pool), 0));
	cr_assert(eq(int, pool_grow(pool, 3), 0));
	run(&scenes[0], NULL);
	run(&scenes[1], pool);
	for (int i = 0; i < PATHS; i++) {
		for (int k = 0; k < 2; k++) {
			sums[k][i].nhops = HOPS;
			cr_assert(eq(int, tracks_merge(&sums[k][i], &scenes[k].tracks[i]), 0));
		}
		check_same(&sums[0][i], &sums[1][i]);
		cr_assert(eq(u64, sums[0][i].settled->tracks[0].hist.count,
			     i < PATHS - 1 ? PACKETS / PATHS : PACKETS / PATHS / 8));
		cr_assert(gt(u64, sums[0][i].settled->reorder.reordered, 0));
		for (int k = 0; k < 2; k++) {
			tracks_release(&sums[k][i]);
			tracks_release(&scenes[k].tracks[i]);
		}
	}
	pool_close(pool);
}
