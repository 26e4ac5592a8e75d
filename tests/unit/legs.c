// SPDX-License-Identifier: GPL-2.0-only
/*
 * Journeys joined from the legs that blocks of random traffic in several traces are decoded to, against the
 * definition: by event, in order of time, and at the same time in that of the traces.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "lib/columns.h"
#include "lib/legs.h"
#include "lib/map.h"
#include "lib/spill.h"

#define INPUTS     3
#define PROBES     4 /* of each input */
#define EVENTS_MAX 6000
#define PACKETS    64 /* of each input, at a time */

/* An event, and where it comes from. */
struct seen {
	struct vnt_event event;
	unsigned int input;
	size_t at;
	bool taken;
};

/* A journey: what it is of, and a digest of its sightings in their order. */
struct record {
	uint64_t first_ns;
	uint64_t flow;
	uint64_t key;
	uint64_t length;
	uint64_t sightings;
};

struct records {
	struct record rows[INPUTS * EVENTS_MAX];
	size_t count;
	uint64_t order; /* digest of all of them */
};

struct scene {
	uint64_t seed;
	struct vnt_event events[INPUTS][EVENTS_MAX];
	size_t count; /* of each input */
	struct seen seen[INPUTS * EVENTS_MAX];
	struct leg legs[INPUTS * EVENTS_MAX];
	size_t nlegs;
	struct probe probes[INPUTS * PROBES];
	struct timeline timelines[INPUTS]; /* from the clock of each trace */
};

static uint64_t random_below(struct scene *scene, uint64_t limit)
{
	scene->seed = scene->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (scene->seed >> 33) % limit;
}

/* Few packets, that all inputs see. Now and then one is sent again, not always as it was. */
static void make_input(struct scene *scene, unsigned int input, uint64_t step_ns)
{
	uint64_t time_ns = 1000 + random_below(scene, 10 * step_ns);
	struct vnt_event packets[PACKETS];

	for (size_t i = 0; i < scene->count; i++) {
		uint64_t key = i < PACKETS ? i : random_below(scene, PACKETS);

		if (i < PACKETS || !random_below(scene, 8))
			packets[key] = (struct vnt_event){
				.flow = key % 3,
				.key = key,
				.length = 100 + random_below(scene, 2),
				.payload = 50 + random_below(scene, 2),
				.flags = random_below(scene, 4) ? 0 : VNT_PACKET_TCP_DATA,
				.segment = random_below(scene, 16) ? 0 : 10,
			};
		time_ns += random_below(scene, 3) ? 0 : random_below(scene, step_ns);
		scene->events[input][i] = packets[key];
		scene->events[input][i].time_ns = time_ns;
		scene->events[input][i].probe = random_below(scene, PROBES);
	}
}

/* Each clock is off, and in the middle it stops for a while. */
static void make_clock(struct scene *scene, unsigned int input, uint64_t step_ns)
{
	const struct vnt_event *middle = &scene->events[input][scene->count / 2];
	uint64_t off_ns = random_below(scene, 4 * step_ns), stop_ns = random_below(scene, 100);
	struct timeline *timeline = &scene->timelines[input];

	timeline_release(timeline);
	cr_assert_eq(timeline_add(timeline, 0, off_ns), 0);
	cr_assert_eq(timeline_add(timeline, middle->time_ns, middle->time_ns + off_ns), 0);
	cr_assert_eq(timeline_add(timeline, middle->time_ns + 1,
				  middle->time_ns + 1 + off_ns + stop_ns * step_ns),
		     0);
}

static int compare_seen(const void *left, const void *right)
{
	const struct seen *a = left, *b = right;

	if (a->event.time_ns != b->event.time_ns)
		return a->event.time_ns > b->event.time_ns ? 1 : -1;
	if (a->input != b->input)
		return a->input > b->input ? 1 : -1;
	return (a->at > b->at) - (a->at < b->at);
}

static uint64_t digest_sighting(uint64_t digest, uint64_t time_ns, unsigned int probe,
				unsigned int segment, uint32_t data)
{
	digest = map_hash(digest, time_ns);
	return map_hash(digest, (uint64_t)probe << 48 | (uint64_t)segment << 32 | data);
}

