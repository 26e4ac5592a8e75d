// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "array.h"
#include "clock.h"
#include "raw_clock.h"

#define JUMP_NS      1000000 /* what BOOTTIME and REALTIME gain while the machine runs is far below */
#define WIDTHS       2       /* an anchor as many times wider than usual was interrupted */
#define WIDTH_MIN_NS 200
#define SLEW_MAX     5e-4 /* adjtimex(2) goes no further; taken where no anchor says */
#define RATE_MAX     8    /* one clock gains no more than 1/8 on the other */

int raw_clock_note(struct raw_clock *clock, const struct anchor_row *anchor)
{
	if (!anchor->mono_ns || !anchor->raw_ns || anchor->mono_ns > RAW_TIME_MAX ||
	    anchor->raw_ns > RAW_TIME_MAX)
		return 0;
	if (array_reserve(&clock->anchors, &clock->room, clock->count + 1, sizeof(*clock->anchors)))
		return -ENOMEM;
	clock->anchors[clock->count++] = (struct raw_anchor){
		.mono_ns = anchor->mono_ns,
		.raw_ns = anchor->raw_ns,
		.tsc = anchor->tsc,
		.slept_ns = (int64_t)(anchor->boot_ns - anchor->mono_ns),
		.wall_ns = clock_wall_offset(anchor),
		.width_ns = anchor->width_ns < UINT32_MAX ? anchor->width_ns : UINT32_MAX,
	};
	return 0;
}

static int compare_times(const void *left, const void *right)
{
	const struct raw_anchor *a = left, *b = right;

	return (a->mono_ns > b->mono_ns) - (a->mono_ns < b->mono_ns);
}

static int compare_widths(const void *left, const void *right)
{
	const struct raw_anchor *a = left, *b = right;

	return (a->width_ns > b->width_ns) - (a->width_ns < b->width_ns);
}

/* Wider ones say little. */
static uint32_t usable_width(struct raw_clock *clock)
{
	uint64_t usual;

	qsort(clock->anchors, clock->count, sizeof(*clock->anchors), compare_widths);
	usual = clock->anchors[clock->count / 2].width_ns * (uint64_t)WIDTHS + WIDTH_MIN_NS;
	return usual < UINT32_MAX ? usual : UINT32_MAX;
}

/* Both clocks go forward, and about as fast. */
static bool follows(const struct raw_anchor *a, const struct raw_anchor *b)
{
	__int128 mono = (__int128)b->mono_ns - a->mono_ns, raw = (__int128)b->raw_ns - a->raw_ns;

	return mono > 0 && raw > 0 && mono - raw < mono / RATE_MAX && raw - mono < mono / RATE_MAX;
}

static void drop_useless(struct raw_clock *clock, uint32_t width_max)
{
	size_t kept = 0;

	for (size_t i = 0; i < clock->count; i++) {
		const struct raw_anchor *anchor = &clock->anchors[i];
		bool end = !i || i + 1 == clock->count;

		if (kept && !follows(&clock->anchors[kept - 1], anchor))
			continue;
		if (end || anchor->width_ns <= width_max)
			clock->anchors[kept++] = *anchor;
	}
	clock->count = kept;
}

static double rate(const struct raw_anchor *anchor)
{
	return (double)(anchor[1].raw_ns - anchor->raw_ns) /
	       (double)(anchor[1].mono_ns - anchor->mono_ns);
}

/*
 * Half a bracket, and what a change of the rate between both anchors hides: if it happens in the
 * middle, a quarter of the change times the distance. The rates before and behind show the change.
 */
static double find_doubt(const struct raw_clock *clock, size_t at)
{
	const struct raw_anchor *anchor = &clock->anchors[at];
	uint32_t width = anchor->width_ns > anchor[1].width_ns ? anchor->width_ns
							       : anchor[1].width_ns;
	double change = 0;

	if (at)
		change += fabs(rate(anchor) - rate(anchor - 1));
	if (at + 2 < clock->count)
		change += fabs(rate(anchor + 1) - rate(anchor));
	return width / 2.0 + change * (double)(anchor[1].mono_ns - anchor->mono_ns) / 4;
}

static bool is_jump(__int128 ns)
{
	return ns > JUMP_NS || ns < -JUMP_NS;
}

void raw_clock_settle(struct raw_clock *clock)
{
	uint32_t width_max;

	if (!clock->count)
		return;
	width_max = usable_width(clock);
	qsort(clock->anchors, clock->count, sizeof(*clock->anchors), compare_times);
	drop_useless(clock, width_max);
	for (size_t i = 0; i + 1 < clock->count; i++) {
		struct raw_anchor *anchor = &clock->anchors[i];
		__int128 slept = (__int128)anchor[1].slept_ns - anchor->slept_ns;

		anchor[1].era = anchor->era + is_jump(slept);
		anchor->doubt_ns = find_doubt(clock, i);
	}
	if (clock->count > 1)
		clock->anchors[clock->count - 1].doubt_ns =
			clock->anchors[clock->count - 2].doubt_ns;
}

