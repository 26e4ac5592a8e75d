// SPDX-License-Identifier: GPL-2.0-only
/* How many events a second one core joins to journeys and counts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/legs.h"
#include "lib/stats.h"

#define PACKETS    1000000
#define PROBES     6
#define SPACING_NS 500
#define REPLAYS    4
#define ROUNDS     3

static uint64_t seed = 1;

static uint64_t random_below(uint64_t limit)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % limit;
}

static int compare_events(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* A few flows carry most packets: as many have a number of n digits as one of n + 1. */
static uint64_t random_flow(void)
{
	uint64_t limit = 1;

	for (uint64_t digits = random_below(4); digits; digits--)
		limit *= 10;
	return random_below(limit);
}

/* Four to six probes a packet, as its flow decides; one in a hundred packets is lost on the way. */
static size_t generate(struct vnt_event *events)
{
	size_t count = 0;

	for (uint64_t i = 0; i < PACKETS; i++) {
		uint64_t flow = random_flow(), time_ns = 1000000 + i * SPACING_NS;
		size_t seen = 4 + flow % 3;

		if (!random_below(100))
			seen -= 2;
		for (size_t k = 0; k < seen; k++) {
			events[count++] = (struct vnt_event){
				.time_ns = time_ns,
				.flow = (flow + 1) * 0x9e3779b97f4a7c15ull,
				.key = i * 0xd1342543de82ef95ull,
				.length = 60 + random_below(1440),
				.probe = k,
				.cpu = flow % 4,
				.packet = i + 1,
			};
			time_ns += 1000 + random_below(random_below(20) ? 4000 : 100000);
		}
	}
	qsort(events, count, sizeof(*events), compare_events);
	return count;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The same packets once more, later and with other keys. */
static void shift(struct vnt_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		events[i].time_ns += (uint64_t)PACKETS * SPACING_NS * 2;
		events[i].key++;
	}
}

static int put_some(struct stats *stats, struct legs_maker *maker, const struct vnt_event *events,
		    size_t count)
{
	static const uint16_t probes[PROBES] = {0, 1, 2, 3, 4, 5};
	static const struct timeline timeline;
	static struct legs legs;
	struct batch batch = {.type = BATCH_COUNTS};
	size_t near = 0;
	int err = legs.room ? 0 : legs_open(&legs, LEGS_EVENTS);

	if (err)
		return err;
	batch.counts = legs.counts;
	legs_make(maker, &legs, events, count, &timeline, &near, probes);
	batch.count = legs.ncounts;
	err = stats_put(stats, &batch);
	batch = (struct batch){.type = BATCH_LEGS, .count = legs.count, .legs = legs.legs};
	return err ? err : stats_put(stats, &batch);
}

static int put_all(struct stats *stats, const struct vnt_event *events, size_t count)
{
	static struct legs_maker maker = {.span_ns = UINT32_MAX};
	int err = 0;

	for (size_t done = 0, n; done < count && !err; done += n) {
		n = count - done < LEGS_EVENTS ? count - done : LEGS_EVENTS;
		err = put_some(stats, &maker, events + done, n);
	}
	return err;
}

static int measure(const struct trace_info *info, struct vnt_event *events, size_t count,
		   uint64_t horizon_ns)
{
	struct report report = {0};
	struct stats *stats;
	double begin, total = 0;
	int err = stats_open(&stats, info, horizon_ns);

	for (int i = 0; i < REPLAYS && !err; i++) {
		begin = seconds();
		err = put_all(stats, events, count);
		total += seconds() - begin;
		shift(events, count);
	}
	begin = seconds();
	if (!err)
		err = stats_report(stats, &report);
	total += seconds() - begin;
	if (!err)
		printf("%.1f M events/s, %llu packets in flight (%llu complete)\n",
		       (double)count * REPLAYS / total / 1e6,
		       (unsigned long long)(horizon_ns / SPACING_NS),
		       (unsigned long long)report.complete);
	report_release(&report);
	stats_close(stats);
	return err;
}

int main(void)
{
	static const uint64_t horizons_ns[] = {2000000, 100000000};
	struct domain domains[3] = {{.name = "h1"}, {.name = "sw"}, {.name = "h2"}};
	struct probe probes[PROBES];
	struct trace_info info = {
		.domains = domains, .ndomains = 3, .probes = probes, .nprobes = PROBES};
	struct vnt_event *events = calloc(PACKETS * PROBES, sizeof(*events));
	size_t count;
	int err = 0;

	if (!events)
		return 1;
	memset(probes, 0, sizeof(probes));
	for (size_t i = 0; i < PROBES; i++) {
		snprintf(probes[i].name, sizeof(probes[i].name), "dev:eth%zu:rx", i);
		probes[i].domain = i / 2;
	}
	count = generate(events);
	for (int round = 0; round < ROUNDS && !err; round++) {
		for (size_t i = 0; i < sizeof(horizons_ns) / sizeof(horizons_ns[0]) && !err; i++)
			err = measure(&info, events, count, horizons_ns[i]);
	}
	free(events);
	return err ? 1 : 0;
}
