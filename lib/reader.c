// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "codec.h"
#include "columns.h"
#include "header.h"
#include "legs.h"
#include "parts.h"
#include "reader.h"
#include "rows.h"

struct buffer {
	void *bytes;
	size_t size;
};

struct reader {
	struct parts *parts;
	struct decoder *decoder;
	struct trace_info info;
	uint64_t tag;
	bool numbered;                  /* the blocks */
	struct buffer rows[2];          /* of the last batch, and of the last but one */
	int side;                       /* the latter: where the next one goes */
	uint64_t start;                 /* events in the files before */
	uint64_t position;              /* ... and those read or known to be missing */
	uint64_t watermark_ns;          /* the time of the last of them; 0 before the first */
	uint64_t last_ns;               /* of the events handed out */
	size_t batch_max;               /* events */
	size_t left;                    /* events of the last block that were not decoded yet */
	uint64_t until_ns;              /* the time of the last of them */
	const struct legs_shape *shape; /* or NULL: events stay what they are */
	struct legs legs[2];            /* of the last batch, and of the last but one */
	struct loss_row missing;
	struct loss_row loss; /* `missing`, as it was handed out */
	struct batch next[2]; /* what comes behind the last batch */
	size_t nnext;
	struct vnt_block block; /* the last one */
	const uint8_t *payload;
	bool hold; /* blocks of events */
	bool held; /* that one: it comes again */
};

static int buffer_reserve(struct buffer *buffer, size_t size)
{
	if (size <= buffer->size)
		return 0;
	free(buffer->bytes);
	buffer->bytes = malloc(size);
	buffer->size = buffer->bytes ? size : 0;
	return buffer->bytes ? 0 : -ENOMEM;
}

/* Lets *payload point to block->raw decompressed bytes. */
static int reader_unpack(struct reader *reader, const struct vnt_block *block,
			 const uint8_t **payload)
{
	const struct codec *codec = codec_find(block->codec);
	uint8_t *raw;
	int err;

	if (!codec)
		return -EBADMSG;
	if (!codec->decompress)
		return block->stored == block->raw ? 0 : -EBADMSG;
	raw = decoder_room(reader->decoder, block->raw);
	if (!raw)
		return -ENOMEM;
	err = codec->decompress(*payload, block->stored, raw, block->raw);
	*payload = raw;
	return err;
}

/* For the next batch. The one before keeps its rows, however many blocks are tried. */
static void *reader_room(struct reader *reader, size_t size)
{
	struct buffer *rows = &reader->rows[reader->side];

	return buffer_reserve(rows, size) ? NULL : rows->bytes;
}

static int reader_take_events(struct reader *reader, size_t max, struct batch *batch)
{
	struct vnt_event *events = reader_room(reader, max * sizeof(*events));
	int count = events ? decoder_next(reader->decoder, events, max) : -ENOMEM;

	if (count > 0)
		*batch = (struct batch){.type = BATCH_EVENTS,
					.count = count,
					.events = events,
					.first_ns = events[0].time_ns,
					.last_ns = events[count - 1].time_ns};
	return count;
}

/* *batch is the counts, and the legs come next. */
static int reader_take_legs(struct reader *reader, size_t max, struct batch *batch)
{
	struct legs *legs = &reader->legs[reader->side];
	int count;

	if (legs->room < max) {
		legs_close(legs);
		if (legs_open(legs, reader->batch_max))
			return -ENOMEM;
	}
	count = decoder_next_legs(reader->decoder, reader->shape, legs, max);
	if (count <= 0)
		return count;
	*batch = (struct batch){.type = BATCH_COUNTS,
				.count = legs->ncounts,
				.counts = legs->counts,
				.first_ns = legs->first_ns,
				.last_ns = legs->last_ns};
	reader->next[0] = *batch;
	reader->next[0].type = BATCH_LEGS;
	reader->next[0].count = legs->count;
	reader->next[0].legs = legs->legs;
	reader->nnext = 1;
	return count;
}

/* The next events of a block: `left` in all. */
static int reader_take(struct reader *reader, size_t left, struct batch *batch)
{
	size_t max = left < reader->batch_max ? left : reader->batch_max;
	int count = reader->shape ? reader_take_legs(reader, max, batch)
				  : reader_take_events(reader, max, batch);

	if (count < 0)
		return count;
	reader->left = left - count;
	reader->last_ns = batch->last_ns;
	reader->side = !reader->side;
	return 0;
}

static int reader_events(struct reader *reader, const struct vnt_block *block,
			 const uint8_t *payload, struct batch *batch)
{
	int err;

	if (block->first_ns < reader->last_ns)
		return -EBADMSG;
	reader->until_ns = block->last_ns;
	err = decoder_begin(reader->decoder, payload, block->raw, block, reader->info.nprobes);
	return err ? err : reader_take(reader, block->rows, batch);
}