static uint32_t data_of(const struct vnt_event *event)
{
	return event->flags & VNT_PACKET_TCP_DATA || event->segment ? event->payload : 0;
}

/* The definition: for each event that no journey has, gather its journey. */
static void join_naively(struct scene *scene, uint64_t horizon_ns, struct records *records)
{
	size_t count = 0, near = 0;

	for (unsigned int input = 0; input < INPUTS; input++) {
		for (size_t i = 0; i < scene->count; i++) {
			struct seen *seen = &scene->seen[count++];

			*seen = (struct seen){scene->events[input][i], input, i, false};
			seen->event.probe += input * PROBES;
			seen->event.time_ns =
				timeline_map(&scene->timelines[input], &near, seen->event.time_ns);
		}
	}
	qsort(scene->seen, count, sizeof(*scene->seen), compare_seen);
	records->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct vnt_event *first = &scene->seen[i].event;
		struct record *record = &records->rows[records->count];

		if (scene->seen[i].taken)
			continue;
		records->count++;
		*record =
			(struct record){first->time_ns, first->flow, first->key, first->length, 0};
		for (size_t k = i; k < count; k++) {
			struct vnt_event *event = &scene->seen[k].event;

			if (event->time_ns - first->time_ns > horizon_ns)
				break;
			if (event->key != first->key || event->flow != first->flow)
				continue;
			scene->seen[k].taken = true;
			record->sightings = digest_sighting(record->sightings, event->time_ns,
							    event->probe, event->segment,
							    data_of(event));
		}
	}
}

/* In order of the first event; of the same time they come in that of the inputs. */
static int compare_legs(const void *left, const void *right)
{
	const struct leg *a = left, *b = right;

	if (a->first_ns != b->first_ns)
		return a->first_ns > b->first_ns ? 1 : -1;
	return (a->number > b->number) - (a->number < b->number);
}

/* Those of a block, taken so many events at a time. */
static void decode_legs(struct scene *scene, const struct legs_shape *shape,
			const struct vnt_event *events, size_t count, size_t room)
{
	static uint8_t payload[COLUMNS_MAX];
	struct vnt_block block = {
		.rows = count, .first_ns = events[0].time_ns, .last_ns = events[count - 1].time_ns};
	struct encoder *encoder;
	struct decoder *decoder;
	struct legs legs = {0};
	size_t size, sightings = 0, counted = 0;
	int got;

	cr_assert_eq(encoder_open(&encoder), 0);
	size = encoder_run(encoder, events, count, payload);
	encoder_close(encoder);
	cr_assert_eq(decoder_open(&decoder), 0);
	cr_assert_eq(decoder_begin(decoder, payload, size, &block, PROBES), 0);
	cr_assert_eq(legs_open(&legs, room), 0);
	while ((got = decoder_next_legs(decoder, shape, &legs, room)) > 0) {
		for (size_t i = 0; i < legs.count; i++) {
			sightings += legs.legs[i].count;
			scene->legs[scene->nlegs] = legs.legs[i];
			scene->legs[scene->nlegs].number = scene->nlegs;
			scene->nlegs++;
		}
		for (size_t i = 0; i < legs.ncounts; i++)
			counted += legs.counts[i].events;
	}
	cr_assert_eq(got, 0);
	cr_assert(eq(sz, sightings, count));
	cr_assert(eq(sz, counted, count));
	legs_close(&legs);
	decoder_close(decoder);
}

