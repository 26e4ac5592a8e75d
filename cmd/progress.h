/* SPDX-License-Identifier: GPL-2.0-only */
/* progress.h - how far the reading of inputs has come, on a terminal; on anything else nothing. */
#ifndef VNT_PROGRESS_H
#define VNT_PROGRESS_H

#include "options.h"
#include "lib/merge.h"

struct progress {
	bool shown;     /* at all */
	uint64_t total; /* bytes of the inputs; 0 if not known */
	uint64_t events;
	uint64_t start_ns;
	uint64_t next_ns; /* when it is shown again */
};

void progress_begin(struct progress *progress, const struct string_list *inputs);

/* The merge has handed out that batch. */
void progress_batch(struct progress *progress, const struct merge *merge,
		    const struct batch *batch);
void progress_end(struct progress *progress);

#endif
