// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "columns.h"
#include "header.h"
#include "pack.h"
#include "rows.h"
#include "writer.h"

#define PAYLOAD_MAX (COLUMNS_MAX > ROWS_MAX ? COLUMNS_MAX : ROWS_MAX)

#define WAIT_MS 100
#define WAITS   10 /* for room in a pipe, after it is time to stop */

struct writer {
	int fd;
	bool is_pipe; /* or a socket */
	stop_fn stop;
	void *stop_context;
	int error;  /* the first one; nothing is written after it */
	bool whole; /* the file ends with a whole block nevertheless */
	uint64_t bytes;
	uint64_t events;
	uint64_t last_start;  /* bytes before the last block of events */
	size_t last_events;   /* in it; 0 if there is none, or it was taken back */
	uint32_t last_blocks; /* before it */
	uint64_t last_ns;     /* of the events put so far */
	uint64_t tag;
	size_t ndomains;
	size_t nprobes;
	struct encoder *encoder;
	uint8_t *raw; /* both PAYLOAD_MAX, touched only as far as a block needs */
	uint8_t *packed;
	struct packs *packs; /* or NULL; then the rest is 0 */
	size_t gathered;     /* events in the next block */
	uint64_t first_ns;   /* time of the first of them */
	uint64_t queued;     /* events in blocks before it */
	uint64_t queued_ns;  /* time of the last of them */
	uint32_t blocks;     /* written or queued so far */
};

static void vector_advance(struct iovec *vector, size_t bytes)
{
	for (int i = 0; i < 2; i++) {
		size_t part = bytes < vector[i].iov_len ? bytes : vector[i].iov_len;

		vector[i].iov_base = (uint8_t *)vector[i].iov_base + part;
		vector[i].iov_len -= part;
		bytes -= part;
	}
}

/* Takes back the part of a block that was written; whether the file ends with a whole one now. The
 * position tells where it ends, also if the file was opened for appending. */
static bool writer_undo(struct writer *writer, size_t bytes)
{
	off_t end = lseek(writer->fd, 0, SEEK_CUR);
	struct stat st;

	if (!bytes)
		return true;
	if (end < (off_t)bytes || fstat(writer->fd, &st) || !S_ISREG(st.st_mode))
		return false;
	return !ftruncate(writer->fd, end - bytes) && lseek(writer->fd, end - bytes, SEEK_SET) >= 0;
}

/* Waits until at least a page can be written. 0 or -errno. */
static int writer_wait(const struct writer *writer)
{
	struct pollfd pipe = {.fd = writer->fd, .events = POLLOUT};
	int waits = 0, ready;

	do {
		ready = poll(&pipe, 1, WAIT_MS);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (writer->stop && writer->stop(writer->stop_context))
			waits++;
	} while (ready <= 0 && waits < WAITS);
	return ready > 0 ? 0 : -ETIMEDOUT;
}

/*
 * Writes what is there, or the start of it; bytes or -errno. A pipe gets no more than it has room for:
 * a write that blocks could not be given up, and one that does not may not be asked for, as that mode
 * belongs to all who share the pipe.
 */
static ssize_t writer_some(const struct writer *writer, const struct iovec *vector)
{
	struct iovec part[2] = {vector[0], vector[1]};
	size_t room = PIPE_BUF;
	ssize_t got;
	int err = 0;

	for (int i = 0; writer->is_pipe && i < 2; i++) {
		part[i].iov_len = part[i].iov_len < room ? part[i].iov_len : room;
		room -= part[i].iov_len;
	}
	if (writer->is_pipe)
		err = writer_wait(writer);
	if (err)
		return err;
	got = writev(writer->fd, part, 2);
	return got < 0 ? -errno : got;
}

static int writer_write(struct writer *writer, struct iovec *vector)
{
	size_t done = 0;

	while (vector[0].iov_len + vector[1].iov_len) {
		ssize_t got = writer_some(writer, vector);

		if (got >= 0) {
			vector_advance(vector, got);
			done += got;
		} else if (got != -EINTR && got != -EAGAIN) { /* room that another writer took */
			writer->error = got;
			writer->whole = writer_undo(writer, done);
			return writer->error;
		}
	}
	writer->bytes += done;
	return 0;
}

/* Writes a sealed block. */
static int writer_write_block(struct writer *writer, const struct vnt_block *block,
			      const uint8_t *payload, size_t stored)
{
	struct iovec vector[2] = {
		{.iov_base = (void *)block, .iov_len = sizeof(*block)},
		{.iov_base = (void *)payload, .iov_len = stored},
	};

	return writer_write(writer, vector);
}

