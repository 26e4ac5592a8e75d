// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"

#define CHUNK    DECODER_CHUNK /* values of all columns stay in the first-level cache */
#define TOP_BITS 0x8080808080808080ull

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	uint16_t encoding;
};

/* What is decoded at a time, of all columns. */
struct chunk {
	uint64_t values[FIELDS][CHUNK];
};

struct decoder {
	uint32_t wanted;
	uint8_t *room;
	size_t room_size;
	struct cursor cursors[FIELDS];
	size_t nprobes;
	uint64_t time_ns; /* of the last event */
	uint64_t last_ns; /* what that of the block's last one must be */
	size_t left;      /* events */
	int err;          /* of what comes next */
	uint32_t before; /* packets of the blocks before, and one */
	size_t nflows;
	size_t npackets;
	size_t known;   /* packets that were decoded */
	size_t used;    /* packets that an event referred to */
	size_t touched; /* bytes of what follows, by the largest block so far */
	uint64_t flows[BLOCK_ROWS];
	uint16_t ids[BLOCK_ROWS]; /* of each flow's packet before */
	struct packet packets[BLOCK_ROWS];
};

int decoder_open(struct decoder **decoder)
{
	*decoder = malloc(sizeof(**decoder));
	if (!*decoder)
		return -ENOMEM;
	memset(*decoder, 0, offsetof(struct decoder, flows));
	(*decoder)->wanted = FIELDS_ALL;
	(*decoder)->before = 1;
	return 0;
}

void decoder_want(struct decoder *decoder, uint32_t wanted)
{
	decoder->wanted = wanted;
}

static bool decoder_wants(const struct decoder *decoder, enum field_id id)
{
	return decoder->wanted & FIELD_BIT(id);
}

void decoder_close(struct decoder *decoder)
{
	if (decoder)
		free(decoder->room);
	free(decoder);
}

uint8_t *decoder_room(struct decoder *decoder, size_t size)
{
	if (size > decoder->room_size) {
		free(decoder->room);
		size += size / 4; /* the next one is often a little larger */
		decoder->room = malloc(size);
		decoder->room_size = decoder->room ? size : 0;
	}
	return decoder->room;
}

size_t decoder_memory(const struct decoder *decoder)
{
	return decoder->room_size + decoder->touched;
}

static const uint8_t *take_fixed(const uint8_t *at, const uint8_t *end, uint64_t *values,
				 size_t count)
{
	if ((size_t)(end - at) < count * sizeof(*values))
		return NULL;
	memcpy(values, at, count * sizeof(*values));
	for (size_t i = 0; i < count; i++)
		values[i] = le64toh(values[i]);
	return at + count * sizeof(*values);
}

static const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; at < end && shift < 7 * VARINT_MAX; shift += 7) {
		*value |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80))
			return at;
	}
	return NULL;
}

/* The number in the first bytes of `word`, which ends in the byte whose top bit is the lowest in
 * `last`: closes the gaps between its groups of seven bits pairwise. */
static uint64_t varint_in(uint64_t word, uint64_t last)
{
	word &= (last ^ (last - 1)) & ~TOP_BITS;
	word = (word & 0x007f007f007f007f) | (word & 0x7f007f007f007f00) >> 1;
	word = (word & 0x00003fff00003fff) | (word & 0x3fff00003fff0000) >> 2;
	return (word & 0x0fffffff) | (word & 0x0fffffff00000000) >> 4;
}

/* All numbers that end in the eight bytes of `word`, each of one or two of them; returns the end of their
 * values. Each byte could be the last one: no branch depends on which ones are. Writes up to eight values. */
static uint64_t *varints14_in(uint64_t word, uint64_t *values)
{
	uint64_t before = 0;

#pragma GCC unroll 8
	for (int i = 0; i < 8; i++, word >>= 8) {
		unsigned int more = before >> 7;

		*values = (word & 0x7f) << 7 * more | (before & -more & 0x7f);
		before = word & 0xff;
		values += !(before >> 7);
	}
	return values;
}

/* Eight bytes at a time: often they are eight numbers, or numbers of one and two bytes. */
static const uint8_t *take_varints(const uint8_t *at, const uint8_t *end, uint64_t *values,
				   size_t count)
{
	uint64_t *stop = values + count;

	while (at && values < stop) {
		uint64_t word = TOP_BITS, more;

		if (end - at >= 8)
			memcpy(&word, at, sizeof(word));
		word = le64toh(word);
		more = word & TOP_BITS;
		if (!more && stop - values >= 8) {
#pragma GCC unroll 8
			for (int i = 0; i < 8; i++)
				*values++ = word >> 8 * i & 0x7f;
			at += 8;
		} else if (!(more & more << 8) && stop - values >= 8) {
			values = varints14_in(word, values);
			at += 8 - (word >> 63);
		} else if (more != TOP_BITS) {
			uint64_t last = ~word & TOP_BITS;

			*values++ = varint_in(word, last);
			at += (__builtin_ctzll(last) >> 3) + 1;
		} else { /* a number of more than eight bytes, or near the end */
			at = take_varint(at, end, values++);
		}
	}
	return at;
}

