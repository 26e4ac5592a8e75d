/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * changes.h - epochs, kept until the journeys that they are news for.
 *
 * Journeys come late, and how late depends on memory. What one is judged by must not: it is what the
 * trace had said by the time when the journey's horizon was over.
 */
#ifndef VNT_CHANGES_H
#define VNT_CHANGES_H

#include "epochs.h"
#include "rates.h"

struct change_news {
	uint64_t known_ns;    /* the trace had come so far */
	bool domain;          /* its first event, */
	struct epoch_row row; /* and then `probe` is the domain */
};

/* All zero holds nothing. */
struct changes {
	struct change_news *news;
	size_t first; /* that was not told */
	size_t count;
	size_t room;
};

/* When the trace has come so far. 0 or -ENOMEM. */
int changes_epoch(struct changes *changes, uint64_t known_ns, const struct epoch_row *row);

/* The trace comes no further than that. */
void changes_end(struct changes *changes, uint64_t end_ns);

/* The domain's first event, before the trace has come so far; the earliest one that is said counts. 0 or
 * -ENOMEM. */
int changes_domain(struct changes *changes, uint16_t domain, uint64_t time_ns);

/* Is anything known by then that was not told? */
static inline bool changes_due(const struct changes *changes, uint64_t until_ns)
{
	return changes->first < changes->count &&
	       changes->news[changes->first].known_ns <= until_ns;
}

/* Tells what was known by then. 0 or -ENOMEM. */
int changes_tell(struct changes *changes, uint64_t until_ns, struct epochs *epochs,
		 struct rates *rates);
void changes_release(struct changes *changes);

#endif
