// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "reorder.h"

/* How many were overtaken by others of these; *first_ns: when the first of all arrived. */
static uint64_t count_overtaken(const uint64_t *arrived_ns, size_t count, uint64_t *first_ns)
{
	uint64_t overtaken = 0, min = UINT64_MAX;

	for (size_t i = count; i-- > 0;) {
		overtaken += arrived_ns[i] > min;
		min = arrived_ns[i] < min ? arrived_ns[i] : min;
	}
	*first_ns = min;
	return overtaken;
}

/* Those that arrived by then. */
static void reorder_forget(struct reorder *reorder, uint64_t sent_ns)
{
	size_t front = 0;

	while (front < reorder->count && reorder->arrivals[front] <= sent_ns)
		front++;
	reorder->count -= front;
	if (front && reorder->count)
		memmove(reorder->arrivals, reorder->arrivals + front,
			reorder->count * sizeof(*reorder->arrivals));
}

/* Of these those that were not overtaken and arrived later than that. */
static int reorder_keep(struct reorder *reorder, uint64_t sent_ns, const uint64_t *arrived_ns,
			size_t count)
{
	uint64_t min = UINT64_MAX, *kept, *end;
	int err = array_reserve(&reorder->arrivals, &reorder->room, reorder->count + count,
				sizeof(*reorder->arrivals));

	if (err)
		return err;
	kept = end = reorder->arrivals + reorder->count + count;
	for (size_t i = count; i-- > 0 && min > sent_ns;) {
		if (arrived_ns[i] > min)
			continue;
		min = arrived_ns[i];
		if (min > sent_ns)
			*--kept = min;
	}
	memmove(reorder->arrivals + reorder->count, kept, (end - kept) * sizeof(*kept));
	reorder->count += end - kept;
	return 0;
}

int reorder_add(struct reorder *reorder, uint64_t sent_ns, const uint64_t *arrived_ns, size_t count)
{
	uint64_t first_ns;

	reorder->reordered += count_overtaken(arrived_ns, count, &first_ns);
	while (reorder->count && reorder->arrivals[reorder->count - 1] > first_ns) {
		reorder->count--;
		reorder->reordered++;
	}
	reorder_forget(reorder, sent_ns);
	return reorder_keep(reorder, sent_ns, arrived_ns, count);
}

void reorder_release(struct reorder *reorder)
{
	free(reorder->arrivals);
	*reorder = (struct reorder){0};
}
