/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * writer.h - appends blocks to a trace file (format: man/vnettrace.5).
 *
 * Not thread-safe. Nothing is allocated between writer_open() and writer_close().
 */
#ifndef VNT_WRITER_H
#define VNT_WRITER_H

#include "trace.h"

struct writer;
struct pool;

typedef bool (*stop_fn)(void *context);

/* Writes the header (twice, so that one damaged sector cannot lose it) to `fd`, which stays the
 * caller's. `fd` may be a pipe; a regular file is cut off at its position first, unless it is open for
 * appending. 0 or -errno; on error *writer is NULL. */
int writer_open(struct writer **writer, int fd, const struct trace_info *info);

/*
 * Lets the writer give up on a pipe or socket that nobody reads: once `stop` says true it waits no
 * more than a second for room, and the put fails with -ETIMEDOUT. Without it, it waits for ever.
 */
void writer_stop_when(struct writer *writer, stop_fn stop, void *context);

/*
 * Appends one block (several if the batch is large). Events must not be earlier than any event
 * put before. 0 or -errno of write(2). After an error the file ends with the last whole block
 * where the file can be truncated, and every later put returns the same error.
 */
int writer_put(struct writer *writer, const struct batch *batch);

/* From now on, and before the first put, a pool packs the blocks: of events they are larger, what is
 * put is written later, and after an error nothing more. The bytes do not depend on the pool. It
 * outlives the writer. 0 or -ENOMEM. */
int writer_use(struct writer *writer, struct pool *pool);
int writer_flush(struct writer *writer); /* until all is written; as writer_put() */

uint64_t writer_bytes(const struct writer *writer);  /* written so far */
size_t writer_memory(const struct writer *writer);   /* bytes, about */
uint64_t writer_events(const struct writer *writer); /* events in blocks that were written whole */

int writer_error(const struct writer *writer); /* of the first write that failed, or 0 */

/* After a failed write: tries to write again, where the file ends with a whole block. */
void writer_resume(struct writer *writer);

/* Takes back the last block of events, and what follows it, so that something small has room. Returns
 * how many events that are; 0 where it cannot be done. */
size_t writer_take_back(struct writer *writer);

/* Frees; accepts NULL. Does not close the descriptor. */
void writer_close(struct writer *writer);

#endif