static int reader_rows(struct reader *reader, const struct row_type *type,
		       const struct vnt_block *block, const uint8_t *payload, struct batch *batch)
{
	void *rows = reader_room(reader, block->rows * type->words * sizeof(uint64_t));
	int err;

	if (!rows)
		return -ENOMEM;
	err = rows_decode(type, payload, block->raw, block->rows, rows);
	if (err)
		return err;
	if (!rows_valid(type, rows, block->rows, reader->info.ndomains, reader->info.nprobes))
		return -EBADMSG;
	reader->side = !reader->side;
	*batch = (struct batch){.type = type->batch, .count = block->rows, .rows = rows};
	return 0;
}

/* 0, with an empty *batch if the block has nothing to hand out. */
static int reader_decode(struct reader *reader, const struct vnt_block *block,
			 const uint8_t *payload, struct batch *batch)
{
	const struct row_type *type = row_type_of_block(block->type);
	int err;

	batch->count = 0;
	if (!payload || block->major > BLOCK_MAJOR)
		return -EBADMSG;
	if (block->type != BLOCK_EVENTS && !type)
		return 0;
	err = reader_unpack(reader, block, &payload);
	if (err || !block->rows)
		return err;
	if (type)
		return reader_rows(reader, type, block, payload, batch);
	return reader_events(reader, block, payload, batch);
}

/* What its header alone can say against a block. */
static bool reader_plausible(const struct reader *reader, const struct vnt_block *block)
{
	bool counted = block->type == BLOCK_EVENTS || row_type_of_block(block->type);

	return block->position >= reader->position && block->position <= UINT64_MAX - BLOCK_ROWS &&
	       block->first_ns <= block->last_ns && (!counted || block->rows <= BLOCK_ROWS);
}

static void reader_miss(struct reader *reader, uint64_t position, uint64_t until_ns)
{
	struct loss_row *missing = &reader->missing;

	if (position == reader->position)
		return;
	if (!missing->count)
		missing->first_ns = reader->watermark_ns;
	missing->last_ns = until_ns > missing->first_ns ? until_ns : missing->first_ns;
	missing->count += position - reader->position;
	reader->position = position;
}

/* Follows the count of events that every header carries. */
static void reader_count(struct reader *reader, const struct vnt_block *block, bool usable)
{
	uint64_t end = block->position + (block->type == BLOCK_EVENTS ? block->rows : 0);

	reader_miss(reader, block->position, block->first_ns);
	reader->watermark_ns = block->first_ns;
	if (!usable)
		reader_miss(reader, end, block->last_ns);
	reader->position = end;
	reader->watermark_ns = block->last_ns;
}

/* Before *batch and what is behind that. */
static void reader_take_loss(struct reader *reader, struct batch *batch)
{
	reader->next[reader->nnext ? 1 : 0] = reader->next[0];
	reader->next[0] = *batch;
	reader->nnext += batch->count > 0;
	reader->loss = reader->missing;
	reader->loss.probe = ANY_PROBE;
	reader->loss.cpu = ANY_CPU;
	reader->loss.cause = LOSS_DAMAGED_FILE;
	reader->missing = (struct loss_row){0};
	*batch = (struct batch){.type = BATCH_LOSSES, .count = 1, .losses = &reader->loss};
}

/* The events of the last block turn out not to be what they should: the rest of them is missing. */
static void reader_spoil(struct reader *reader)
{
	reader->position -= reader->left;
	reader->watermark_ns = reader->last_ns;
	reader_miss(reader, reader->position + reader->left, reader->until_ns);
	reader->watermark_ns = reader->until_ns;
	reader->left = 0;
	parts_spoil(reader->parts);
}

/* As parts_next(), to `block` and `payload`; or once more what they hold. */
static int reader_block(struct reader *reader)
{
	if (!reader->held)
		return parts_next(reader->parts, &reader->block, &reader->payload);
	reader->held = false;
	return 1;
}

/* Does it hold this one? What is known to be damaged, or empty, it does not. */
static bool reader_holds(const struct reader *reader)
{
	const struct vnt_block *block = &reader->block;

	return reader->hold && block->type == BLOCK_EVENTS && reader->payload && block->rows &&
	       block->major <= BLOCK_MAJOR;
}

/* What is missing before it comes first. */
static void reader_hold_block(struct reader *reader, struct batch *batch)
{
	reader->held = true;
	*batch = (struct batch){.type = BATCH_EVENTS};
	reader_miss(reader, reader->block.position, reader->block.first_ns);
	if (reader->missing.count)
		reader_take_loss(reader, batch);
}

int reader_next(struct reader *reader, struct batch *batch)
{
	const struct vnt_block *block = &reader->block;
	int err;

	if (reader->nnext) {
		*batch = reader->next[0];
		reader->next[0] = reader->next[1];
		reader->nnext--;
		return 1;
	}
	if (reader->left) {
		err = reader_take(reader, reader->left, batch);
		if (err != -EBADMSG)
			return err ? err : 1;
		reader_spoil(reader);
	}
	while ((err = reader_block(reader)) > 0) {
		bool plausible = reader_plausible(reader, block);

		if (plausible && reader_holds(reader)) {
			reader_hold_block(reader, batch);
			return 1;
		}
		err = plausible ? reader_decode(reader, block, reader->payload, batch) : -EBADMSG;
		if (err == -ENOMEM)
			return err;
		if (plausible)
			reader_count(reader, block, !err);
		if (err) {
			parts_reject(reader->parts);
			continue;
		}
		parts_accept(reader->parts);
		if (!batch->count)
			continue;
		if (reader->missing.count)
			reader_take_loss(reader, batch);
		return 1;
	}
	if (err || !reader->missing.count)
		return err;
	batch->count = 0;
	reader_take_loss(reader, batch);
	return 1;
}

