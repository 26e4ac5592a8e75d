/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * timeline.h - turns times of one clock into times of another: piecewise linear, never backwards.
 *
 * Integers throughout; a time that was mapped is less than 1 ns below the exact value. Beyond the
 * knots the first and the last piece go on.
 */
#ifndef VNT_TIMELINE_H
#define VNT_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMELINE_ONE (1ll << 60) /* a slope of 1 */

/* From from_ns on, to the next piece, times are shifted by shift_ns + (time - from_ns) * slope. */
struct timeline_piece {
	uint64_t from_ns;
	int64_t shift_ns;
	int64_t slope; /* in units of 1 / TIMELINE_ONE; from -1 to 1 */
};

/* All zero leaves times alone. */
struct timeline {
	struct timeline_piece *pieces;
	size_t count;
	size_t room;
};

/*
 * Appends a knot: time_ns, which is later than the last one's, becomes to_ns; if that were earlier
 * than what the last knot became, it becomes the same. A step forward of more than doubles the
 * time that passes is a jump at the later knot. 0 or -ENOMEM.
 */
int timeline_add(struct timeline *timeline, uint64_t time_ns, uint64_t to_ns);

/* Shifts everything that comes out by so much more. */
void timeline_shift(struct timeline *timeline, int64_t shift_ns);

/* One line: shifts time_ns by shift_ns, and later times by `slope` of what passed more; from -1/2 to 1/2.
 * 0 or -ENOMEM. */
int timeline_set(struct timeline *timeline, uint64_t time_ns, int64_t shift_ns, double slope);

int timeline_copy(struct timeline *to, const struct timeline *from); /* to all zero; 0 or -ENOMEM */

/* The index of the piece that a time is in, looked for from `near` on. */
size_t timeline_find(const struct timeline *timeline, size_t near, uint64_t time_ns);

static inline bool timeline_holds(const struct timeline *timeline, size_t piece, uint64_t time_ns)
{
	return (!piece || timeline->pieces[piece].from_ns <= time_ns) &&
	       (piece + 1 == timeline->count || time_ns < timeline->pieces[piece + 1].from_ns);
}

/* The piece that a time is in, and up to and with *last_ns other times; `near` as of timeline_map(). */
struct timeline_piece timeline_at(const struct timeline *timeline, size_t *near, uint64_t time_ns,
				  uint64_t *last_ns);

/* What time_ns becomes, at the ends of the range of numbers the nearest one; `piece` is the one that
 * it is in. */
static inline uint64_t timeline_apply(const struct timeline_piece *piece, uint64_t time_ns)
{
	__int128 passed, sum;
	uint64_t shifted;

	if (!piece->slope && !__builtin_add_overflow(time_ns, piece->shift_ns, &shifted))
		return shifted;
	passed = (__int128)time_ns - piece->from_ns;
	sum = (__int128)time_ns + piece->shift_ns + (passed * piece->slope >> 60);
	return sum < 0 ? 0 : sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* Both in one; *near is where the last one was, and is kept up. */
static inline uint64_t timeline_map(const struct timeline *timeline, size_t *near, uint64_t time_ns)
{
	if (!timeline->count)
		return time_ns;
	if (*near >= timeline->count || !timeline_holds(timeline, *near, time_ns))
		*near = timeline_find(timeline, *near, time_ns);
	return timeline_apply(&timeline->pieces[*near], time_ns);
}

/* The same of many, in their order. */
void timeline_map_all(const struct timeline *timeline, size_t *near, uint64_t *times, size_t count);

void timeline_release(struct timeline *timeline);

#endif