/* All inputs', of blocks of random size. */
static void make_legs(struct scene *scene, uint64_t span_ns, size_t part_max)
{
	scene->nlegs = 0;
	for (uint16_t input = 0; input < INPUTS; input++) {
		uint16_t probes[PROBES];
		const struct legs_shape shape = {
			.span_ns = span_ns < UINT32_MAX ? span_ns : UINT32_MAX,
			.timeline = &scene->timelines[input],
			.probes = probes,
		};

		for (uint16_t i = 0; i < PROBES; i++) {
			probes[i] = input * PROBES + i;
			scene->probes[probes[i]].input = input;
		}
		for (size_t done = 0, n; done < scene->count; done += n) {
			n = 1 + random_below(scene, 3 * part_max);
			n = n < scene->count - done ? n : scene->count - done;
			decode_legs(scene, &shape, scene->events[input] + done, n, part_max);
		}
	}
	qsort(scene->legs, scene->nlegs, sizeof(*scene->legs), compare_legs);
	for (size_t i = 0; i < scene->nlegs; i++)
		scene->legs[i].number = i;
}

static int take_journey(void *context, const struct seat *seat)
{
	struct records *records = context;
	struct record *record = &records->rows[records->count++];
	const struct sighting *seen;
	struct journey journey;

	seat_journey(seat, &journey);
	seen = journey_sightings(&journey);
	*record = (struct record){seen->time_ns, journey.flow, journey.key, journey.length, 0};
	cr_assert(records->count == 1 || record[-1].first_ns <= record->first_ns);
	for (size_t i = 0; i < journey.count; i++)
		record->sightings = digest_sighting(record->sightings, seen[i].time_ns,
						    seen[i].probe, seen[i].segment, seen[i].data);
	records->order = map_hash(map_hash(records->order, record->key), record->sightings);
	return 0;
}

static void join_legs(struct scene *scene, uint64_t horizon_ns, size_t memory,
		      struct records *records)
{
	struct spill *spill;

	records->count = records->order = 0;
	cr_assert_eq(spill_open(&spill, horizon_ns, take_journey, records), 0);
	spill_probes(spill, scene->probes);
	if (memory)
		spill_limit(spill, memory);
	for (size_t done = 0, n; done < scene->nlegs; done += n) {
		n = 1 + random_below(scene, 300);
		n = n < scene->nlegs - done ? n : scene->nlegs - done;
		cr_assert_eq(spill_push(spill, scene->legs + done, n), 0);
	}
	cr_assert_eq(spill_flush(spill), 0);
	spill_close(spill);
}

/* Two that begin at the same time may come in any order. */
static int compare_records(const void *left, const void *right)
{
	return memcmp(left, right, sizeof(struct record));
}

static void check(struct scene *scene, uint64_t horizon_ns, size_t part_max)
{
	static struct records naive, joined, spilled;

	join_naively(scene, horizon_ns, &naive);
	make_legs(scene, horizon_ns, part_max);
	join_legs(scene, horizon_ns, 0, &joined);
	join_legs(scene, horizon_ns, SPILL_MEMORY_MIN, &spilled);
	cr_assert_eq(joined.order, spilled.order);
	cr_assert(eq(sz, joined.count, naive.count));
	qsort(naive.rows, naive.count, sizeof(*naive.rows), compare_records);
	qsort(joined.rows, joined.count, sizeof(*joined.rows), compare_records);
	cr_assert_eq(memcmp(naive.rows, joined.rows, naive.count * sizeof(*naive.rows)), 0);
}

Test(legs, are_joined_as_events_are)
{
	static const uint64_t horizons_ns[] = {0, 5, 60, 700, 20000, UINT64_MAX};
	static const size_t parts[] = {20, 300, EVENTS_MAX};
	struct scene *scene = calloc(1, sizeof(*scene));

	for (uint64_t seed = 1; seed <= 8; seed++) {
		scene->seed = seed;
		scene->count = seed < 8 ? 800 : EVENTS_MAX;
		for (unsigned int input = 0; input < INPUTS; input++) {
			make_input(scene, input, seed % 4 ? 20 : 1ull << 30);
			make_clock(scene, input, seed % 4 ? 20 : 1ull << 30);
		}
		for (size_t i = 0; i < sizeof(horizons_ns) / sizeof(horizons_ns[0]); i++)
			for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
				check(scene, horizons_ns[i], parts[k]);
	}
	for (unsigned int input = 0; input < INPUTS; input++)
		timeline_release(&scene->timelines[input]);
	free(scene);
}
