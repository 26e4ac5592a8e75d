// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "ranges.h"

int ranges_add(struct ranges *ranges, const struct range_row *row)
{
	unsigned int at = 0;

	if (array_reserve(&ranges->rows, &ranges->room, ranges->count + 1, sizeof(*ranges->rows)))
		return -ENOMEM;
	ranges->rows[ranges->count++] = *row;
	while (at < ranges->nstarts && ranges->starts[at] < row->from_ns)
		at++;
	/* Without one more start a span is longer, and has the larger bound. */
	if (ranges->nstarts + 1 == RANGES_SPANS ||
	    (at < ranges->nstarts && ranges->starts[at] == row->from_ns))
		return 0;
	memmove(&ranges->starts[at + 1], &ranges->starts[at],
		(ranges->nstarts - at) * sizeof(ranges->starts[0]));
	ranges->starts[at] = row->from_ns;
	ranges->nstarts++;
	return 0;
}

uint64_t ranges_span(const struct ranges *ranges, uint64_t time_ns)
{
	unsigned int first = 0, end = ranges->nstarts;

	while (first < end) {
		unsigned int middle = first + (end - first) / 2;

		if (ranges->starts[middle] <= time_ns)
			first = middle + 1;
		else
			end = middle;
	}
	return 1ull << first;
}

static bool overlaps(const struct ranges *ranges, unsigned int span, const struct range_row *row)
{
	uint64_t from_ns = span ? ranges->starts[span - 1] : 0;
	uint64_t to_ns = span < ranges->nstarts ? ranges->starts[span] : UINT64_MAX;

	return row->from_ns < to_ns && row->to_ns > from_ns;
}

/* Of the domain in one span; that of all the trace where no range says. */
static int64_t bound_in(const struct ranges *ranges, uint16_t domain, unsigned int span,
			int64_t whole_ns)
{
	int64_t bound_ns = CLOCK_UNBOUNDED;

	for (size_t i = 0; i < ranges->count; i++) {
		const struct range_row *row = &ranges->rows[i];

		if (row->domain == domain && row->bound_ns > bound_ns &&
		    overlaps(ranges, span, row))
			bound_ns = row->bound_ns;
	}
	return bound_ns >= 0 && bound_ns < whole_ns ? bound_ns : whole_ns;
}

/* The largest one of the spans. */
static int64_t bound_of(const struct ranges *ranges, const struct trace_info *info,
			struct place_seen place)
{
	uint16_t domain = info->probes[place.probe].domain;
	int64_t whole_ns = info->domains[domain].clock.bound_ns, largest_ns = 0;

	if (whole_ns < 0 || !place.spans)
		return whole_ns;
	for (unsigned int i = 0; i <= ranges->nstarts; i++) {
		int64_t bound_ns = place.spans >> i & 1 ? bound_in(ranges, domain, i, whole_ns) : 0;

		largest_ns = bound_ns > largest_ns ? bound_ns : largest_ns;
	}
	return largest_ns;
}

int64_t ranges_bound(const struct ranges *ranges, const struct trace_info *info,
		     struct place_seen from, struct place_seen to)
{
	uint16_t a = info->probes[from.probe].domain, b = info->probes[to.probe].domain;
	const char *boot_id = info->domains[a].boot_id;
	int64_t bounds[2], sum;

	/* Booted together: one clock, even where nobody knows how it relates to the reference. */
	if (a == b || (*boot_id && strcmp(boot_id, info->domains[b].boot_id) == 0))
		return 0;
	bounds[0] = bound_of(ranges, info, from);
	bounds[1] = bound_of(ranges, info, to);
	if (bounds[0] < 0 || bounds[1] < 0 || __builtin_add_overflow(bounds[0], bounds[1], &sum))
		return CLOCK_UNBOUNDED;
	return sum;
}

void ranges_release(struct ranges *ranges)
{
	free(ranges->rows);
	*ranges = (struct ranges){0};
}
