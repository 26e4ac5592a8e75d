/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * merge.h - many traces as one source: one probe table, one clock, one order of time.
 *
 * Holds of each input a block, and rows up to its next events (about 8 MiB at most), whatever their
 * sizes. Events come in the order of time, whatever epochs say; those of equal time keep the
 * order of the inputs, so the result does not depend on anything but them.
 */
#ifndef VNT_MERGE_H
#define VNT_MERGE_H

#include "clock_table.h"
#include "reader.h"

enum merge_clock {
	MERGE_CLOCK_AUTO, /* domains booted together share a clock; else by packets, or CLOCK_REALTIME */
	MERGE_CLOCK_NONE, /* leave all times as they are */
};

#define MERGE_REASON_MAX 512

struct merge;

/*
 * Takes ownership of the readers, also on error, and changes the array. The first reader's first domain
 * is the reference clock. Readers of one trace are one input, with each block once: the files may be
 * copies of it, or rotations that overlap. What does not work comes with one line in `reason`
 * (MERGE_REASON_MAX bytes): -EEXIST, one recording in two different traces, or files of one trace that
 * contradict each other; -EINVAL, recordings that name packets in different ways.
 * Reads as far into each input as its clock anchors need; all of
 * it, and rewinds, if clocks must be found from packets. `clocks`, if not NULL, are taken instead of
 * what would be found; it is not kept.
 */
int merge_open(struct merge **merge, struct reader **readers, size_t count, enum merge_clock clock,
	       const struct clock_table *clocks, log_fn log, void *log_context, char *reason);

/* The joined tables, with each domain's clock_fit filled in; owned by the merge. */
const struct trace_info *merge_info(const struct merge *merge);

/* What the merged trace says of how long packets may be under way. Before merge_info() is written. */
void merge_set_horizon(struct merge *merge, uint64_t horizon_ns);

/* Reads the inputs with as many threads, the caller's counted, one call of `log` at a time; what comes
 * out is the same. Before the first merge_next(). 0 or -errno. */
int merge_threads(struct merge *merge, unsigned int threads);

/* From the first merge_next() on it yields legs (legs.h), each of no more than so many nanoseconds, in place
 * of events, and their counts before them. 0 or -ENOMEM. */
int merge_legs(struct merge *merge, uint64_t span_ns);

/* What they run, for others to use too; owned by the merge. */
struct pool *merge_pool(struct merge *merge);

/* 1: *batch is filled, times on the reference clock; 0: end; -errno. */
int merge_next(struct merge *merge, struct batch *batch);

/* What an error of merge_next() is about, in one line of up to MERGE_REASON_MAX bytes. */
void merge_explain(const struct merge *merge, int err, char *reason);

uint64_t merge_offset(const struct merge *merge); /* bytes that were read, of all inputs */
size_t merge_memory(const struct merge *merge);   /* bytes that it takes now */

uint64_t merge_damaged(const struct merge *merge); /* bytes, over all inputs; once all was read */

/* Is a part of an input damaged, or its end missing, as far as it was read? It was logged. */
bool merge_incomplete(const struct merge *merge);
void merge_close(struct merge *merge); /* accepts NULL */

#endif
