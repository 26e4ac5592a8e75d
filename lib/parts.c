// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "scan.h"

enum part_state {
	PART_USED, /* its next block was not looked for yet */
	PART_READY,
	PART_ENDED,
};

struct part {
	struct parts *parts;
	struct scan *scan;
	enum part_state state;
	struct vnt_block block; /* the next one */
	const uint8_t *payload; /* or NULL, if it is not intact */
	uint32_t sequence;      /* of the last one */
	uint64_t gaps;          /* as `gaps` below was then */
	char line[512];         /* says its damage since then, unless another part has that */
	uint64_t judged;        /* of scan_damaged() */
};

struct parts {
	struct part **parts;
	size_t count;
	struct part *current; /* of the last block; there is one always */
	bool started;
	uint32_t sequence; /* of the last block */
	uint64_t position; /* behind it */
	uint64_t start;    /* what headers say of the first block */
	uint64_t gaps;     /* places so far where no part has a block */
	uint64_t damaged;
	bool marked;
	uint64_t mark_damaged;
	log_fn log;
	void *log_context;
	char conflict[512];
};

static void part_say(struct part *part)
{
	if (*part->line && part->parts->log)
		part->parts->log(part->parts->log_context, part->line);
	*part->line = '\0';
}

/* log_fn: keeps the line until it is known whether another part has what is missing here. */
static void part_keep_line(void *context, const char *line)
{
	struct part *part = context;

	part_say(part);
	snprintf(part->line, sizeof(part->line), "%s", line);
}

/* Damage since the last block is settled. */
static void part_judge(struct part *part, bool made_up)
{
	struct parts *parts = part->parts;
	uint64_t damaged = scan_damaged(part->scan);

	if (made_up && parts->count > 1) {
		*part->line = '\0';
	} else {
		parts->damaged += damaged - part->judged;
		part_say(part);
	}
	part->judged = damaged;
}

/* Each file has headers of its own, which are not numbered. */
static int part_skip_headers(struct part *part)
{
	int err;

	while ((err = scan_next(part->scan, &part->block, &part->payload)) > 0 &&
	       part->block.type == BLOCK_HEADER && part->parts->count > 1) {
		if (part->payload)
			scan_accept(part->scan);
		else
			scan_reject(part->scan);
	}
	return err;
}

static int part_look(struct part *part)
{
	int err;

	if (part->state != PART_USED)
		return 0;
	err = part_skip_headers(part);
	if (err < 0)
		part_say(part);
	else
		part->state = err ? PART_READY : PART_ENDED;
	return err < 0 ? err : 0;
}

static void part_free(struct part *part)
{
	if (!part)
		return;
	scan_close(part->scan);
	free(part);
}

int parts_open(struct parts **out, int fd, const char *name, log_fn log, void *log_context)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	struct part *part = calloc(1, sizeof(*part));
	struct scan *scan;
	int err = scan_open(&scan, fd, name, part_keep_line, part);

	*out = NULL;
	if (!err && parts && part)
		parts->parts = malloc(sizeof(*parts->parts));
	if (err || !parts || !part || !parts->parts) {
		scan_close(scan);
		free(part);
		free(parts);
		return -ENOMEM;
	}
	part->parts = parts;
	part->scan = scan;
	parts->parts[parts->count++] = part;
	parts->current = part;
	parts_set_log(parts, log, log_context);
	*out = parts;
	return 0;
}

void parts_close(struct parts *parts)
{
	if (!parts)
		return;
	for (size_t i = 0; i < parts->count; i++)
		part_free(parts->parts[i]);
	free(parts->parts);
	free(parts);
}

void parts_set_log(struct parts *parts, log_fn log, void *log_context)
{
	parts->log = log;
	parts->log_context = log_context;
}

static void parts_restart(struct parts *parts)
{
	parts->current = parts->parts[0];
	parts->started = false;
	parts->gaps = 0;
	for (size_t i = 0; i < parts->count; i++) {
		parts->parts[i]->state = PART_USED;
		parts->parts[i]->gaps = 0;
	}
}