/* Seals and writes a block of which type, raw, rows, first_ns and last_ns are set. */
static int writer_block(struct writer *writer, struct vnt_block *block, const uint8_t *payload)
{
	size_t stored;
	int err;

	block->watermark_ns = block->last_ns;
	block->position = writer->events;
	block->tag = writer->tag;
	block->sequence = writer->blocks;
	stored = pack_block(block, payload, writer->packed, &payload);
	err = writer_write_block(writer, block, payload, stored);
	writer->blocks += !err && block->type != BLOCK_HEADER;
	return err;
}

static int writer_put_events(struct writer *writer, const struct vnt_event *events, size_t count)
{
	struct vnt_block block = {
		.type = BLOCK_EVENTS,
		.rows = count,
		.first_ns = events[0].time_ns,
		.last_ns = events[count - 1].time_ns,
		.raw = encoder_run(writer->encoder, events, count, writer->raw),
	};
	uint64_t start = writer->bytes;
	int err = writer_block(writer, &block, writer->raw);

	if (err)
		return err;
	writer->last_start = start;
	writer->last_blocks = writer->blocks - 1;
	writer->last_events = count;
	writer->events += count;
	writer->last_ns = events[count - 1].time_ns;
	return 0;
}

/* pack_fn: a block whose turn has come. */
static int writer_take(void *context, const struct vnt_block *block, const uint8_t *payload,
		       size_t stored, size_t events)
{
	struct writer *writer = context;
	int err = writer_write_block(writer, block, payload, stored);

	if (!err)
		writer->events += events;
	return err;
}

static int writer_queue_gathered(struct writer *writer)
{
	struct vnt_block block = {
		.type = BLOCK_EVENTS,
		.rows = writer->gathered,
		.first_ns = writer->first_ns,
		.last_ns = writer->last_ns,
		.watermark_ns = writer->last_ns,
	};

	if (!writer->gathered)
		return 0;
	block.position = writer->queued;
	block.tag = writer->tag;
	block.sequence = writer->blocks++;
	writer->queued += writer->gathered;
	writer->queued_ns = block.last_ns;
	writer->gathered = 0;
	return packs_queue_events(writer->packs, &block);
}

static int writer_gather(struct writer *writer, const struct vnt_event *events, size_t count)
{
	int err = 0;

	while (count && !err) {
		size_t room = PACK_EVENTS - writer->gathered, n = count < room ? count : room;

		err = packs_add(writer->packs, events, n);
		if (err)
			return err;
		if (!writer->gathered)
			writer->first_ns = events[0].time_ns;
		writer->last_ns = events[n - 1].time_ns;
		writer->gathered += n;
		events += n;
		count -= n;
		if (writer->gathered == PACK_EVENTS)
			err = writer_queue_gathered(writer);
	}
	return err;
}

/* Rows that only say what events mean need not wait for those that are gathered. */
static bool comes_between_events(enum batch_type type)
{
	return type == BATCH_EPOCHS || type == BATCH_LOSSES;
}

static int writer_queue_rows(struct writer *writer, struct vnt_block *block, enum batch_type type)
{
	int err = comes_between_events(type) ? writer_queue_gathered(writer) : 0;

	block->first_ns = block->last_ns = block->watermark_ns = writer->queued_ns;
	block->position = writer->queued;
	block->tag = writer->tag;
	block->sequence = writer->blocks++;
	return err ? err : packs_queue_rows(writer->packs, block, writer->raw);
}

static int writer_put_rows(struct writer *writer, const struct row_type *type, const void *rows,
			   size_t count)
{
	struct vnt_block block = {
		.type = type->block,
		.rows = count,
		.first_ns = writer->last_ns,
		.last_ns = writer->last_ns,
		.raw = rows_encode(type, rows, count, writer->raw),
	};

	if (writer->packs)
		return writer_queue_rows(writer, &block, type->batch);
	return writer_block(writer, &block, writer->raw);
}

int writer_use(struct writer *writer, struct pool *pool)
{
	return packs_open(&writer->packs, pool, writer_take, writer);
}

int writer_flush(struct writer *writer)
{
	int err = writer->packs ? writer_queue_gathered(writer) : 0;

	if (writer->packs && !err)
		err = packs_flush(writer->packs);
	return err;
}

/*
 * The file's tag is a hash (FNV-1a) of its header, which holds the random number of each recording:
 * nobody whose packets are recorded can know it, and merging the same traces gives the same bytes.
 */
