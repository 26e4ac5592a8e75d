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

/* A packet, and the same in few bytes: unless it is one of those that took too long for these. */
static bool make_packet(struct seat *seat, struct journey *journey, uint64_t number)
{
	*seat = (struct seat){.first_ns = 10000 * number, .few = HOPS + 1, .probes = {1, 2, 3}};
	for (uint32_t i = 0; i < HOPS; i++)
		seat->after_ns[i] = (i + 1) * (1000 + number * number % 50000);
	seat_journey(seat, journey);
	if (number % 100)
		return true;
	journey->few[HOPS].time_ns += (uint64_t)UINT32_MAX + number;
	return false;
}

/* Seats, sightings and packets that took very long; and the end to end durations of all. */
Test(tracks, of_any_length)
{
	for (uint64_t packets = 1; packets < 3000; packets = packets * 3 + 1) {
		struct tracks seats = {.nhops = HOPS}, seen = seats, sums[2] = {seats, seats};
		struct backlog backlog = {0};
		struct latency latency;
		__int128 sum = 0;

		for (uint64_t i = 0; i < packets; i++) {
			struct journey journey;
			struct seat seat;
			bool few_bytes = make_packet(&seat, &journey, i + 1);
			const struct sighting *few = journey.few;

			sum += few[HOPS].time_ns - few[0].time_ns;
			cr_assert(eq(int, tracks_add(&seen, few, &backlog), 0));
			cr_assert(eq(int,
				     few_bytes ? tracks_add_seat(&seats, &seat, &backlog)
					       : tracks_add(&seats, few, &backlog),
				     0));
		}
		cr_assert(eq(int, backlog_settle(&backlog), 0));
		cr_assert(eq(int, tracks_merge(&sums[0], &seats), 0));
		cr_assert(eq(int, tracks_merge(&sums[1], &seen), 0));
		check_same(&sums[0], &sums[1]);
		cr_assert(sums[0].settled->tracks[HOPS].hist.sum == sum);
		cr_assert(eq(u64, sums[0].settled->tracks[HOPS].hist.count, packets));
		cr_assert(eq(int, tracks_latency(&seats, &latency), 0));
		cr_assert(eq(u64, latency.count, packets));
		cr_assert(eq(i64, latency.max_ns, sums[0].settled->tracks[HOPS].hist.max));
		cr_assert(eq(i64, latency.mean_ns, hist_mean(sum, packets)));
		tracks_release(&seats);
		tracks_release(&seen);
		tracks_release(&sums[0]);
		tracks_release(&sums[1]);
	}
}