int parts_join(struct parts *parts, struct parts *more)
{
	size_t count = parts->count + more->count;
	struct part **grown = realloc(parts->parts, count * sizeof(struct part *));

	if (grown) {
		parts->parts = grown;
		memcpy(grown + parts->count, more->parts, more->count * sizeof(struct part *));
		parts->count = count;
		parts->damaged += more->damaged;
		if (more->start < parts->start)
			parts->start = more->start;
		more->count = 0;
		for (size_t i = 0; i < count; i++)
			grown[i]->parts = parts;
		parts_restart(parts);
	}
	parts_close(more);
	return grown ? 0 : -ENOMEM;
}

static bool is_later(uint32_t sequence, uint32_t than)
{
	return (int32_t)(sequence - than) > 0;
}

static bool is_same(const struct vnt_block *a, const struct vnt_block *b)
{
	return a->position == b->position && a->sequence == b->sequence;
}

/* Of one block, the intact one is first. */
static bool comes_before(const struct part *a, const struct part *b)
{
	if (is_same(&a->block, &b->block))
		return a->payload && !b->payload;
	if (a->block.position != b->block.position)
		return a->block.position < b->block.position;
	return is_later(b->block.sequence, a->block.sequence);
}

static bool has_block(const struct part *part, const struct vnt_block *block)
{
	return part->state == PART_READY && is_same(&part->block, block);
}

/* Is the block its next one? It no longer is. */
static bool part_take(struct part *part, const struct vnt_block *block)
{
	if (!has_block(part, block))
		return false;
	part->state = PART_USED;
	return true;
}

/* Do both have other contents at one place? */
static bool contradict(const struct part *a, const struct part *b)
{
	return memcmp(&a->block, &b->block, sizeof(a->block)) != 0 ||
	       (a->payload && b->payload && memcmp(a->payload, b->payload, a->block.stored) != 0);
}

static int parts_contradict(struct parts *parts, const struct part *a, const struct part *b)
{
	snprintf(parts->conflict, sizeof(parts->conflict),
		 "'%.180s' contradicts '%.180s', a file of the same recording, from byte %" PRIu64
		 " on",
		 scan_name(a->scan), scan_name(b->scan), scan_offset(a->scan));
	return -EEXIST;
}

/* Is the next block one that can come next? */
static int parts_check(struct parts *parts, const struct part *next)
{
	if (parts->started && (next->block.position < parts->position ||
			       !is_later(next->block.sequence, parts->sequence)))
		return parts_contradict(parts, next, parts->current);
	for (size_t i = 0; i < parts->count; i++) {
		const struct part *other = parts->parts[i];

		if (has_block(other, &next->block) && contradict(next, other))
			return parts_contradict(parts, other, next);
	}
	return 0;
}

/* Damage at the end of a file is made up for if another one goes on. */
static int parts_end(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = parts->parts[i];

		part_judge(part, part->gaps == parts->gaps && part->sequence != parts->sequence);
	}
	return 0;
}

int parts_next(struct parts *parts, struct vnt_block *block, const uint8_t **payload)
{
	struct part *next = NULL;
	int err = 0;

	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = parts->parts[i];

		err = part_look(part);
		if (err) {
			parts->current = part;
			return err;
		}
		if (part->state == PART_READY && (!next || comes_before(part, next)))
			next = part;
	}
	if (!next)
		return parts_end(parts);
	if (parts->count > 1)
		err = parts_check(parts, next);
	parts->current = next;
	*block = next->block;
	*payload = next->payload;
	return err ? err : 1;
}

/* Of the parts that have the block, how many are damaged right before it, and how many are not? */
static void count_skipping(const struct parts *parts, const struct vnt_block *block,
			   size_t skipping[2])
{
	skipping[false] = skipping[true] = 0;
	for (size_t i = 0; i < parts->count; i++)
		if (has_block(parts->parts[i], block))
			skipping[scan_is_skipping(parts->parts[i]->scan)]++;
}

/* Blocks before the next one that are nowhere, and left no damage that would say so. */
static void parts_miss(struct parts *parts, const struct vnt_block *block)
{
	uint32_t missing = block->sequence - parts->sequence - 1;
	char line[512];

	parts->damaged += (uint64_t)missing * sizeof(*block); /* of more nothing is known */
	snprintf(line, sizeof(line),
		 "'%.400s' is incomplete: %" PRIu32 " block%s missing before byte %" PRIu64,
		 parts_name(parts), missing, missing > 1 ? "s are" : " is",
		 scan_offset(parts->current->scan));
	if (parts->log && !parts->marked)
		parts->log(parts->log_context, line);
}

