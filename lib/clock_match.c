// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "clock_match.h"

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

/* 1: the packet tells more of the link, which it took `delay` to pass; 0: it does not; -ENOMEM. */
static int take_turn(struct clock_points *points, uint64_t direction, uint64_t time_ns,
		     int64_t delay)
{
	uint64_t key = map_hash(direction, time_ns / TURN_NS);
	uint32_t index = map_find(&points->by_turn, key);
	struct clock_turn *turn;

	if (index == MAP_NONE) {
		if (array_reserve(&points->turns, &points->turns_room, points->nturns + 1,
				  sizeof(*points->turns)) ||
		    map_add(&points->by_turn, key, points->nturns))
			return -ENOMEM;
		index = points->nturns++;
		points->turns[index] = (struct clock_turn){.fastest = delay};
	}
	turn = &points->turns[index];
	if (turn->count >= TURN_MAX && delay >= turn->fastest)
		return 0;
	turn->count++;
	turn->fastest = delay < turn->fastest ? delay : turn->fastest;
	return 1;
}

/* A packet was at both, in whichever order; one of them is tx. */
static int add_point(struct clock_points *points, const struct clock_probe *probes,
		     const struct raw_clock *clocks, const struct sighting_id *at_a,
		     const struct sighting_id *at_b)
{
	const struct clock_probe *a = &probes[at_a->probe], *b = &probes[at_b->probe];
	enum side side = a->tx ? SIDE_BELOW : SIDE_ABOVE;
	int64_t link = find_link(points, a, b);
	int64_t ahead = time_since((int64_t)at_a->time_ns, (int64_t)at_b->time_ns);
	struct raw_time in_a, in_b;
	int turn;

	if (link < 0)
		return -ENOMEM;
	turn = take_turn(points, (uint64_t)link * SIDES + side, at_b->time_ns,
			 side == SIDE_ABOVE ? ahead : time_since(0, ahead));
	if (turn <= 0)
		return turn;
	in_a = raw_clock_convert(&clocks[a->clock], at_a->time_ns);
	in_b = raw_clock_convert(&clocks[b->clock], at_b->time_ns);
	if (in_a.torn || in_b.torn || in_a.raw_ns > RAW_TIME_MAX || in_b.raw_ns > RAW_TIME_MAX)
		return 0;
	if (array_reserve(&points->points, &points->room, points->count + 1,
			  sizeof(*points->points)))
		return -ENOMEM;
	points->points[points->count++] = (struct clock_point){
		.x = (int64_t)in_b.raw_ns,
		.y = (int64_t)(in_a.raw_ns - in_b.raw_ns),
		.link = link,
		.era = in_a.era + in_b.era,
		.doubt_ns = (float)(in_a.doubt_ns + in_b.doubt_ns),
		.side = side,
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

static int match_part(struct clock_points *points, const struct clock_probe *probes,
		      const struct raw_clock *clocks, const struct sample_part *part)
{
	size_t end;
	int err = 0;

	for (size_t i = 0; i < part->count && !err; i = end) {
		for (end = i + 1; end < part->count && part->seen[end].id == part->seen[i].id;)
			end++;
		err = match_packet(points, probes, clocks, &part->seen[i], end - i);
	}
	return err;
}

int clock_match(struct clock_sample *sample, const struct clock_probe *probes,
		const struct raw_clock *clocks, struct clock_points *points)
{
	int err = clock_sample_sort(sample);
	size_t at = 0;

	for (size_t i = 0; i < CLOCK_SAMPLE_PARTS && !err; i++)
		err = match_part(points, probes, clocks, &sample->parts[i]);
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
	free(points->turns);
	map_release(&points->by_ports);
	map_release(&points->by_turn);
	*points = (struct clock_points){0};
}