static const uint8_t *take_zigzags(const uint8_t *at, const uint8_t *end, uint64_t *values,
				   size_t count)
{
	at = take_varints(at, end, values, count);
	for (size_t i = 0; at && i < count; i++)
		values[i] = values[i] >> 1 ^ -(values[i] & 1);
	return at;
}

/* The next `count` values of a column to `values`. */
static int decoder_take(struct decoder *decoder, enum field_id id, uint64_t *values, size_t count)
{
	struct cursor *cursor = &decoder->cursors[id];
	uint64_t bits = 0;

	if (!cursor->at)
		return fields[id].optional || !decoder_wants(decoder, id) ? 0 : -EBADMSG;
	switch (cursor->encoding) {
	case ENCODING_FIXED64:
		cursor->at = take_fixed(cursor->at, cursor->end, values, count);
		break;
	case ENCODING_VARINT:
		cursor->at = take_varints(cursor->at, cursor->end, values, count);
		break;
	case ENCODING_ZIGZAG:
		cursor->at = take_zigzags(cursor->at, cursor->end, values, count);
		break;
	default:
		return -EBADMSG;
	}
	if (!cursor->at)
		return -EBADMSG;
	if (fields[id].bits == 64)
		return 0;
	for (size_t i = 0; i < count; i++)
		bits |= values[i];
	return bits >> fields[id].bits ? -EBADMSG : 0;
}

/* ... and of all columns of a scope. */
static int decoder_take_scope(struct decoder *decoder, enum field_scope scope, struct chunk *chunk,
			      size_t count)
{
	int err = 0;

	for (int id = 0; id < FIELDS && !err; id++)
		if (fields[id].scope == scope)
			err = decoder_take(decoder, id, chunk->values[id], count);
	return err;
}

/* Columns that are not in the field table are from a newer version: left out, as those that nobody
 * wants. */
static int decoder_parse(struct decoder *decoder, const uint8_t *payload, size_t size, size_t count)
{
	const uint8_t *end = payload + size, *entry, *at;
	struct vnt_columns head;
	uint32_t ncolumns;

	memset(decoder->cursors, 0, sizeof(decoder->cursors));
	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, payload, sizeof(head));
	decoder->nflows = le32toh(head.flows);
	decoder->npackets = le32toh(head.packets);
	ncolumns = le32toh(head.columns);
	if (decoder->npackets > count || decoder->nflows > decoder->npackets ||
	    ncolumns > (size - sizeof(head)) / sizeof(struct vnt_column))
		return -EBADMSG;

	entry = payload + sizeof(head);
	at = entry + ncolumns * sizeof(struct vnt_column);
	for (; ncolumns; ncolumns--, entry += sizeof(struct vnt_column)) {
		struct vnt_column column;
		uint32_t bytes;
		uint16_t id;

		memcpy(&column, entry, sizeof(column));
		bytes = le32toh(column.bytes);
		id = le16toh(column.id);
		if (bytes > end - at)
			return -EBADMSG;
		if (id < FIELDS && decoder_wants(decoder, id))
			decoder->cursors[id] =
				(struct cursor){at, at + bytes, le16toh(column.encoding)};
		at += bytes;
	}
	return 0;
}

static void decoder_touch(struct decoder *decoder)
{
	size_t bytes = decoder->nflows * (sizeof(*decoder->flows) + sizeof(*decoder->ids)) +
		       decoder->npackets * sizeof(*decoder->packets);

	decoder->touched = bytes > decoder->touched ? bytes : decoder->touched;
}

int decoder_begin(struct decoder *decoder, const uint8_t *payload, size_t size,
		  const struct vnt_block *block, size_t nprobes)
{
	int err;

	decoder->before += decoder->npackets;
	err = decoder_parse(decoder, payload, size, block->rows);
	if (err)
		return err;
	decoder_touch(decoder);
	decoder->nprobes = nprobes;
	decoder->time_ns = block->first_ns;
	decoder->last_ns = block->last_ns;
	decoder->left = block->rows;
	decoder->err = 0;
	decoder->known = 0;
	decoder->used = 0;
	memset(decoder->ids, 0, decoder->nflows * sizeof(*decoder->ids));
	memset(decoder->flows, 0, decoder->nflows * sizeof(*decoder->flows));
	return decoder_take(decoder, FIELD_FLOW, decoder->flows, decoder->nflows);
}

