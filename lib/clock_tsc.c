// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>

#include "array.h"
#include "clock_tsc.h"

/* Which clock of a pair is the host's, and which the guest's. */
struct roles {
	const struct raw_clock *host;
	const struct raw_clock *guest;
	bool host_is_a;
};

/* Points by the counter of one machine. */
struct readings {
	struct clock_point *points;
	size_t count;
	size_t room;
	uint64_t vm;
	size_t runs; /* of rows that say the same */
};

int clock_vms_note(struct clock_vms *vms, const struct vm_row *row)
{
	if (array_reserve(&vms->rows, &vms->room, vms->count + 1, sizeof(*vms->rows)))
		return -ENOMEM;
	vms->rows[vms->count++] = *row;
	return 0;
}

static int compare_rows(const void *left, const void *right)
{
	const struct vm_row *a = left, *b = right;

	if (a->vm != b->vm)
		return a->vm < b->vm ? -1 : 1;
	return (a->before_ns > b->before_ns) - (a->before_ns < b->before_ns);
}

void clock_vms_settle(struct clock_vms *vms)
{
	if (vms->count)
		qsort(vms->rows, vms->count, sizeof(*vms->rows), compare_rows);
}

void clock_vms_release(struct clock_vms *vms)
{
	free(vms->rows);
	*vms = (struct clock_vms){0};
}

static bool counts_alike(const struct vm_row *a, const struct vm_row *b)
{
	return a->vm == b->vm && a->offset == b->offset && a->ratio == b->ratio &&
	       a->fraction_bits == b->fraction_bits;
}

/* What the host's counter shows when that of the guest gets to a count. */
static bool host_count(const struct vm_row *vm, uint64_t guest, uint64_t *host)
{
	unsigned __int128 scaled, count;

	if (!vm->ratio || vm->fraction_bits > 63)
		return false;
	scaled = (unsigned __int128)(guest - vm->offset) << vm->fraction_bits;
	count = (scaled + vm->ratio - 1) / vm->ratio;
	*host = (uint64_t)count;
	return count <= UINT64_MAX;
}

/* The host's clocks when a guest's were read; false if that is not known. */
static bool place_reading(const struct roles *roles, const struct vm_row *first,
			  const struct vm_row *last, const struct raw_anchor *reading,
			  struct raw_time *time)
{
	struct raw_time next;
	uint64_t count, end, mono_ns, next_ns;

	if (!reading->tsc || !host_count(first, reading->tsc, &count) ||
	    !host_count(first, reading->tsc + 1, &end) ||
	    !raw_clock_counted(roles->host, count, &mono_ns, time) ||
	    !raw_clock_counted(roles->host, end, &next_ns, &next))
		return false;
	time->doubt_ns += (double)(next.raw_ns - time->raw_ns);
	return mono_ns >= first->after_ns && next_ns <= last->before_ns;
}

/* Readings of the guest while its counter counted as the rows from first to last say. */
static int add_readings(const struct roles *roles, const struct vm_row *first,
			const struct vm_row *last, struct readings *readings)
{
	for (size_t i = 0; i < roles->guest->count; i++) {
		const struct raw_anchor *reading = &roles->guest->anchors[i];
		struct raw_time time;
		int64_t a, b;

		if (!place_reading(roles, first, last, reading, &time))
			continue;
		if (array_reserve(&readings->points, &readings->room, readings->count + 2,
				  sizeof(*readings->points)))
			return -ENOMEM;
		a = (int64_t)(roles->host_is_a ? time.raw_ns : reading->raw_ns);
		b = (int64_t)(roles->host_is_a ? reading->raw_ns : time.raw_ns);
		for (int side = 0; side < SIDES; side++)
			readings->points[readings->count++] = (struct clock_point){
				.x = b,
				.y = time_since(a, b),
				.era = time.era + reading->era,
				.doubt_ns = (float)(time.doubt_ns + reading->width_ns),
				.side = side,
				.counted = true,
			};
	}
	return 0;
}

/* Rows from first on are of one machine; returns the end of these. 0 or -ENOMEM in *err. */
static size_t read_machine(const struct roles *roles, const struct clock_vms *vms, size_t first,
			   struct readings *readings, int *err)
{
	const struct vm_row *rows = vms->rows;
	size_t end = first;

