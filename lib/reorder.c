// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "reorder.h"

static int reorder_keep(struct reorder *reorder, uint64_t sent_ns, uint64_t arrived_ns)
{
	int err;

	while (reorder->front < reorder->count && reorder->arrivals[reorder->front] <= sent_ns)
		reorder->front++;
	if (reorder->front > reorder->count / 2) {
		reorder->count -= reorder->front;
		memmove(reorder->arrivals, reorder->arrivals + reorder->front,
			reorder->count * sizeof(*reorder->arrivals));
		reorder->front = 0;
	}
	err = array_reserve(&reorder->arrivals, &reorder->room, reorder->count + (size_t)1,
			    sizeof(*reorder->arrivals));
	if (!err)
		reorder->arrivals[reorder->count++] = arrived_ns;
	return err;
}

int reorder_add_overlapping(struct reorder *reorder, uint64_t sent_ns, uint64_t arrived_ns)
{
	uint64_t before_ns = reorder->latest_ns;

	reorder->latest_ns = arrived_ns;
	if (arrived_ns >= before_ns)
		return reorder_keep(reorder, sent_ns, before_ns);
	reorder->reordered++;
	for (; reorder->count > reorder->front; reorder->count--) {
		if (reorder->arrivals[reorder->count - 1] <= arrived_ns)
			break;
		reorder->reordered++;
	}
	return 0;
}

void reorder_release(struct reorder *reorder)
{
	free(reorder->arrivals);
	*reorder = (struct reorder){0};
}
