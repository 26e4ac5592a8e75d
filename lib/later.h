/* SPDX-License-Identifier: GPL-2.0-only */
/* later.h - legs that wait for their turn. */
#ifndef VNT_LATER_H
#define VNT_LATER_H

#include "legs.h"

/* A heap: the first one in order of time, number, flow and key is in front. All zero holds none. */
struct later {
	struct leg *legs;
	size_t count;
	size_t room;
};

int later_add(struct later *later, const struct leg *leg); /* 0 or -ENOMEM */

/* Does the first of them come before the leg? Before one of the same time it does. */
static inline bool later_is_due(const struct later *later, const struct leg *leg)
{
	return later->count && later->legs[0].first_ns <= leg->first_ns;
}

/* Takes the first of them; there is one. */
struct leg later_take(struct later *later);
void later_release(struct later *later);

#endif
