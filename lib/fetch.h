/* SPDX-License-Identifier: GPL-2.0-only */
/* fetch.h - a reader whose next batch is read by a pool while the last one is used, once it may. */
#ifndef VNT_FETCH_H
#define VNT_FETCH_H

#include "pool.h"
#include "reader.h"

/* What one call of the reader gave. */
struct fetched {
	struct batch batch;
	int result;       /* as of reader_next() */
	uint64_t damaged; /* as of reader_damaged(), after it */
	uint64_t offset;  /* as of reader_offset() */
	size_t memory;    /* as of reader_memory() */
	char **lines;     /* that were logged meanwhile */
	size_t nlines;
	size_t lines_room;
	int err; /* of keeping them */
};

struct fetch {
	struct task task;
	struct reader *reader;
	struct pool *pool;    /* NULL: not yet */
	struct fetched ahead; /* what the task reads */
	struct fetched last;  /* what was handed out, without the lines */
	bool ended;
	log_fn log;
	void *log_context;
};

/* Takes over the reader's log, but not the reader, which is read when its next batch is asked for. */
void fetch_open(struct fetch *fetch, struct reader *reader, log_fn log, void *log_context);

/* From now on it is read ahead. The pool outlives the fetch. */
void fetch_start(struct fetch *fetch, struct pool *pool);

/* As reader_next(). Damage is said, and counts, when its turn comes. `thread`: see pool_wait(). */
int fetch_next(struct fetch *fetch, struct batch *batch, unsigned int thread);
uint64_t fetch_damaged(const struct fetch *fetch);
uint64_t fetch_offset(const struct fetch *fetch);
size_t fetch_memory(const struct fetch *fetch);

/* Waits for what is being read. Accepts one that was not started. */
void fetch_stop(struct fetch *fetch);

#endif
