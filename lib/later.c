// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "array.h"
#include "later.h"

static bool comes_before(const struct later *later, const struct leg *a, const struct leg *b)
{
	uint32_t a_input, b_input;

	if (a->first_ns != b->first_ns)
		return a->first_ns < b->first_ns;
	a_input = probe_input(later->probes, a->probes[0]);
	b_input = probe_input(later->probes, b->probes[0]);
	if (a_input != b_input)
		return a_input < b_input;
	if (a->number != b->number)
		return (int32_t)(a->number - b->number) < 0;
	return a->flow != b->flow ? a->flow < b->flow : a->key < b->key;
}

int later_add(struct later *later, const struct leg *leg)
{
	size_t at = later->count;
	int err = array_reserve(&later->legs, &later->room, at + 1, sizeof(*later->legs));

	if (err)
		return err;
	for (; at && comes_before(later, leg, &later->legs[(at - 1) / 2]); at = (at - 1) / 2)
		later->legs[at] = later->legs[(at - 1) / 2];
	later->legs[at] = *leg;
	later->count++;
	return 0;
}

struct leg later_take(struct later *later)
{
	struct leg first = later->legs[0], last = later->legs[--later->count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < later->count) {
		child += child + 1 < later->count &&
			 comes_before(later, &later->legs[child + 1], &later->legs[child]);
		if (!comes_before(later, &later->legs[child], &last))
			break;
		later->legs[at] = later->legs[child];
		at = child;
	}
	later->legs[at] = last;
	return first;
}

void later_release(struct later *later)
{
	free(later->legs);
	*later = (struct later){.probes = later->probes};
}
