// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc32c.h"
#include "scan.h"
#include "tempfile.h"

#define BUFFER_MIN (1u << 18)
#define SEARCH_MAX (sizeof(struct vnt_block) + BLOCK_MAX) /* the second header begins before it */

struct scan {
	int fd;
	char *name;
	log_fn log;
	void *log_context;
	uint8_t *buffer;
	size_t capacity;
	size_t begin; /* what is not used yet */
	size_t end;
	uint64_t offset; /* of `begin` in the file */
	uint64_t tag;
	bool locked;
	bool is_trace;
	bool growing;
	size_t block_size; /* of the block at `begin` */
	bool incomplete;   /* the file ends inside it */
	bool skipping;
	bool truncated; /* skipping began with an incomplete block */
	uint64_t skipped_from;
	uint64_t damaged;
	uint64_t in_vain; /* bytes of payloads looked at for nothing */
	bool marked;
	off_t mark;           /* place in the file, or in the spool */
	uint64_t mark_offset; /* what `offset` was there, and `damaged` */
	uint64_t mark_damaged;
	uint64_t until; /* where a growing file ended when it was read for the first time */
	bool spooling;
	int spool; /* copy of what was read since the mark; below 0: none */
};

int scan_open(struct scan **out, int fd, const char *name, log_fn log, void *log_context)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	*out = NULL;
	if (!scan) {
		close(fd);
		return -ENOMEM;
	}
	scan->fd = fd;
	scan->spool = -1;
	scan->until = UINT64_MAX;
	scan->log = log;
	scan->log_context = log_context;
	scan->name = strdup(name);
	scan->capacity = BUFFER_MIN;
	scan->buffer = malloc(scan->capacity);
	if (!scan->name || !scan->buffer) {
		scan_close(scan);
		return -ENOMEM;
	}
	*out = scan;
	return 0;
}

void scan_close(struct scan *scan)
{
	if (!scan)
		return;
	close(scan->fd);
	if (scan->spool >= 0)
		close(scan->spool);
	free(scan->name);
	free(scan->buffer);
	free(scan);
}

void scan_set_log(struct scan *scan, log_fn log, void *log_context)
{
	scan->log = log;
	scan->log_context = log_context;
}

static size_t scan_available(const struct scan *scan)
{
	return scan->end - scan->begin;
}

/* Makes room for `size` bytes from `begin` on. */
static int scan_reserve(struct scan *scan, size_t size)
{
	uint8_t *buffer;

	if (scan->begin + size <= scan->capacity)
		return 0;
	memmove(scan->buffer, scan->buffer + scan->begin, scan_available(scan));
	scan->end -= scan->begin;
	scan->begin = 0;
	if (size <= scan->capacity)
		return 0;
	buffer = realloc(scan->buffer, size);
	if (!buffer)
		return -ENOMEM;
	scan->buffer = buffer;
	scan->capacity = size;
	return 0;
}

/* Keeps what was read where it can be read again. */
static int scan_copy(struct scan *scan, const uint8_t *bytes, size_t size)
{
	char line[512];
	int err = scan->spool < 0 ? scan->spool : tempfile_write(scan->spool, bytes, size);

	if (!err || !scan->log)
		return err;
	snprintf(line, sizeof(line), "cannot copy '%.200s' to a file in '%.200s'", scan->name,
		 tempfile_folder());
	scan->log(scan->log_context, line);
	return err;
}

/* Reads until `size` bytes are there or the file ends. */
static int scan_fill(struct scan *scan, size_t size)
{
	int err = scan_reserve(scan, size);

	while (!err && scan_available(scan) < size) {
		ssize_t got = read(scan->fd, scan->buffer + scan->end, scan->capacity - scan->end);

		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		if (scan->spooling)
			err = scan_copy(scan, scan->buffer + scan->end, got);
		scan->end += got;
	}
	return err;
}

static void scan_advance(struct scan *scan, size_t bytes)
{
	scan->begin += bytes;
	scan->offset += bytes;
}

static void scan_skip(struct scan *scan, size_t bytes, bool truncated)
{
	if (!scan->skipping) {
		scan->skipping = true;
		scan->truncated = truncated;
		scan->skipped_from = scan->offset;
	}
	scan_advance(scan, bytes);
}

static void scan_end_skip(struct scan *scan, bool at_end)
{
	char line[512];

	if (!scan->skipping)
		return;
	scan->skipping = false;
	scan->damaged += scan->offset - scan->skipped_from;
	snprintf(line, sizeof(line), "'%.400s' is %s: bytes %" PRIu64 "-%" PRIu64 " skipped",
		 scan->name, at_end && scan->truncated ? "truncated" : "damaged",
		 scan->skipped_from, scan->offset - 1);
	if (scan->log && scan->locked && !scan->marked)
		scan->log(scan->log_context, line);
}

