// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>

#include "array.h"
#include "clock_sample.h"
#include "map.h"

#define DIGIT_SHIFT 8 /* the bits below are those of the part */
#define DIGITS      4096
#define RUN_MAX     32 /* longer ones are of a packet sent again and again */

static bool is_sampled(const struct clock_sample *sample, uint64_t id)
{
	return !sample->halvings || !(id >> (64 - sample->halvings));
}

static void halve(struct clock_sample *sample)
{
	sample->halvings++;
	sample->count = 0;
	for (size_t i = 0; i < CLOCK_SAMPLE_PARTS; i++) {
		struct sample_part *part = &sample->parts[i];
		size_t kept = 0;

		for (size_t k = 0; k < part->count; k++)
			if (is_sampled(sample, part->seen[k].id))
				part->seen[kept++] = part->seen[k];
		part->count = kept;
		sample->count += kept;
	}
}

int clock_sample_add(struct clock_sample *sample, uint32_t probe, const struct vnt_event *event)
{
	uint64_t flow = event->flow & sample->flow_mask;
	uint64_t id = map_hash(map_hash(map_hash(0, flow), event->key), flow);
	struct sample_part *part = &sample->parts[id % CLOCK_SAMPLE_PARTS];

	if (!is_sampled(sample, id))
		return 0;
	while (sample->count >= sample->room_max && sample->halvings < 63) {
		halve(sample);
		if (!is_sampled(sample, id))
			return 0;
	}
	if (array_reserve(&part->seen, &part->room, part->count + 1, sizeof(*part->seen)))
		return -ENOMEM;
	part->seen[part->count++] = (struct sighting_id){
		.id = id,
		.time_ns = event->time_ns,
		.probe = probe,
	};
	sample->count++;
	return 0;
}

static int compare_sightings(const void *left, const void *right)
{
	const struct sighting_id *a = left, *b = right;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->probe > b->probe) - (a->probe < b->probe);
}

static void sort_run(struct sighting_id *seen, size_t count)
{
	if (count > RUN_MAX) {
		qsort(seen, count, sizeof(*seen), compare_sightings);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct sighting_id moving = seen[i];
		size_t at = i;

		for (; at && compare_sightings(&moving, &seen[at - 1]) < 0; at--)
			seen[at] = seen[at - 1];
		seen[at] = moving;
	}
}

static size_t digit_of(const struct sighting_id *seen)
{
	return seen->id >> DIGIT_SHIFT & (DIGITS - 1);
}

/* By one digit to `sorted`; what is left are short runs. */
static void sort_part(struct sample_part *part, struct sighting_id *sorted)
{
	size_t ends[DIGITS] = {0}, at = 0;

	for (size_t i = 0; i < part->count; i++)
		ends[digit_of(&part->seen[i])]++;
	for (size_t i = 0; i < DIGITS; i++) {
		size_t count = ends[i];

		ends[i] = at;
		at += count;
	}
	for (size_t i = 0; i < part->count; i++)
		sorted[ends[digit_of(&part->seen[i])]++] = part->seen[i];
	for (size_t i = 0; i < DIGITS; i++) {
		size_t first = i ? ends[i - 1] : 0;

		sort_run(sorted + first, ends[i] - first);
	}
	memcpy(part->seen, sorted, part->count * sizeof(*sorted));
}

int clock_sample_sort(struct clock_sample *sample)
{
	struct sighting_id *sorted;
	size_t largest = 1;

	for (size_t i = 0; i < CLOCK_SAMPLE_PARTS; i++)
		if (sample->parts[i].count > largest)
			largest = sample->parts[i].count;
	sorted = calloc(largest, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < CLOCK_SAMPLE_PARTS; i++)
		if (sample->parts[i].count)
			sort_part(&sample->parts[i], sorted);
	free(sorted);
	return 0;
}

void clock_sample_release(struct clock_sample *sample)
{
	for (size_t i = 0; i < CLOCK_SAMPLE_PARTS; i++)
		free(sample->parts[i].seen);
	*sample = (struct clock_sample){0};
}