static uint64_t make_tag(const uint8_t *header, size_t size)
{
	uint64_t tag = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		tag = (tag ^ header[i]) * 0x100000001b3ull;
	return tag;
}

static int writer_put_header(struct writer *writer, const struct trace_info *info)
{
	uint8_t *payload = NULL;
	size_t size;
	int err = header_encode(info, &payload, &size);

	if (!err)
		writer->tag = make_tag(payload, size);
	for (int copy = 0; !err && copy < 2; copy++) {
		struct vnt_block block = {.type = BLOCK_HEADER, .raw = size};

		err = writer_block(writer, &block, payload);
	}
	free(payload);
	return err;
}

/* What a file holds behind the trace would pass for damage. */
static int writer_prepare(struct writer *writer)
{
	struct stat st;

	if (fstat(writer->fd, &st))
		return 0; /* the first write says what is wrong */
	writer->is_pipe = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
	if (!S_ISREG(st.st_mode) || fcntl(writer->fd, F_GETFL) & O_APPEND)
		return 0;
	return ftruncate(writer->fd, lseek(writer->fd, 0, SEEK_CUR)) ? -errno : 0;
}

int writer_open(struct writer **out, int fd, const struct trace_info *info)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int err = -ENOMEM;

	*out = NULL;
	if (!writer)
		return err;
	writer->fd = fd;
	writer->ndomains = info->ndomains;
	writer->nprobes = info->nprobes;
	writer->raw = malloc(PAYLOAD_MAX);
	writer->packed = malloc(PAYLOAD_MAX);
	if (!writer->raw || !writer->packed)
		goto out;
	err = encoder_open(&writer->encoder);
	if (err)
		goto out;
	err = writer_prepare(writer);
	if (!err)
		err = writer_put_header(writer, info);
out:
	if (err)
		writer_close(writer);
	else
		*out = writer;
	return err;
}

static bool events_valid(const struct writer *writer, const struct vnt_event *events, size_t count)
{
	uint64_t time_ns = writer->last_ns;

	for (size_t i = 0; i < count; i++) {
		if (events[i].time_ns < time_ns || events[i].probe >= writer->nprobes)
			return false;
		time_ns = events[i].time_ns;
	}
	return true;
}

int writer_put(struct writer *writer, const struct batch *batch)
{
	const struct row_type *type = row_type_of_batch(batch->type);
	int err = writer->error;

	if (batch->type == BATCH_EVENTS) {
		if (!events_valid(writer, batch->events, batch->count))
			return -EINVAL;
	} else if (!type || !rows_valid(type, batch->rows, batch->count, writer->ndomains,
					writer->nprobes)) {
		return -EINVAL;
	}
	for (size_t i = 0; !err && i < batch->count; i += BLOCK_ROWS) {
		size_t count = batch->count - i < BLOCK_ROWS ? batch->count - i : BLOCK_ROWS;

		if (!type && writer->packs)
			err = writer_gather(writer, &batch->events[i], count);
		else if (!type)
			err = writer_put_events(writer, &batch->events[i], count);
		else
			err = writer_put_rows(writer, type,
					      (const uint64_t *)batch->rows + i * type->words,
					      count);
	}
	return err;
}

void writer_stop_when(struct writer *writer, stop_fn stop, void *context)
{
	writer->stop = stop;
	writer->stop_context = context;
}

size_t writer_memory(const struct writer *writer)
{
	return sizeof(*writer) + (writer->packs ? packs_memory(writer->packs) : PACK_MEMORY);
}

uint64_t writer_bytes(const struct writer *writer)
{
	return writer->bytes;
}

uint64_t writer_events(const struct writer *writer)
{
	return writer->events;
}

int writer_error(const struct writer *writer)
{
	return writer->error;
}

void writer_resume(struct writer *writer)
{
	if (writer->whole)
		writer->error = 0;
}

size_t writer_take_back(struct writer *writer)
{
	size_t count = writer->last_events;

	if (!count || !writer_undo(writer, writer->bytes - writer->last_start))
		return 0;
	writer->error = 0;
	writer->bytes = writer->last_start;
	writer->blocks = writer->last_blocks;
	writer->events -= count;
	writer->last_events = 0;
	return count;
}

void writer_close(struct writer *writer)
{
	if (!writer)
		return;
	packs_close(writer->packs);
	encoder_close(writer->encoder);
	free(writer->raw);
	free(writer->packed);
	free(writer);
}
