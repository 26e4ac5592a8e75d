/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scan.h - finds the intact blocks in a file or stream, and keeps account of the bytes between them.
 *
 * Works through a buffer that grows to the largest block. Every block that scan_next() finds is
 * answered with scan_accept() or scan_reject().
 */
#ifndef VNT_SCAN_H
#define VNT_SCAN_H

#include "block.h"
#include "trace.h"

struct scan;

/* Takes ownership of `fd` also on error. 0 or -ENOMEM. */
int scan_open(struct scan **scan, int fd, const char *name, log_fn log, void *log_context);
void scan_close(struct scan *scan); /* accepts NULL */
void scan_set_log(struct scan *scan, log_fn log, void *log_context);

/*
 * 1: *block is the next header that is valid, and *payload its stored bytes, or NULL if they are not
 * intact; 0: end; -ENOMEM or -errno of read(2), after which it can be called again.
 */
int scan_next(struct scan *scan, struct vnt_block *block, const uint8_t **payload);

/* Goes on behind the block. Logs the damaged range before it, if there was one. */
void scan_accept(struct scan *scan);

/* Is what comes right before the block that was found last damaged? */
bool scan_is_skipping(const struct scan *scan);

/* Counts the block as damaged and looks for the next one inside it too: its length may be that of
 * bytes that are missing. */
void scan_reject(struct scan *scan);

/* Counts the block that was accepted last as damaged. */
void scan_spoil(struct scan *scan);

/* From now on only blocks with this tag count: bytes of a payload never pass for a block. Before
 * that nothing is logged, and the end is where no header can begin any more. */
void scan_lock(struct scan *scan, uint64_t tag);

/* Somebody is writing the file: that it ends within a block is no damage. */
void scan_set_growing(struct scan *scan);
bool scan_is_growing(const struct scan *scan);

/* To read what comes from here on twice: scan_rewind(), once the end was reached, returns here. Until then
 * nothing is logged. The second time a growing file ends where it did the first time. What cannot seek is
 * copied meanwhile to a file without a name, in $TMPDIR or /var/tmp. 0 or -errno. */
int scan_mark(struct scan *scan);
int scan_rewind(struct scan *scan);

uint64_t scan_offset(const struct scan *scan);  /* in the file, of what comes next */
uint64_t scan_damaged(const struct scan *scan); /* bytes in all damaged ranges so far */
bool scan_is_trace(const struct scan *scan);    /* starts like one, or has a valid block header */
size_t scan_memory(const struct scan *scan);    /* bytes */
const char *scan_name(const struct scan *scan);

#endif