static void parts_advance(struct parts *parts, const struct vnt_block *block, bool usable)
{
	uint64_t events = block->type == BLOCK_EVENTS ? block->rows : 0;
	size_t skipping[2];
	bool follows;

	if (block->type == BLOCK_HEADER)
		return;
	count_skipping(parts, block, skipping);
	follows = parts->started ? block->sequence == parts->sequence + 1
				 : block->position == parts->start && skipping[false];
	if (!usable || !follows)
		parts->gaps++;
	if (parts->started && !follows && !skipping[true] &&
	    is_later(block->sequence, parts->sequence))
		parts_miss(parts, block);
	parts->started = true;
	parts->sequence = block->sequence;
	parts->position = block->position + events;
}

void parts_accept(struct parts *parts)
{
	const struct vnt_block block = parts->current->block;

	if (block.type == BLOCK_HEADER)
		parts->start = block.position;
	parts_advance(parts, &block, true);
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = parts->parts[i];

		if (!part_take(part, &block))
			continue;
		if (!part->payload) {
			scan_reject(part->scan);
			continue;
		}
		scan_accept(part->scan);
		part_judge(part, part->gaps == parts->gaps);
		part->sequence = block.sequence;
		part->gaps = parts->gaps;
	}
}

void parts_reject(struct parts *parts)
{
	const struct vnt_block block = parts->current->block;

	parts_advance(parts, &block, false);
	for (size_t i = 0; i < parts->count; i++)
		if (part_take(parts->parts[i], &block))
			scan_reject(parts->parts[i]->scan);
}

void parts_spoil(struct parts *parts)
{
	parts->gaps++;
	for (size_t i = 0; i < parts->count; i++) {
		struct part *part = parts->parts[i];

		if (part->state == PART_USED && part->payload &&
		    is_same(&part->block, &parts->current->block))
			scan_spoil(part->scan);
	}
}

void parts_explain(const struct parts *parts, int err, char *line, size_t size)
{
	if (err == -EEXIST)
		snprintf(line, size, "%s", parts->conflict);
	else
		snprintf(line, size, "cannot read '%.300s': %s", parts_name(parts), strerror(-err));
}

void parts_lock(struct parts *parts, uint64_t tag)
{
	for (size_t i = 0; i < parts->count; i++)
		scan_lock(parts->parts[i]->scan, tag);
}

void parts_set_growing(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		scan_set_growing(parts->parts[i]->scan);
}

bool parts_is_growing(const struct parts *parts)
{
	bool growing = false;

	for (size_t i = 0; i < parts->count; i++)
		growing |= scan_is_growing(parts->parts[i]->scan);
	return growing;
}

int parts_mark(struct parts *parts)
{
	int err = 0;

	for (size_t i = 0; i < parts->count && !err; i++) {
		parts->current = parts->parts[i];
		err = scan_mark(parts->parts[i]->scan);
		if (err)
			part_say(parts->parts[i]);
	}
	parts->marked = true;
	parts->mark_damaged = parts->damaged;
	return err;
}

int parts_rewind(struct parts *parts)
{
	int err = 0;

	parts_restart(parts);
	parts->marked = false;
	for (size_t i = 0; i < parts->count && !err; i++) {
		struct part *part = parts->parts[i];

		parts->current = part;
		err = scan_rewind(part->scan);
		part->judged = scan_damaged(part->scan);
	}
	parts->damaged = parts->mark_damaged;
	return err;
}

uint64_t parts_offset(const struct parts *parts)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < parts->count; i++)
		bytes += scan_offset(parts->parts[i]->scan);
	return bytes;
}

uint64_t parts_damaged(const struct parts *parts)
{
	return parts->damaged;
}

bool parts_is_trace(const struct parts *parts)
{
	return scan_is_trace(parts->current->scan);
}

size_t parts_memory(const struct parts *parts)
{
	size_t bytes = 0;

	for (size_t i = 0; i < parts->count; i++)
		bytes += scan_memory(parts->parts[i]->scan);
	return bytes;
}

const char *parts_name(const struct parts *parts)
{
	return scan_name(parts->current->scan);
}
