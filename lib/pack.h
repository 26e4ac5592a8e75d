/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pack.h - blocks that are encoded and compressed by a pool, and come back in their order.
 *
 * A writer without a pool packs each block when it is put; this is for whoever has many to come.
 */
#ifndef VNT_PACK_H
#define VNT_PACK_H

#include "block.h"
#include "event.h"
#include "pool.h"

#define PACK_EVENTS 32768      /* events of a block */
#define PACK_MEMORY (4u << 20) /* bytes that a block and its encoder take, about */

/* Compresses and seals a block of which all else is set. *payload is what to write, as many bytes as
 * are returned: `raw`, or `room`, which has room for as many. */
size_t pack_block(struct vnt_block *block, const uint8_t *raw, uint8_t *room,
		  const uint8_t **payload);

struct packs;

/* Writes a sealed block that has so many events. 0 or -errno. */
typedef int (*pack_fn)(void *context, const struct vnt_block *block, const uint8_t *payload,
		       size_t stored, size_t events);

/* The pool has all its threads by now, and outlives the packs. 0 or -ENOMEM. */
int packs_open(struct packs **packs, struct pool *pool, pack_fn write, void *context);

/* Takes events of the next block, PACK_EVENTS in all at most. 0 or what `write` returned of blocks before. */
int packs_add(struct packs *packs, const struct vnt_event *events, size_t count);

/* Queues the block of those; `block` has all but the lengths. Returns what `write` returned of blocks
 * before; from then on nothing more is written. */
int packs_queue_events(struct packs *packs, const struct vnt_block *block);

/* Queues a block of other rows, before the one that is gathered. `raw`: block->raw bytes. */
int packs_queue_rows(struct packs *packs, const struct vnt_block *block, const uint8_t *raw);

int packs_flush(struct packs *packs);           /* until all that was queued is written */
size_t packs_memory(const struct packs *packs); /* bytes, about */
void packs_close(struct packs *packs);          /* accepts NULL */

#endif
