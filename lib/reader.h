/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * reader.h - reads a trace file or stream, block by block, trusting no byte of it.
 *
 * Damage (wrong CRC, impossible lengths, columns that do not decode, a truncated tail) costs the
 * blocks it touches and no others: the reader looks for the next valid block header, logs one line
 * with the byte range, and goes on. So it does where whole blocks are missing: their numbers show it. Events
 * known to be missing come as a LOSS_DAMAGED_FILE row.
 */
#ifndef VNT_READER_H
#define VNT_READER_H

#include "trace.h"

struct legs_shape; /* legs.h */
struct reader;

/*
 * Reads up to the header. Takes ownership of `fd` also on error (0 is closed too). `name` is used in
 * log lines. -ENODATA: empty; -EINVAL: not a trace file; -EBADMSG: no copy of the header is intact;
 * -EPROTONOSUPPORT: written by a newer major version; else the errno of read(2).
 */
int reader_open(struct reader **reader, int fd, const char *name, log_fn log, void *log_context);

/* The tables of the file; owned by the reader. Every `probe` and `domain` in a batch indexes them. */
const struct trace_info *reader_info(const struct reader *reader);
const char *reader_name(const struct reader *reader); /* of the file that was read last */

/*
 * Do both have blocks of one sequence, so that they can be joined? `reader` then yields what both have
 * together, each block once; of neither anything was read. Takes ownership of `more` also on error. 0
 * or -ENOMEM.
 */
bool reader_same_trace(const struct reader *a, const struct reader *b);
int reader_join(struct reader *reader, struct reader *more);

/* 1: *batch is filled, and its rows live until the next call but one; 0: end of file; -errno of
 * read(2), -ENOMEM, or -EEXIST: files that were joined contradict each other. Blocks of unknown type
 * are skipped. */
int reader_next(struct reader *reader, struct batch *batch);

/* What an error of reader_next() is about, in one line. */
void reader_explain(const struct reader *reader, int err, char *line, size_t size);

/* Is this batch, the last one read, what the reader itself found missing, not a row of the file? */
bool reader_found(const struct reader *reader, const struct batch *batch);

/* Bytes so far that could not be used, and that no joined file makes up for; of missing blocks the least that
 * they had. */
uint64_t reader_damaged(const struct reader *reader);

uint64_t reader_offset(const struct reader *reader); /* bytes read and used up, or skipped */
size_t reader_memory(const struct reader *reader);   /* bytes */
void reader_set_log(struct reader *reader, log_fn log, void *log_context);

/* Somebody is writing the file: it is read as far as it goes, and nothing is missing behind. */
void reader_set_growing(struct reader *reader);
bool reader_is_growing(const struct reader *reader);

/* From now on a batch has at most so many events, and a block of more comes in several. */
void reader_limit(struct reader *reader, size_t events);

/* From now on counts and legs of events come in their place, in two batches: what comes in one now is put
 * together. `shape` is not copied. Before any events were read. */
void reader_make_legs(struct reader *reader, const struct legs_shape *shape);

/* While this is true, events that would come next are not decoded: what comes is an empty batch of them. */
void reader_hold(struct reader *reader, bool hold);

/*
 * To read the batches twice: marks the place right after the header, to which reader_rewind() returns
 * once the end was reached. Damage is said at the second time. A pipe is copied meanwhile to a file
 * without a name (tempfile.h). 0 or -errno.
 */
int reader_mark(struct reader *reader);
int reader_rewind(struct reader *reader);

/* Until reader_rewind() events have only these fields (FIELD_BIT of field.h), the others are 0: faster. */
void reader_want(struct reader *reader, uint32_t wanted);

void reader_close(struct reader *reader); /* accepts NULL */

#endif
