/* SPDX-License-Identifier: GPL-2.0-only */
/* join_feed.h - events to a join, or one that spills, as legs. */
#ifndef JOIN_FEED_H
#define JOIN_FEED_H

#include <criterion/criterion.h>

#include "legs_feed.h"
#include "lib/spill.h"

static inline int feed_put_join(void *join, const struct legs *legs)
{
	struct leg rest;
	size_t taken;
	int err = join_push(join, legs->legs, legs->count, &taken);

	cr_assert_eq(join_rest(join, &rest), false, "a leg of one event has none");
	cr_assert_eq(err || taken == legs->count, true);
	return err;
}

static inline int feed_join(struct join *join, const struct vnt_event *events, size_t count)
{
	static struct legs_feed feed;

	feed.now_ns = join_now(join);
	return feed_all(&feed, events, count, feed_put_join, join);
}

static inline int feed_put_spill(void *spill, const struct legs *legs)
{
	return spill_push(spill, legs->legs, legs->count);
}

static inline int feed_spill(struct spill *spill, const struct vnt_event *events, size_t count)
{
	static struct legs_feed feed;

	feed.now_ns = spill_now(spill);
	return feed_all(&feed, events, count, feed_put_spill, spill);
}

#endif
