/* SPDX-License-Identifier: GPL-2.0-only */
/* merge_private.h - what merge_open.c makes, and merge.c merges with. */
#ifndef VNT_MERGE_PRIVATE_H
#define VNT_MERGE_PRIVATE_H

#include "columns.h"
#include "merge.h"
#include "merge_input.h"
#include "merge_sort.h"
#include "merge_tables.h"

#define SEEN 65536 /* direct-mapped; a collision only repeats a row */

/* Events of an input that are decoded at a time: few enough to stay in the cache until they are merged. But
 * what other threads decode ahead must last: that many of all inputs. */
#define DECODED       4096
#define DECODED_AHEAD (1u << 16)
_Static_assert(DECODED % DECODER_CHUNK == 0, "what is kept of a damaged block is always the same");

/* One batch, and what it is in. */
struct merged {
	struct batch batch;
	int result;               /* as of merge_next() */
	struct vnt_event *events; /* SORT_MAX of them; or NULL, */
	struct leg *legs;         /* and that many of these */
	void *rows;               /* what a row batch was copied to */
	size_t rows_size;
};

/* Where an event, or leg, of a step is. */
struct source {
	uint32_t input;
	uint32_t at; /* in its batch */
};

/* Batches that are made at once, while those before are used: so many that it pays to wake a thread. */
#define ROUND 4

struct round {
	struct merged merged[ROUND];
	size_t count;
	uint64_t offset; /* after it */
	size_t memory;
};

struct merge {
	struct trace_info info;
	struct merge_input *inputs;
	size_t ninputs;
	size_t refill; /* input whose next batch must be read before anything else, or ninputs */
	size_t filled; /* inputs whose first batch was read: one after the other */
	uint64_t width_ns; /* of a step: events of about this much time are sorted at once */
	size_t *taken;     /* per input: events in this step */
	struct source sources[SORT_MAX]; /* ... of all inputs, one's behind another's, */
	struct sorter sorter;            /* and their times since the first one */
	struct merged *making;
	bool started;  /* to read ahead */
	bool has_legs; /* in place of events */
	uint32_t nlegs;
	struct pool *pool;
	struct task task;    /* makes a round */
	unsigned int thread; /* that runs it */
	struct round rounds[2];
	unsigned int side; /* the round that is handed out; the task makes the other one */
	size_t handed;     /* of it */
	uint64_t seen[SEEN];
	struct clock_rows ranges; /* that this merge found; count 0 once handed out */
};

/* Makes one batch, or several if other threads use those before. */
void merge_make_round(struct task *task, unsigned int thread);

size_t merge_inputs_memory(const struct merge *merge); /* what the inputs take */

#endif
