/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * columns.h - the payload of an EVENTS block.
 *
 * A packet is seen by many probes and a flow has many packets, so an event is split by scope:
 * what belongs to the flow or the packet is stored once per block, and events refer to it.
 */
#ifndef VNT_COLUMNS_H
#define VNT_COLUMNS_H

#include <stddef.h>

#include "block.h"
#include "event.h"
#include "field.h"
#include "varint.h"

/* The payload: this, `columns` times struct vnt_column, and the columns in the same order. */
struct vnt_columns {
	__u32 flows; /* values in a column of each scope; of SCOPE_EVENT as many as rows */
	__u32 packets;
	__u32 columns;
};
_Static_assert(sizeof(struct vnt_columns) == 12, "struct vnt_columns is on disk");

struct vnt_column {
	__u16 id;
	__u16 encoding;
	__u32 bytes;
};
_Static_assert(sizeof(struct vnt_column) == 8, "struct vnt_column is on disk");

#define COLUMN_MAX  (BLOCK_ROWS * VARINT_MAX)
#define COLUMNS_MAX (sizeof(struct vnt_columns) + FIELDS * (sizeof(struct vnt_column) + COLUMN_MAX))

/* The part of an event that is the same at all probes; laid out as there, in two pieces. */
struct packet {
	uint64_t flow;
	uint64_t key;
	uint32_t length;
	uint32_t payload;
	uint16_t flags;
	uint16_t segment;
	uint16_t id;
	uint16_t leg; /* 0; where legs are made of a block, its newest one (legs.h) */
};

#define PACKET_PIECE offsetof(struct packet, flags) /* bytes of the first one */
_Static_assert(sizeof(struct packet) == PACKET_PIECE + sizeof(uint64_t) &&
		       offsetof(struct vnt_event, flow) + PACKET_PIECE ==
			       offsetof(struct vnt_event, outer) &&
		       offsetof(struct vnt_event, flags) + sizeof(uint64_t) ==
			       offsetof(struct vnt_event, slot),
	       "the pieces are the same in both");

struct encoder;

int encoder_open(struct encoder **encoder);  /* 0 or -ENOMEM */
void encoder_close(struct encoder *encoder); /* accepts NULL */

/* Encodes 1 to BLOCK_ROWS events in time order, any number at a time. The end goes to `out`, which has room
 * for COLUMNS_MAX bytes, and returns the bytes used. */
void encoder_begin(struct encoder *encoder);
void encoder_add(struct encoder *encoder, const struct vnt_event *events, size_t count);
size_t encoder_end(const struct encoder *encoder, uint8_t *out);

/* All in one. */
size_t encoder_run(struct encoder *encoder, const struct vnt_event *events, size_t count,
		   uint8_t *out);

struct decoder;
struct legs; /* legs.h */
struct legs_shape;

int decoder_open(struct decoder **decoder);  /* 0 or -ENOMEM */
void decoder_close(struct decoder *decoder); /* accepts NULL */

/* From now on only these fields (FIELD_BIT) are decoded; the others are 0, whatever the payload says. */
void decoder_want(struct decoder *decoder, uint32_t wanted);

/* Room for a payload of `size` bytes until the next call; NULL if there is no memory. */
uint8_t *decoder_room(struct decoder *decoder, size_t size);

/*
 * Begins a block of at most BLOCK_ROWS events, and takes the next of them, at most `room`: how many, 0 at
 * the end. The payload stays where it is up to then. -EBADMSG if it is not exactly that many events in
 * time order from first_ns to last_ns, of probes below `nprobes`: that may be found only after some of
 * them were taken, but no later than with the last ones. It is the same number of them for any `room` that
 * is a multiple of DECODER_CHUNK.
 */
#define DECODER_CHUNK 256
int decoder_begin(struct decoder *decoder, const uint8_t *payload, size_t size,
		  const struct vnt_block *block, size_t nprobes);
int decoder_next(struct decoder *decoder, struct vnt_event *events, size_t room);

/* The same, as legs, which have that room. */
int decoder_next_legs(struct decoder *decoder, const struct legs_shape *shape, struct legs *legs,
		      size_t room);

size_t decoder_memory(const struct decoder *decoder); /* bytes */

#endif
