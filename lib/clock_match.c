// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "clock_match.h"

static bool is_sampled(const struct clock_sample *sample, uint64_t id)
{
	return !sample->halvings || !(id >> (64 - sample->halvings));
}

static void halve(struct clock_sample *sample)
{
	size_t kept = 0;

	sample->halvings++;
	for (size_t i = 0; i < sample->count; i++)
		if (is_sampled(sample, sample->seen[i].id))
			sample->seen[kept++] = sample->seen[i];
	sample->count = kept;
}

int clock_sample_add(struct clock_sample *sample, uint32_t probe, const struct vnt_event *event)
{
	uint64_t id = map_hash(map_hash(map_hash(0, event->flow), event->key), event->flow);

	if (!is_sampled(sample, id))
		return 0;
	while (sample->count >= sample->room_max && sample->halvings < 63) {
		halve(sample);
		if (!is_sampled(sample, id))
			return 0;
	}
	if (array_reserve(&sample->seen, &sample->room, sample->count + 1, sizeof(*sample->seen)))
		return -ENOMEM;
	sample->seen[sample->count++] = (struct sighting_id){
		.id = id,
		.time_ns = event->time_ns,
		.probe = probe,
	};
	return 0;
}

void clock_sample_release(struct clock_sample *sample)
{
	free(sample->seen);
	*sample = (struct clock_sample){0};
}

static int compare_sightings(const void *left, const void *right)
{
	const struct sighting_id *a = left, *b = right;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->probe > b->probe) - (a->probe < b->probe);
}

int compare_points(const void *left, const void *right)
{
	const struct clock_point *a = left, *b = right;

	if (a->link != b->link)
		return a->link < b->link ? -1 : 1;
	return (a->x > b->x) - (a->x < b->x);
}

/* Index of the link, begun if it is new; -ENOMEM. */
static int64_t find_link(struct clock_points *points, const struct clock_probe *a,
			 const struct clock_probe *b)
{
	uint64_t key = (uint64_t)a->port << 32 | b->port;
	uint32_t index = map_find(&points->by_ports, key);

	if (index != MAP_NONE)
		return index;
	if (array_reserve(&points->links, &points->links_room, points->nlinks + 1,
			  sizeof(*points->links)) ||
	    map_add(&points->by_ports, key, points->nlinks))
		return -ENOMEM;
	points->links[points->nlinks] = (struct clock_link){.a = a->clock, .b = b->clock};
	return points->nlinks++;
}

/* A packet was at both, in whichever order; one of them is tx. */
static int add_point(struct clock_points *points, const struct clock_probe *probes,
		     const struct raw_clock *clocks, const struct sighting_id *at_a,
		     const struct sighting_id *at_b)
{
	const struct clock_probe *a = &probes[at_a->probe], *b = &probes[at_b->probe];
	struct raw_time in_a = raw_clock_convert(&clocks[a->clock], at_a->time_ns);
	struct raw_time in_b = raw_clock_convert(&clocks[b->clock], at_b->time_ns);
	int64_t link;

	if (in_a.torn || in_b.torn || in_a.raw_ns > RAW_TIME_MAX || in_b.raw_ns > RAW_TIME_MAX)
		return 0;
	link = find_link(points, a, b);
	if (link < 0 || array_reserve(&points->points, &points->room, points->count + 1,
				      sizeof(*points->points)))
		return -ENOMEM;
	points->points[points->count++] = (struct clock_point){
		.x = (int64_t)in_b.raw_ns,
		.y = (int64_t)(in_a.raw_ns - in_b.raw_ns),
		.link = link,
		.era = in_a.era + in_b.era,
		.doubt_ns = (float)(in_a.doubt_ns + in_b.doubt_ns),
		.side = a->tx ? SIDE_BELOW : SIDE_ABOVE,
	};
	points->links[link].count++;
	return 0;
}

static bool seen_twice(const struct sighting_id *seen, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (seen[i].probe == seen[i - 1].probe)
			return true;
	return false;
}

/* All sightings of one packet. */
static int match_packet(struct clock_points *points, const struct clock_probe *probes,
			const struct raw_clock *clocks, const struct sighting_id *seen,
			size_t count)
{
	int err = 0;

	if (count < 2 || seen_twice(seen, count))
		return 0;
	for (size_t i = 0; i < count && !err; i++) {
		const struct clock_probe *a = &probes[seen[i].probe];

		for (size_t k = 0; k < count && !err; k++) {
			const struct clock_probe *b = &probes[seen[k].probe];

			if (a->clock < b->clock && a->tx != b->tx)
				err = add_point(points, probes, clocks, &seen[i], &seen[k]);
		}
	}
	return err;
}

int clock_match(struct clock_sample *sample, const struct clock_probe *probes,
		const struct raw_clock *clocks, struct clock_points *points)
{
	size_t end, at = 0;
	int err = 0;

	if (!sample->count)
		return 0;
	qsort(sample->seen, sample->count, sizeof(*sample->seen), compare_sightings);
	for (size_t i = 0; i < sample->count && !err; i = end) {
		for (end = i + 1;
		     end < sample->count && sample->seen[end].id == sample->seen[i].id;)
			end++;
		err = match_packet(points, probes, clocks, &sample->seen[i], end - i);
	}
	if (err || !points->count)
		return err;
	qsort(points->points, points->count, sizeof(*points->points), compare_points);
	for (size_t i = 0; i < points->nlinks; i++) {
		points->links[i].first = at;
		at += points->links[i].count;
	}
	return 0;
}

void clock_points_release(struct clock_points *points)
{
	free(points->points);
	free(points->links);
	map_release(&points->by_ports);
	*points = (struct clock_points){0};
}
