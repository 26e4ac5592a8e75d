// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "reorder.h"

int reorder_add(struct reorder *reorder, uint64_t sent_ns, uint64_t arrived_ns)
{
	int err;

	while (reorder->count > reorder->front &&
	       reorder->arrivals[reorder->count - 1] > arrived_ns) {
		reorder->count--;
		reorder->reordered++;
	}
	/* Nothing from here on arrives before it sets out. */
	while (reorder->front < reorder->count && reorder->arrivals[reorder->front] <= sent_ns)
		reorder->front++;
	if (reorder->front > reorder->count / 2) {
		reorder->count -= reorder->front;
		if (reorder->count)
			memmove(reorder->arrivals, reorder->arrivals + reorder->front,
				reorder->count * sizeof(*reorder->arrivals));
		reorder->front = 0;
	}
	err = array_reserve(&reorder->arrivals, &reorder->room, reorder->count + 1,
			    sizeof(*reorder->arrivals));
	if (!err)
		reorder->arrivals[reorder->count++] = arrived_ns;
	return err;
}

void reorder_release(struct reorder *reorder)
{
	free(reorder->arrivals);
	*reorder = (struct reorder){0};
}