	readings->vm = rows[first].vm;
	readings->runs = 0;
	readings->count = 0;
	while (end < vms->count && rows[end].vm == readings->vm && !*err) {
		for (first = end++; end < vms->count; end++)
			if (!counts_alike(&rows[first], &rows[end]))
				break;
		readings->runs++;
		*err = add_readings(roles, &rows[first], &rows[end - 1], readings);
	}
	return end;
}

/* Is every reading where packets allow it? */
static bool agree(const struct clock_pair *pair, const struct readings *readings)
{
	for (size_t i = 0; i < readings->count; i++) {
		const struct clock_point *point = &readings->points[i];
		struct clock_bounds bounds = clock_pair_bounds(pair, point->x, point->x);
		double y = (double)time_since(point->y, pair->base);

		if (y + point->doubt_ns < bounds.low[0] || y - point->doubt_ns > bounds.high[0])
			return false;
	}
	return readings->count > 0;
}

/* In *found the readings of the last machine of those that can be the guest; adds to *machines how many
 * there are. */
static int find_machines(const struct roles *roles, const struct clock_vms *vms,
			 const struct clock_pair *pair, struct readings *found, size_t *machines)
{
	struct readings readings = {0};
	int err = 0;

	for (size_t i = 0; i < vms->count && !err;) {
		i = read_machine(roles, vms, i, &readings, &err);
		if (!err && agree(pair, &readings)) {
			struct readings before = *found;

			*found = readings;
			readings = before;
			++*machines;
		}
	}
	free(readings.points);
	return err;
}

/* To the packets and the readings; stays as it is if windows would be lost. */
static int fit_again(struct clock_pair *pair, const struct clock_point *points, size_t count,
		     const struct readings *readings)
{
	size_t all = count + readings->count;
	struct clock_point *joined = calloc(all, sizeof(*joined));
	struct clock_pair next = {.a = pair->a, .b = pair->b, .by_counter = true};
	int err;

	if (!joined)
		return -ENOMEM;
	memcpy(joined, points, count * sizeof(*joined));
	memcpy(joined + count, readings->points, readings->count * sizeof(*joined));
	for (size_t i = 0; i < all; i++) {
		joined[i].link = points[0].link;
		joined[i].rejected = 0;
	}
	qsort(joined, all, sizeof(*joined), compare_points);
	err = clock_pair_fit(&next, joined, all);
	free(joined);
	if (!err && next.count && next.left_out <= pair->left_out) {
		struct clock_pair before = *pair;

		*pair = next;
		next = before;
	}
	clock_pair_release(&next);
	return err;
}

static void say_findings(const struct clock_graph *graph, const struct clock_pair *pair,
			 size_t machines, size_t runs)
{
	const char *a = graph->nodes[pair->a].name, *b = graph->nodes[pair->b].name;
	char line[320];

	if (machines > 1)
		snprintf(line, sizeof(line),
			 "packets between '%.60s' and '%.60s' fit the time stamp counters of %zu "
			 "virtual machines: none is taken",
			 a, b, machines);
	else if (pair->by_counter && runs > 1)
		snprintf(line, sizeof(line),
			 "the time stamp counter that '%.60s' and '%.60s' share was set %zu "
			 "time%s: it counts for nothing while that is",
			 a, b, runs - 1, runs > 2 ? "s" : "");
	else
		return;
	graph->log(graph->log_context, line);
}

int clock_tsc_refine(const struct clock_graph *graph, struct clock_pair *pair,
		     const struct clock_point *points, size_t count)
{
	const struct clock_node *a = &graph->nodes[pair->a], *b = &graph->nodes[pair->b];
	const struct roles of_a = {a->clock, b->clock, true}, of_b = {b->clock, a->clock, false};
	struct readings found = {0};
	size_t machines = 0;
	int err = find_machines(&of_a, a->vms, pair, &found, &machines);

	if (!err)
		err = find_machines(&of_b, b->vms, pair, &found, &machines);
	if (!err && machines == 1)
		err = fit_again(pair, points, count, &found);
	if (!err)
		say_findings(graph, pair, machines, found.runs);
	free(found.points);
	return err;
}
