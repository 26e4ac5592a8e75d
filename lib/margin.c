// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdlib.h>

#include "array.h"
#include "margin.h"

#define STEPS_MAX 200 /* more than chains of any real size take */

/* Concave in the slope: by how much lines of one slope could be moved, or where they are at x. */
struct room {
	double value;
	double gradient;
	size_t points[SIDES];
};

typedef struct room (*room_fn)(const struct hulls *hulls, double slope, double x);

/* > 0: b is left of the way from a to c. */
static double turn(const struct vertex *a, const struct vertex *b, const struct vertex *c)
{
	return (c->x - a->x) * (b->y - a->y) - (b->x - a->x) * (c->y - a->y);
}

static double outward(enum side side)
{
	return side == SIDE_BELOW ? 1 : -1;
}

int hulls_add(struct hulls *hulls, enum side side, const struct vertex *point)
{
	struct chain *chain = &hulls->chains[side];
	const struct vertex *last;

	if (array_reserve(&chain->vertices, &chain->room, chain->count + 1,
			  sizeof(*chain->vertices)))
		return -ENOMEM;
	while (chain->count) {
		last = &chain->vertices[chain->count - 1];
		if (last->x == point->x) {
			if ((point->y - last->y) * outward(side) <= 0)
				return 0;
			chain->count--;
			continue;
		}
		if (chain->count == 1)
			break;
		if (turn(last - 1, last, point) * outward(side) > 0)
			break;
		chain->count--;
	}
	chain->vertices[chain->count++] = *point;
	return 0;
}

void hulls_clear(struct hulls *hulls)
{
	for (size_t i = 0; i < SIDES; i++)
		hulls->chains[i].count = 0;
}

void hulls_release(struct hulls *hulls)
{
	for (size_t i = 0; i < SIDES; i++)
		free(hulls->chains[i].vertices);
	*hulls = (struct hulls){0};
}

/* The vertex that stops a line of this slope that comes from far away. */
static const struct vertex *support(const struct chain *chain, enum side side, double slope)
{
	const struct vertex *best = chain->vertices;
	double farthest = (best->y - slope * best->x) * outward(side);

	for (size_t i = 1; i < chain->count; i++) {
		const struct vertex *vertex = &chain->vertices[i];
		double far = (vertex->y - slope * vertex->x) * outward(side);

		if (far < farthest)
			break;
		farthest = far;
		best = vertex;
	}
	return best;
}

static struct room room_between(const struct hulls *hulls, double slope, double x)
{
	const struct vertex *below = support(&hulls->chains[SIDE_BELOW], SIDE_BELOW, slope);
	const struct vertex *above = support(&hulls->chains[SIDE_ABOVE], SIDE_ABOVE, slope);

	(void)x;
	return (struct room){
		.value = above->y - below->y - slope * (above->x - below->x),
		.gradient = below->x - above->x,
		.points = {below->point, above->point},
	};
}

static struct room highest_at(const struct hulls *hulls, double slope, double x)
{
	const struct vertex *above = support(&hulls->chains[SIDE_ABOVE], SIDE_ABOVE, slope);

	return (struct room){
		.value = above->y + slope * (x - above->x),
		.gradient = x - above->x,
	};
}

static struct room lowest_at(const struct hulls *hulls, double slope, double x)
{
	const struct vertex *below = support(&hulls->chains[SIDE_BELOW], SIDE_BELOW, slope);

	return (struct room){
		.value = -(below->y + slope * (x - below->x)),
		.gradient = below->x - x,
	};
}

/*
 * The slope from *least to *most where the room is largest. Where the tangents at both ends meet is
 * the next end, until that point is on the function itself; then *least and *most are the ends
 * on both sides of it.
 */
static double maximize(const struct hulls *hulls, room_fn room, double x, double *least,
		       double *most)
{
	struct room left = room(hulls, *least, x), right = room(hulls, *most, x);
	double slope = *least;

	if (left.gradient <= 0)
		return *most = *least;
	if (right.gradient >= 0)
		return *least = *most;
	for (int step = 0; step < STEPS_MAX; step++) {
		double run = (right.value - left.value + left.gradient * *least -
			      right.gradient * *most) /
			     (left.gradient - right.gradient);
		double ceiling = left.value + left.gradient * (run - *least);
		struct room here = room(hulls, run, x);

		slope = run;
		if (here.gradient == 0 || here.value >= ceiling - 1e-9 * fabs(ceiling) ||
		    run <= *least || run >= *most)
			break;
		if (here.gradient > 0) {
			*least = run;
			left = here;
		} else {
			*most = run;
			right = here;
		}
	}
	return slope;
}

/* Where the room between is 0, from `end`, where it is negative, towards `best`, where it is not: along
 * tangents, which lie above it. */
static double find_limit(const struct hulls *hulls, double end, double best)
{
	double slope = end;

	for (int step = 0; step < STEPS_MAX; step++) {
		struct room room = room_between(hulls, slope, 0);
		double next = slope - room.value / room.gradient;

		if (room.value >= 0 || room.gradient == 0)
			break;
		if ((next - slope) * (best - end) <= 0 || (best - next) * (best - end) < 0)
			break;
		slope = next;
	}
	return slope;
}

static void take_supports(const struct hulls *hulls, const double slopes[SIDES + 1],
			  struct margin *margin)
{
	for (size_t i = 0; i <= SIDES; i++) {
		struct room room = room_between(hulls, slopes[i], 0);

		memcpy(&margin->support[i * SIDES], room.points, sizeof(room.points));
	}
}

/* Where the room is largest at the limit, one kind of points is all before the other kind, and more
 * slope only gives more room: clocks that run alike are likelier. */
bool margin_fit(const struct hulls *hulls, struct margin *margin)
{
	double least = -MARGIN_SLOPE_MAX, most = MARGIN_SLOPE_MAX, slope, room;

	if (!hulls->chains[SIDE_BELOW].count || !hulls->chains[SIDE_ABOVE].count)
		return false;
	slope = maximize(hulls, room_between, 0, &least, &most);
	room = room_between(hulls, slope, 0).value;
	take_supports(hulls, (const double[]){least, slope, most}, margin);
	margin->open = least == most;
	if (room >= 0) {
		margin->slope_min = find_limit(hulls, -MARGIN_SLOPE_MAX, slope);
		margin->slope_max = find_limit(hulls, MARGIN_SLOPE_MAX, slope);
	}
	if (room >= 0 && margin->open) {
		slope = fmin(fmax(0, margin->slope_min), margin->slope_max);
		room = fmax(room_between(hulls, slope, 0).value, 0);
	}
	margin->margin = room / 2;
	margin->line.slope = slope;
	margin->line.at_zero = margin->margin - lowest_at(hulls, slope, 0).value;
	return true;
}

void margin_interval(const struct hulls *hulls, const struct margin *margin, double x, double *low,
		     double *high)
{
	double least = margin->slope_min, most = margin->slope_max;
	double slope = maximize(hulls, highest_at, x, &least, &most);

	*high = highest_at(hulls, slope, x).value;
	least = margin->slope_min;
	most = margin->slope_max;
	slope = maximize(hulls, lowest_at, x, &least, &most);
	*low = -lowest_at(hulls, slope, x).value;
}
