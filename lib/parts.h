/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * parts.h - the files that blocks of one recording are in, as one sequence of blocks.
 *
 * A file may be a copy that was made while it was written, or be cut: what several files have is taken
 * once. The number of each block (block.h) says exactly what is the same. What is damaged in one file,
 * and intact in another one, is not damaged. Blocks whose numbers are in no file, and where nothing is damaged, are
 * missing, which is logged and counts as damage of as many headers. Of a single file it is the scan (scan.h) and no
 * more.
 */
#ifndef VNT_PARTS_H
#define VNT_PARTS_H

#include "block.h"
#include "trace.h"

struct parts;

/* One file. Takes ownership of `fd` also on error. 0 or -ENOMEM. */
int parts_open(struct parts **parts, int fd, const char *name, log_fn log, void *log_context);
void parts_close(struct parts *parts); /* accepts NULL */
void parts_set_log(struct parts *parts, log_fn log, void *log_context);

/* From now on with those of `more` too, of which nothing but headers was read, as of `parts`. Takes
 * ownership of `more` also on error. 0 or -ENOMEM. */
int parts_join(struct parts *parts, struct parts *more);

/* As scan_next(). -EEXIST: two files contradict each other. Every block is answered with one of: */
int parts_next(struct parts *parts, struct vnt_block *block, const uint8_t **payload);
void parts_accept(struct parts *parts);
void parts_reject(struct parts *parts);

/* The last block, which was accepted, is damaged nevertheless. Before the next parts_next(). */
void parts_spoil(struct parts *parts);

/* What an error of parts_next() is about, in one line. */
void parts_explain(const struct parts *parts, int err, char *line, size_t size);

/* As those of scan.h, over all files. */
void parts_lock(struct parts *parts, uint64_t tag);
void parts_set_growing(struct parts *parts);
bool parts_is_growing(const struct parts *parts);
int parts_mark(struct parts *parts);
int parts_rewind(struct parts *parts);
uint64_t parts_offset(const struct parts *parts);
uint64_t parts_damaged(const struct parts *parts); /* that no file makes up for */
bool parts_is_trace(const struct parts *parts);
size_t parts_memory(const struct parts *parts);
const char *parts_name(const struct parts *parts); /* of the file that was read last */

#endif
