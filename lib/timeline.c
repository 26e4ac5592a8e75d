// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "timeline.h"

static int64_t saturate(__int128 value)
{
	return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

static __int128 mapped(const struct timeline_piece *piece)
{
	return (__int128)piece->from_ns + piece->shift_ns;
}

/* Rounded down, so that what comes before the next knot is not later than it. */
static int64_t slope_between(const struct timeline_piece *a, const struct timeline_piece *b)
{
	__int128 run = (__int128)b->from_ns - a->from_ns;
	__int128 rise = (__int128)b->shift_ns - a->shift_ns;

	if (rise >= run)
		return TIMELINE_ONE;
	return (rise * TIMELINE_ONE - (rise < 0 ? run - 1 : 0)) / run;
}

int timeline_add(struct timeline *timeline, uint64_t time_ns, uint64_t to_ns)
{
	struct timeline_piece piece = {.from_ns = time_ns,
				       .shift_ns = saturate((__int128)to_ns - time_ns)};
	struct timeline_piece *last;

	if (array_reserve(&timeline->pieces, &timeline->room, timeline->count + 1,
			  sizeof(*timeline->pieces)))
		return -ENOMEM;
	if (timeline->count) {
		last = &timeline->pieces[timeline->count - 1];
		if (mapped(&piece) < mapped(last))
			piece.shift_ns = saturate(mapped(last) - time_ns);
		last->slope = slope_between(last, &piece);
		piece.slope = last->slope;
	}
	timeline->pieces[timeline->count++] = piece;
	return 0;
}

void timeline_shift(struct timeline *timeline, int64_t shift_ns)
{
	for (size_t i = 0; i < timeline->count; i++) {
		struct timeline_piece *piece = &timeline->pieces[i];

		piece->shift_ns = saturate((__int128)piece->shift_ns + shift_ns);
	}
}

int timeline_set(struct timeline *timeline, uint64_t time_ns, int64_t shift_ns, double slope)
{
	timeline->count = 0;
	if (array_reserve(&timeline->pieces, &timeline->room, 1, sizeof(*timeline->pieces)))
		return -ENOMEM;
	timeline->pieces[timeline->count++] = (struct timeline_piece){
		.from_ns = time_ns,
		.shift_ns = shift_ns,
		.slope = (int64_t)(slope * (double)TIMELINE_ONE),
	};
	return 0;
}

int timeline_copy(struct timeline *to, const struct timeline *from)
{
	if (!from->count)
		return 0;
	if (array_reserve(&to->pieces, &to->room, from->count, sizeof(*to->pieces)))
		return -ENOMEM;
	memcpy(to->pieces, from->pieces, from->count * sizeof(*to->pieces));
	to->count = from->count;
	return 0;
}

size_t timeline_find(const struct timeline *timeline, size_t near, uint64_t time_ns)
{
	size_t first = 0, end = timeline->count;

	for (size_t i = near; i < timeline->count && i < near + 2; i++)
		if (timeline_holds(timeline, i, time_ns))
			return i;
	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (timeline->pieces[middle].from_ns <= time_ns)
			first = middle;
		else
			end = middle;
	}
	return first;
}

struct timeline_piece timeline_at(const struct timeline *timeline, size_t *near, uint64_t time_ns,
				  uint64_t *last_ns)
{
	*last_ns = UINT64_MAX;
	if (!timeline->count)
		return (struct timeline_piece){0};
	*near = timeline_find(timeline, *near, time_ns);
	if (*near + 1 < timeline->count)
		*last_ns = timeline->pieces[*near + 1].from_ns - 1;
	return timeline->pieces[*near];
}

/* As timeline_apply(); all are in the piece. Nearly always that is but a shift. */
static void timeline_apply_all(const struct timeline_piece *piece, uint64_t *times, size_t count)
{
	uint64_t end;

	if (piece->slope || __builtin_add_overflow(times[0], piece->shift_ns, &end) ||
	    __builtin_add_overflow(times[count - 1], piece->shift_ns, &end)) {
		for (size_t i = 0; i < count; i++)
			times[i] = timeline_apply(piece, times[i]);
		return;
	}
	for (size_t i = 0; i < count; i++)
		times[i] += piece->shift_ns;
}

void timeline_map_all(const struct timeline *timeline, size_t *near, uint64_t *times, size_t count)
{
	for (size_t i = 0, end; i < count && timeline->count; i = end) {
		uint64_t last_ns;
		struct timeline_piece piece = timeline_at(timeline, near, times[i], &last_ns);

		end = count;
		if (times[end - 1] > last_ns)
			for (end = i + 1; times[end] <= last_ns; end++)
				;
		timeline_apply_all(&piece, times + i, end - i);
	}
}

void timeline_release(struct timeline *timeline)
{
	free(timeline->pieces);
	*timeline = (struct timeline){0};
}
