// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>

#include "join_feed.h"

#define MAX 20000

struct record {
	uint64_t flow, key, first_ns;
	size_t count;
};

struct log {
	struct record *records;
	size_t count;
	uint64_t sightings; /* digest of all of them in order */
	int err;
};

static int log_journey(void *context, const struct seat *seat)
{
	const struct sighting *seen;
	struct log *log = context;
	struct journey journey;

	seat_journey(seat, &journey);
	seen = journey_sightings(&journey);
	cr_assert(log->count < MAX);
	log->records[log->count++] =
		(struct record){journey.flow, journey.key, seen[0].time_ns, journey.count};
	for (size_t i = 0; i < journey.count; i++)
		log->sightings = log->sightings * 31 + seen[i].time_ns * 7 + seen[i].probe * 3 +
				 seen[i].segment + seen[i].data * 5ull;
	return log->err;
}

static struct log new_log(void)
{
	return (struct log){.records = calloc(MAX, sizeof(struct record))};
}

static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (*seed >> 33) % limit;
}

/* The definition, word by word: for each event that no journey has, gather its journey. */
static void join_naively(const struct vnt_event *events, size_t count, uint64_t horizon_ns,
			 struct log *log)
{
	bool *taken = calloc(count, sizeof(*taken));

	for (size_t i = 0; i < count; i++) {
		struct record *record = &log->records[log->count];

		if (taken[i])
			continue;
		*record = (struct record){events[i].flow, events[i].key, events[i].time_ns, 0};
		log->count++;
		for (size_t k = i; k < count; k++) {
			if (events[k].time_ns - events[i].time_ns > horizon_ns)
				break;
			if (events[k].flow != events[i].flow || events[k].key != events[i].key)
				continue;
			taken[k] = true;
			record->count++;
			log->sightings = log->sightings * 31 + events[k].time_ns * 7 +
					 events[k].probe * 3 + events[k].segment;
			if (events[k].flags || events[k].segment)
				log->sightings += events[k].payload * 5ull;
		}
	}
	free(taken);
}

/* Few flows and keys, so that both repeat, within the horizon and beyond; long journeys too. Each event is
 * less than `step_ns` behind the one before. */
static void check_random(uint64_t seed, size_t count, uint64_t keys, uint64_t horizon_ns,
			 uint64_t step_ns)
{
	struct vnt_event *events = calloc(count, sizeof(*events));
	struct log naive = new_log(), log = new_log();
	uint64_t time_ns = 0;
	struct join *join;

	for (size_t i = 0; i < count; i++) {
		time_ns += random_below(&seed, step_ns);
		events[i].time_ns = time_ns;
		events[i].flow = random_below(&seed, 3);
		events[i].key = random_below(&seed, keys);
		events[i].probe = random_below(&seed, 5);
		events[i].segment = random_below(&seed, 8) ? 0 : random_below(&seed, 4);
		events[i].flags = random_below(&seed, 2) * VNT_PACKET_TCP_DATA;
		events[i].payload = random_below(&seed, 8) ? 7 : 9;
	}
	join_naively(events, count, horizon_ns, &naive);
	cr_assert(eq(int, join_open(&join, horizon_ns, log_journey, &log), 0));
	for (size_t done = 0, n; done < count; done += n) {
		n = 1 + random_below(&seed, 50);
		if (n > count - done)
			n = count - done;
		cr_assert(eq(int, feed_join(join, events + done, n), 0));
	}
	cr_assert(eq(int, join_flush(join), 0));
	join_close(join);
	cr_assert(eq(sz, log.count, naive.count));
	for (size_t i = 0; i < log.count; i++) {
		cr_assert(eq(u64, log.records[i].flow, naive.records[i].flow));
		cr_assert(eq(u64, log.records[i].key, naive.records[i].key));
		cr_assert(eq(u64, log.records[i].first_ns, naive.records[i].first_ns));
		cr_assert(eq(sz, log.records[i].count, naive.records[i].count));
	}
	cr_assert(eq(u64, log.sightings, naive.sightings));
	free(events);
	free(log.records);
	free(naive.records);
}

Test(join, agrees_with_the_definition)
{
	check_random(1, 3000, 10, 300, 20);
	check_random(2, 3000, 1000, 10000, 20);
	check_random(3, 3000, 300, 5, 20);
	check_random(4, 5000, 100000, 30000, 20);           /* the ring grows */
	check_random(5, 20000, 50, 100, 20);                /* ... and is used again */
	check_random(6, 3000, 100, 1ull << 40, 1ull << 28); /* longer than 32 bits hold */
}

Test(join, flow_and_key_both_count)
{
	const struct vnt_event events[] = {
		{.time_ns = 1, .flow = 1, .key = 2}, {.time_ns = 2, .flow = 2, .key = 1},
		{.time_ns = 3, .flow = 1, .key = 1}, {.time_ns = 4, .flow = 0, .key = 0},
		{.time_ns = 5, .flow = 1, .key = 2},
	};
	struct log log = new_log();
	struct join *join;

	cr_assert(eq(int, join_open(&join, 100, log_journey, &log), 0));
	cr_assert(eq(int, feed_join(join, events, 5), 0));
	cr_assert(eq(int, join_flush(join), 0));
	cr_assert(eq(sz, log.count, 4));
	cr_assert(eq(sz, log.records[0].count, 2));
	join_close(join);
	free(log.records);
}

Test(join, ends_when_the_horizon_has_passed)
{
	const struct vnt_event events[] = {{.time_ns = 1000},
					   {.time_ns = 1100},
					   {.time_ns = 1101},
					   {.time_ns = 1102, .key = 1}};
	struct log log = new_log();
	struct join *join;

	cr_assert(eq(int, join_open(&join, 100, log_journey, &log), 0));
	cr_assert(eq(int, feed_join(join, events, 2), 0));
	cr_assert(eq(sz, log.count, 0)); /* exactly the horizon is within it */
	cr_assert(eq(int, feed_join(join, events + 2, 2), 0));
	cr_assert(eq(sz, log.count, 1));
	cr_assert(eq(sz, log.records[0].count, 2));
	cr_assert(eq(int, join_flush(join), 0));
	cr_assert(eq(sz, log.count, 3));
	join_close(join);
	free(log.records);
}

Test(join, time_does_not_run_backwards)
{
	const struct vnt_event events[] = {
		{.time_ns = 5000}, {.time_ns = 10, .key = 1}, {.time_ns = UINT64_MAX, .key = 2}};
	struct log log = new_log();
	struct join *join;

	cr_assert(eq(int, join_open(&join, UINT64_MAX, log_journey, &log), 0));
	cr_assert(eq(int, feed_join(join, events, 3), 0));
	cr_assert(eq(int, join_flush(join), 0));
	cr_assert(eq(sz, log.count, 3));
	cr_assert(eq(u64, log.records[1].first_ns, 5000));
	join_close(join);
	free(log.records);
}

Test(join, passes_errors_on)
{
	const struct vnt_event events[] = {{.time_ns = 1}, {.time_ns = 1000, .key = 1}};
	struct log log = new_log();
	struct join *join;

	log.err = -EIO;
	cr_assert(eq(int, join_open(&join, 10, log_journey, &log), 0));
	cr_assert(eq(int, feed_join(join, events, 2), -EIO));
	join_close(join);
	join_close(NULL);
	free(log.records);
}