static int decoder_packet(struct decoder *decoder, const struct chunk *chunk, size_t i)
{
	struct packet *packet = &decoder->packets[decoder->known];
	uint64_t flow = chunk->values[FIELD_FLOW_INDEX][i];
	uint64_t length = chunk->values[FIELD_LENGTH][i];
	uint64_t payload = length - chunk->values[FIELD_HEADERS][i];

	if (flow >= decoder->nflows || payload > UINT32_MAX)
		return -EBADMSG;
	*packet = (struct packet){
		.flow = decoder->flows[flow],
		.key = chunk->values[FIELD_KEY][i],
		.length = length,
		.payload = payload,
		.flags = chunk->values[FIELD_FLAGS][i],
		.segment = chunk->values[FIELD_SEGMENT][i],
		.id = decoder->ids[flow] += chunk->values[FIELD_ID][i],
	};
	decoder->known++;
	return 0;
}

/* Up to so many that no event referred to yet, where there are as many. */
static int decoder_packets(struct decoder *decoder, struct chunk *chunk, size_t wanted)
{
	size_t left;
	int err = 0;

	while (!err && (left = decoder->npackets - decoder->known) &&
	       decoder->known - decoder->used < wanted) {
		size_t count = left < CHUNK ? left : CHUNK;

		err = decoder_take_scope(decoder, SCOPE_PACKET, chunk, count);
		for (size_t i = 0; !err && i < count; i++)
			err = decoder_packet(decoder, chunk, i);
	}
	return err;
}

static int decoder_join(struct decoder *decoder, const struct chunk *chunk, size_t count,
			struct vnt_event *events)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t delta = chunk->values[FIELD_TIME][i];
		uint64_t back = chunk->values[FIELD_PACKET][i];
		uint32_t probe = chunk->values[FIELD_PROBE][i];
		uint64_t index = back ? decoder->used - back : decoder->used;
		const struct packet *packet;

		if (index >= decoder->npackets || probe >= decoder->nprobes ||
		    decoder->time_ns + delta < decoder->time_ns)
			return -EBADMSG;
		packet = &decoder->packets[index];
		decoder->used += !back;
		decoder->time_ns += delta;
		events[i] = (struct vnt_event){
			.time_ns = decoder->time_ns,
			.flow = packet->flow,
			.key = packet->key,
			.length = packet->length,
			.payload = packet->payload,
			.probe = probe,
			.cpu = chunk->values[FIELD_CPU][i],
			.flags = packet->flags,
			.segment = packet->segment,
			.id = packet->id,
			.outer = chunk->values[FIELD_OUTER][i],
			.packet = decoder->before + index,
		};
	}
	return 0;
}

/* Did the columns hold exactly what they should? */
static int decoder_end(struct decoder *decoder, struct chunk *chunk)
{
	int err = decoder_packets(decoder, chunk, SIZE_MAX);

	if (decoder->time_ns != decoder->last_ns)
		err = -EBADMSG;
	for (int id = 0; id < FIELDS; id++)
		if (decoder->cursors[id].at != decoder->cursors[id].end)
			err = -EBADMSG;
	return err;
}

/* At most CHUNK of them. */
static int decoder_chunk(struct decoder *decoder, struct chunk *chunk, struct vnt_event *events,
			 size_t count)
{
	int err = decoder_packets(decoder, chunk, count);

	if (!err)
		err = decoder_take_scope(decoder, SCOPE_EVENT, chunk, count);
	if (!err)
		err = decoder_join(decoder, chunk, count, events);
	if (!err && decoder->time_ns > decoder->last_ns)
		err = -EBADMSG;
	return !err && count == decoder->left ? decoder_end(decoder, chunk) : err;
}

/* Chunks begin at the same events whatever `room` is, so that what is damaged ends at the same one. */
int decoder_next(struct decoder *decoder, struct vnt_event *events, size_t room)
{
	size_t done = 0, count;
	struct chunk chunk;

	for (int id = 0; id < FIELDS; id++)
		if (!decoder->cursors[id].at)
			memset(chunk.values[id], 0, sizeof(chunk.values[id]));
	for (; decoder->left && done < room; done += count) {
		count = decoder->left < CHUNK ? decoder->left : CHUNK;
		if (count > room - done && done)
			break;
		count = count < room ? count : room;
		decoder->err = decoder_chunk(decoder, &chunk, events + done, count);
		decoder->left = decoder->err ? 0 : decoder->left - count;
		if (decoder->err)
			break;
	}
	return done ? (int)done : decoder->err;
}
