/* SPDX-License-Identifier: GPL-2.0-only */
/* later.h - legs that wait for their turn. */
#ifndef VNT_LATER_H
#define VNT_LATER_H

#include "legs.h"

/* A heap: the first one in order of time, input, number, flow and key is in front. All zero holds none. */
struct later {
	const struct probe *probes; /* as of join_probes() */
	struct leg *legs;
	size_t count;
	size_t room;
};

int later_add(struct later *later, const struct leg *leg); /* 0 or -ENOMEM */

/* Does the first of them come before the leg? Before one of the same time and input it does. */
static inline bool later_is_due(const struct later *later, const struct leg *leg)
{
	const struct leg *first = later->legs;

	if (!later->count || first->first_ns != leg->first_ns)
		return later->count && first->first_ns < leg->first_ns;
	return probe_input(later->probes, first->probes[0]) <=
	       probe_input(later->probes, leg->probes[0]);
}

/* Takes the first of them; there is one. */
struct leg later_take(struct later *later);
void later_release(struct later *later);

#endif