bool reader_found(const struct reader *reader, const struct batch *batch)
{
	return batch->type == BATCH_LOSSES && batch->losses == &reader->loss;
}

/* Finds the first intact copy of the header. */
static int reader_header(struct reader *reader)
{
	const uint8_t *payload;
	struct vnt_block block;
	int err;

	while ((err = parts_next(reader->parts, &block, &payload)) > 0) {
		if (block.type == BLOCK_HEADER && block.major > BLOCK_MAJOR)
			return -EPROTONOSUPPORT;
		err = -EBADMSG;
		if (block.type == BLOCK_HEADER && payload)
			err = reader_unpack(reader, &block, &payload);
		if (!err)
			err = header_decode(payload, block.raw, &reader->info);
		if (err == -ENOMEM)
			return err;
		if (!err) {
			parts_lock(reader->parts, block.tag);
			reader->tag = block.tag;
			reader->numbered = block.minor >= BLOCK_MINOR_SEQUENCE;
			reader->start = reader->position = block.position;
			parts_accept(reader->parts);
			return 0;
		}
		parts_reject(reader->parts);
	}
	if (err < 0)
		return err;
	if (!parts_offset(reader->parts))
		return -ENODATA;
	return parts_is_trace(reader->parts) ? -EBADMSG : -EINVAL;
}

int reader_open(struct reader **out, int fd, const char *name, log_fn log, void *log_context)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct parts *parts;
	int err = parts_open(&parts, fd, name, log, log_context);

	*out = NULL;
	if (err || !reader) {
		parts_close(parts);
		free(reader);
		return -ENOMEM;
	}
	reader->parts = parts;
	reader->batch_max = BLOCK_ROWS;
	err = decoder_open(&reader->decoder);
	if (!err)
		err = reader_header(reader);
	if (err)
		reader_close(reader);
	else
		*out = reader;
	return err;
}

bool reader_same_trace(const struct reader *a, const struct reader *b)
{
	return a->tag == b->tag && a->numbered && b->numbered;
}

int reader_join(struct reader *reader, struct reader *more)
{
	int err = parts_join(reader->parts, more->parts);

	if (more->start < reader->start)
		reader->start = reader->position = more->start;
	more->parts = NULL;
	reader_close(more);
	return err;
}

void reader_explain(const struct reader *reader, int err, char *line, size_t size)
{
	parts_explain(reader->parts, err, line, size);
}

const struct trace_info *reader_info(const struct reader *reader)
{
	return &reader->info;
}

const char *reader_name(const struct reader *reader)
{
	return parts_name(reader->parts);
}

uint64_t reader_damaged(const struct reader *reader)
{
	return parts_damaged(reader->parts);
}

uint64_t reader_offset(const struct reader *reader)
{
	return parts_offset(reader->parts);
}

size_t reader_memory(const struct reader *reader)
{
	return parts_memory(reader->parts) + decoder_memory(reader->decoder) +
	       reader->rows[0].size + reader->rows[1].size + legs_memory(&reader->legs[0]) +
	       legs_memory(&reader->legs[1]);
}

void reader_set_log(struct reader *reader, log_fn log, void *log_context)
{
	parts_set_log(reader->parts, log, log_context);
}

void reader_set_growing(struct reader *reader)
{
	parts_set_growing(reader->parts);
}

bool reader_is_growing(const struct reader *reader)
{
	return parts_is_growing(reader->parts);
}

void reader_limit(struct reader *reader, size_t events)
{
	reader->batch_max = events;
}

void reader_make_legs(struct reader *reader, const struct legs_shape *shape)
{
	reader->shape = shape;
}

void reader_hold(struct reader *reader, bool hold)
{
	reader->hold = hold;
}

int reader_mark(struct reader *reader)
{
	return parts_mark(reader->parts);
}

void reader_want(struct reader *reader, uint32_t wanted)
{
	decoder_want(reader->decoder, wanted);
}

int reader_rewind(struct reader *reader)
{
	reader_want(reader, FIELDS_ALL);
	reader->position = reader->start;
	reader->watermark_ns = 0;
	reader->last_ns = 0;
	reader->left = 0;
	reader->missing = (struct loss_row){0};
	reader->nnext = 0;
	reader->held = false;
	return parts_rewind(reader->parts);
}

void reader_close(struct reader *reader)
{
	if (!reader)
		return;
	parts_close(reader->parts);
	decoder_close(reader->decoder);
	trace_info_release(&reader->info);
	for (int i = 0; i < 2; i++) {
		free(reader->rows[i].bytes);
		legs_close(&reader->legs[i]);
	}
	free(reader);
}