bool raw_clock_known(const struct raw_clock *clock)
{
	return clock->count > 1;
}

size_t raw_clock_jumps(const struct raw_clock *clock, int64_t *largest_ns)
{
	size_t jumps = 0;

	*largest_ns = 0;
	for (size_t i = 0; i + 1 < clock->count; i++) {
		const struct raw_anchor *anchor = &clock->anchors[i];
		__int128 change = (__int128)anchor[1].wall_ns - anchor->wall_ns;

		if (!is_jump(change))
			continue;
		jumps++;
		change = change < 0 ? -change : change;
		if (change > *largest_ns)
			*largest_ns = change > INT64_MAX ? INT64_MAX : (int64_t)change;
	}
	return jumps;
}

static uint64_t mono_of(const struct raw_anchor *anchor)
{
	return anchor->mono_ns;
}

static uint64_t raw_of(const struct raw_anchor *anchor)
{
	return anchor->raw_ns;
}

static uint64_t tsc_of(const struct raw_anchor *anchor)
{
	return anchor->tsc;
}

typedef uint64_t (*time_fn)(const struct raw_anchor *anchor);

/* The last anchor not behind the time, but one that has another behind it. */
static size_t find_anchor(const struct raw_clock *clock, time_fn time, uint64_t time_ns)
{
	size_t first = 0, end = clock->count - 1;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (time(&clock->anchors[middle]) <= time_ns)
			first = middle;
		else
			end = middle;
	}
	return first;
}

static uint64_t interpolate(const struct raw_anchor *anchor, time_fn from, time_fn to,
			    uint64_t time_ns)
{
	__int128 passed = (__int128)time_ns - from(anchor);
	__int128 result = to(anchor) + passed * (to(anchor + 1) - to(anchor)) /
					       (from(anchor + 1) - from(anchor));

	return result < 0 ? 0 : result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

struct raw_time raw_clock_convert(const struct raw_clock *clock, uint64_t mono_ns)
{
	struct raw_time time = {.raw_ns = mono_ns};
	const struct raw_anchor *anchor, *last;
	double beyond = 0;

	if (!raw_clock_known(clock))
		return time;
	last = &clock->anchors[clock->count - 1];
	anchor = &clock->anchors[find_anchor(clock, mono_of, mono_ns)];
	if (mono_ns < anchor->mono_ns)
		beyond = (double)(anchor->mono_ns - mono_ns);
	else if (mono_ns > last->mono_ns)
		beyond = (double)(mono_ns - last->mono_ns);
	time.raw_ns = interpolate(anchor, mono_of, raw_of, mono_ns);
	time.doubt_ns = anchor->doubt_ns + beyond * SLEW_MAX;
	time.era = mono_ns < anchor[1].mono_ns ? anchor->era : anchor[1].era;
	time.torn = anchor->era != anchor[1].era && mono_ns > anchor->mono_ns &&
		    mono_ns < anchor[1].mono_ns;
	return time;
}

uint64_t raw_clock_mono(const struct raw_clock *clock, uint64_t raw_ns)
{
	if (!raw_clock_known(clock))
		return raw_ns;
	return interpolate(&clock->anchors[find_anchor(clock, raw_of, raw_ns)], raw_of, mono_of,
			   raw_ns);
}

/* Counter and clock were read within the bracket. */
bool raw_clock_counted(const struct raw_clock *clock, uint64_t tsc, uint64_t *mono_ns,
		       struct raw_time *time)
{
	const struct raw_anchor *anchor;

	if (!raw_clock_known(clock))
		return false;
	anchor = &clock->anchors[find_anchor(clock, tsc_of, tsc)];
	if (!anchor->tsc || anchor->tsc > tsc || anchor[1].tsc <= tsc ||
	    anchor->era != anchor[1].era)
		return false;
	*mono_ns = interpolate(anchor, tsc_of, mono_of, tsc);
	*time = (struct raw_time){
		.raw_ns = interpolate(anchor, tsc_of, raw_of, tsc),
		.doubt_ns = fmax(anchor->width_ns, anchor[1].width_ns),
		.era = anchor->era,
	};
	return true;
}

double raw_clock_doubt(const struct raw_clock *clock, int64_t from, int64_t to)
{
	uint64_t first = from > 0 ? from : 0, last = to > 0 ? to : 0;
	const struct raw_anchor *end;
	double doubt = 0, beyond = 0;

	if (!raw_clock_known(clock))
		return 0;
	end = &clock->anchors[clock->count - 1];
	for (size_t i = find_anchor(clock, raw_of, first); i < clock->count; i++) {
		doubt = fmax(doubt, clock->anchors[i].doubt_ns);
		if (clock->anchors[i].raw_ns > last)
			break;
	}
	if (first < clock->anchors[0].raw_ns)
		beyond = (double)(clock->anchors[0].raw_ns - first);
	if (last > end->raw_ns)
		beyond = fmax(beyond, (double)(last - end->raw_ns));
	return doubt + beyond * SLEW_MAX;
}

void raw_clock_release(struct raw_clock *clock)
{
	free(clock->anchors);
	*clock = (struct raw_clock){0};
}
