/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * spill.h - a join whose journeys may be more than memory holds.
 *
 * When they are, they and all legs that follow go to temporary files (tempfile.h), divided by a hash
 * of the packet; at the end each of these is joined by itself, its journeys go to another file, and
 * those are merged (the Grace hash join: Kitsuregawa et al., 1983). A part that is still too large is
 * divided again. The journeys, and their order, are those of join.h, whatever the memory.
 */
#ifndef VNT_SPILL_H
#define VNT_SPILL_H

#include <stdbool.h>

#include "join.h"

struct spill;

int spill_open(struct spill **spill, uint64_t horizon_ns, seat_fn done,
	       void *context); /* 0 or -ENOMEM */

/* Bytes for all of it, at least SPILL_MEMORY_MIN; at first there is no limit. If it takes more now, it
 * goes to the files with the next push, or while it is flushed. */
#define SPILL_MEMORY_MIN (1u << 20)
void spill_limit(struct spill *spill, size_t memory);
size_t spill_memory(const struct spill *spill); /* bytes that it takes now, about */

/* Is called now and then while spill_flush() hands out journeys, may lower the limit and may end it: 0 or
 * what spill_flush() is to return. */
typedef int (*spill_fn)(void *context);
void spill_watch(struct spill *spill, spill_fn watch, void *context);

void spill_mask_flows(struct spill *spill, uint64_t mask);          /* as join_mask_flows() */
void spill_probes(struct spill *spill, const struct probe *probes); /* as join_probes() */

/*
 * As join_push() and join_flush(): before the latter nothing is handed out any more, once memory was
 * too small. Also -errno of a temporary file; -ENOBUFS: the sightings of one packet alone do not fit, and
 * spill_needed() bytes would be needed. After spill_flush(), or an error, it can only be closed.
 */
int spill_push(struct spill *spill, const struct leg *legs, size_t count);

/* One whose turn has not come: behind others that are pushed, in order of time. 0 or -ENOMEM. */
int spill_push_later(struct spill *spill, const struct leg *leg);
int spill_flush(struct spill *spill);

uint64_t spill_now(const struct spill *spill); /* time of the last leg */
size_t spill_needed(const struct spill *spill);
bool spill_began(const struct spill *spill); /* was memory too small? */
void spill_close(struct spill *spill);       /* accepts NULL; hands nothing out */

#endif