/* Bytes to the next place where a header may start; not 0. */
static size_t scan_to_magic(const struct scan *scan)
{
	const uint8_t *from = scan->buffer + scan->begin + 1;
	size_t size = scan_available(scan) - 1;
	const uint8_t *found = memmem(from, size, BLOCK_MAGIC, strlen(BLOCK_MAGIC));

	if (found)
		return found - from + 1;
	return size - strlen(BLOCK_MAGIC) + 2; /* it may begin with the last three */
}

static bool scan_has_magic(const struct scan *scan)
{
	return scan_available(scan) >= strlen(BLOCK_MAGIC) &&
	       !memcmp(scan->buffer + scan->begin, BLOCK_MAGIC, strlen(BLOCK_MAGIC));
}

static bool scan_parse(struct scan *scan, struct vnt_block *block)
{
	const uint8_t *at = scan->buffer + scan->begin;

	if (!block_parse(block, at) || (scan->locked && block->tag != scan->tag))
		return false;
	scan->is_trace = true;
	return true;
}

static int scan_finish(struct scan *scan)
{
	if (scan->growing && scan->marked && !scan->skipping)
		scan->until = scan->offset;
	if (scan->growing && !scan->skipping)
		scan_advance(scan, scan_available(scan));
	else if (scan_available(scan))
		scan_skip(scan, scan_available(scan), true);
	scan_end_skip(scan, true);
	return 0;
}

int scan_next(struct scan *scan, struct vnt_block *block, const uint8_t **payload)
{
	const uint8_t *stored;
	int err;

	for (;;) {
		err = scan_fill(scan, sizeof(*block));
		if (err)
			return err;
		if (!scan->offset)
			scan->is_trace = scan_has_magic(scan);
		if (scan_available(scan) < sizeof(*block) || scan->offset >= scan->until)
			return scan_finish(scan);
		if (!scan->locked && scan->offset > SEARCH_MAX)
			return 0;
		if (scan_parse(scan, block))
			break;
		scan_skip(scan, scan_to_magic(scan), false);
	}
	scan->block_size = sizeof(*block) + block->stored;
	err = scan_fill(scan, scan->block_size);
	if (err)
		return err;
	stored = scan->buffer + scan->begin + sizeof(*block);
	scan->incomplete = scan_available(scan) < scan->block_size;
	if (scan->incomplete && scan->growing && !scan->skipping)
		return scan_finish(scan);
	*payload = NULL;
	if (!scan->incomplete && crc32c(stored, block->stored) == block->payload_crc)
		*payload = stored;
	return 1;
}

bool scan_is_skipping(const struct scan *scan)
{
	return scan->skipping;
}

void scan_accept(struct scan *scan)
{
	scan_end_skip(scan, false);
	scan_advance(scan, scan->block_size);
}

/* Valid headers nested in bad payloads could make this quadratic: what was looked at in vain stays
 * below a multiple of what was read, else the block is skipped whole. */
void scan_reject(struct scan *scan)
{
	size_t size = sizeof(struct vnt_block);

	scan->in_vain += scan->block_size;
	if (scan->in_vain > 4 * scan->offset + 2 * BLOCK_MAX)
		size = scan->incomplete ? scan_available(scan) : scan->block_size;
	scan_skip(scan, size, scan->incomplete);
}

void scan_spoil(struct scan *scan)
{
	scan->skipping = true;
	scan->truncated = false;
	scan->skipped_from = scan->offset - scan->block_size;
}

void scan_lock(struct scan *scan, uint64_t tag)
{
	scan->tag = tag;
	scan->locked = true;
}

void scan_set_growing(struct scan *scan)
{
	scan->growing = true;
}

bool scan_is_growing(const struct scan *scan)
{
	return scan->growing;
}

int scan_mark(struct scan *scan)
{
	off_t at = lseek(scan->fd, 0, SEEK_CUR);
	int err = 0;

	scan->mark_offset = scan->offset;
	scan->mark_damaged = scan->damaged;
	scan->mark = at - (off_t)scan_available(scan);
	if (at < 0) {
		scan->mark = 0;
		scan->spooling = true;
		scan->spool = tempfile_open();
		err = scan_copy(scan, scan->buffer + scan->begin, scan_available(scan));
	}
	scan->marked = !err;
	return err;
}

int scan_rewind(struct scan *scan)
{
	if (scan->spooling) {
		scan->spooling = false;
		close(scan->fd);
		scan->fd = scan->spool;
		scan->spool = -1;
	}
	if (lseek(scan->fd, scan->mark, SEEK_SET) < 0)
		return -errno;
	scan->marked = false;
	scan->begin = scan->end = 0;
	scan->offset = scan->mark_offset;
	scan->skipping = false;
	scan->damaged = scan->mark_damaged;
	scan->in_vain = 0;
	return 0;
}

uint64_t scan_offset(const struct scan *scan)
{
	return scan->offset;
}

uint64_t scan_damaged(const struct scan *scan)
{
	return scan->damaged;
}

size_t scan_memory(const struct scan *scan)
{
	return scan->capacity;
}

bool scan_is_trace(const struct scan *scan)
{
	return scan->is_trace;
}

const char *scan_name(const struct scan *scan)
{
	return scan->name;
}
