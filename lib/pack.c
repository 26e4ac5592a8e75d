// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "columns.h"
#include "pack.h"
#include "rows.h"

#define RAW_MAX    (COLUMNS_MAX > ROWS_MAX ? COLUMNS_MAX : ROWS_MAX)
#define PACKS_MORE 2 /* that wait to be written while all threads go on */
#define PACKS_MAX  (POOL_THREADS_MAX + PACKS_MORE + 1)

struct pack {
	struct task task;
	struct packs *packs;
	struct vnt_block block;
	size_t count; /* events */
	bool encoded; /* to block.raw bytes in `room`; else they are here: */
	struct vnt_event *events;
	uint8_t *room[2]; /* both RAW_MAX, touched only as far as a block needs */
	const uint8_t *payload;
	size_t stored;
};

struct packs {
	struct pool *pool;
	pack_fn write;
	void *context;
	int err; /* the first one */
	struct encoder *encoders[POOL_THREADS_MAX];
	struct pack packs[PACKS_MAX];
	size_t size;
	struct pack *idle[PACKS_MAX];
	size_t nidle;
	struct pack *queue[PACKS_MAX]; /* the oldest first */
	size_t nqueued;
	struct pack *gathering; /* neither idle nor queued; or NULL */
};

size_t pack_block(struct vnt_block *block, const uint8_t *raw, uint8_t *room,
		  const uint8_t **payload)
{
	size_t packed = 0;

	if (block->type != BLOCK_HEADER) /* which stays readable without any codec */
		packed = codec_find(CODEC_LZ4)->compress(raw, block->raw, room, block->raw - 1);
	*payload = packed ? room : raw;
	packed = packed ? packed : block->raw;
	block->codec = *payload == room ? CODEC_LZ4 : CODEC_NONE;
	block->stored = packed;
	block_seal(block, *payload);
	return packed;
}

static void pack_run(struct task *task, unsigned int thread)
{
	struct pack *pack = (struct pack *)((char *)task - offsetof(struct pack, task));

	if (!pack->encoded)
		pack->block.raw = encoder_run(pack->packs->encoders[thread], pack->events,
					      pack->count, pack->room[0]);
	pack->stored = pack_block(&pack->block, pack->room[0], pack->room[1], &pack->payload);
}

/* The oldest block, once it is ready. */
static void packs_write(struct packs *packs)
{
	struct pack *pack = packs->queue[0];

	pool_wait(packs->pool, &pack->task, 0);
	memmove(packs->queue, packs->queue + 1, --packs->nqueued * sizeof(*packs->queue));
	packs->idle[packs->nidle++] = pack;
	if (!packs->err)
		packs->err = packs->write(packs->context, &pack->block, pack->payload, pack->stored,
					  pack->count);
}

static struct pack *packs_take(struct packs *packs)
{
	if (!packs->nidle)
		packs_write(packs);
	return packs->err ? NULL : packs->idle[--packs->nidle];
}

static void packs_queue(struct packs *packs, struct pack *pack)
{
	packs->queue[packs->nqueued++] = pack;
	pool_submit(packs->pool, &pack->task);
}

/* With no other thread to encode them they are encoded at once, while they are in the cache. */
int packs_add(struct packs *packs, const struct vnt_event *events, size_t count)
{
	struct pack *pack = packs->gathering;

	if (!pack) {
		pack = packs->gathering = packs_take(packs);
		if (!pack)
			return packs->err;
		pack->count = 0;
		pack->encoded = pool_threads(packs->pool) == 1;
		if (pack->encoded)
			encoder_begin(packs->encoders[0]);
	}
	if (pack->encoded)
		encoder_add(packs->encoders[0], events, count);
	else
		memcpy(pack->events + pack->count, events, count * sizeof(*events));
	pack->count += count;
	return 0;
}

int packs_queue_events(struct packs *packs, const struct vnt_block *block)
{
	struct pack *pack = packs->gathering;

	pack->block = *block;
	if (pack->encoded)
		pack->block.raw = encoder_end(packs->encoders[0], pack->room[0]);
	packs->gathering = NULL;
	packs_queue(packs, pack);
	return packs->err;
}

int packs_queue_rows(struct packs *packs, const struct vnt_block *block, const uint8_t *raw)
{
	struct pack *pack = packs_take(packs);

	if (!pack)
		return packs->err;
	pack->count = 0;
	pack->encoded = true;
	pack->block = *block;
	memcpy(pack->room[0], raw, block->raw);
	packs_queue(packs, pack);
	return 0;
}

int packs_flush(struct packs *packs)
{
	while (packs->nqueued)
		packs_write(packs);
	return packs->err;
}

static int pack_open(struct pack *pack, struct packs *packs)
{
	pack->packs = packs;
	pack->task.run = pack_run;
	pack->events = malloc(PACK_EVENTS * sizeof(*pack->events));
	pack->room[0] = malloc(RAW_MAX);
	pack->room[1] = malloc(RAW_MAX);
	return pack->events && pack->room[0] && pack->room[1] ? 0 : -ENOMEM;
}

int packs_open(struct packs **out, struct pool *pool, pack_fn write, void *context)
{
	struct packs *packs = calloc(1, sizeof(*packs));
	int err = 0;

	*out = NULL;
	if (!packs)
		return -ENOMEM;
	packs->pool = pool;
	packs->write = write;
	packs->context = context;
	packs->size = pool_threads(pool) + PACKS_MORE + 1;
	for (size_t i = 0; i < packs->size && !err; i++) {
		packs->idle[packs->nidle++] = &packs->packs[i];
		err = pack_open(&packs->packs[i], packs);
	}
	for (unsigned int i = 0; i < pool_threads(pool) && !err; i++)
		err = encoder_open(&packs->encoders[i]);
	if (err)
		packs_close(packs);
	else
		*out = packs;
	return err;
}

size_t packs_memory(const struct packs *packs)
{
	return packs->size * PACK_MEMORY;
}

void packs_close(struct packs *packs)
{
	if (!packs)
		return;
	for (size_t i = 0; i < packs->nqueued; i++)
		pool_wait(packs->pool, &packs->queue[i]->task, 0);
	for (size_t i = 0; i < packs->size; i++) {
		free(packs->packs[i].events);
		free(packs->packs[i].room[0]);
		free(packs->packs[i].room[1]);
	}
	for (unsigned int i = 0; i < POOL_THREADS_MAX; i++)
		encoder_close(packs->encoders[i]);
	free(packs);
}
