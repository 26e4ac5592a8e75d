// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"

#define CHUNK    256 /* values of all columns stay in the first-level cache */
#define TOP_BITS 0x8080808080808080ull

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	uint16_t encoding;
};

struct decoder {
	struct cursor cursors[FIELDS];
	uint64_t values[FIELDS][CHUNK];
	struct packet packets[BLOCK_ROWS];
	uint64_t flows[BLOCK_ROWS];
	uint16_t ids[BLOCK_ROWS]; /* of each flow's packet before */
	uint32_t npackets;
	uint32_t nflows;
	uint32_t used; /* packets that an event referred to */
	uint32_t wanted;
	uint8_t *room;
	size_t room_size;
};

int decoder_open(struct decoder **decoder)
{
	*decoder = malloc(sizeof(**decoder));
	if (!*decoder)
		return -ENOMEM;
	(*decoder)->wanted = FIELDS_ALL;
	(*decoder)->room = NULL;
	(*decoder)->room_size = 0;
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
		decoder->room = malloc(size);
		decoder->room_size = decoder->room ? size : 0;
	}
	return decoder->room;
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

/* Eight bytes at a time: often they are eight numbers. If not, no branch depends on the length of
 * the first one. */
static const uint8_t *take_varints(const uint8_t *at, const uint8_t *end, uint64_t *values,
				   size_t count)
{
	uint64_t *stop = values + count;

	while (at && values < stop) {
		uint64_t word = TOP_BITS, last;

		if (end - at >= 8)
			memcpy(&word, at, sizeof(word));
		word = le64toh(word);
		last = ~word & TOP_BITS;
		if (last == TOP_BITS && stop - values >= 8) {
			for (int i = 0; i < 8; i++)
				*values++ = word >> 8 * i & 0x7f;
			at += 8;
		} else if (last) {
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
	for (size_t i = 0; i < count; i++)
		bits |= values[i];
	return fields[id].bits < 64 && bits >> fields[id].bits ? -EBADMSG : 0;
}

/* ... and of all columns of a scope to decoder->values. */
static int decoder_take_scope(struct decoder *decoder, enum field_scope scope, size_t count)
{
	int err = 0;

	for (int id = 0; id < FIELDS && !err; id++)
		if (fields[id].scope == scope)
			err = decoder_take(decoder, id, decoder->values[id], count);
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
	for (int id = 0; id < FIELDS; id++)
		if (!decoder->cursors[id].at)
			memset(decoder->values[id], 0, sizeof(decoder->values[id]));
	return 0;
}

static int decoder_packets(struct decoder *decoder)
{
	memset(decoder->ids, 0, decoder->nflows * sizeof(*decoder->ids));
	for (size_t i = 0; i < decoder->npackets; i += CHUNK) {
		size_t count = decoder->npackets - i < CHUNK ? decoder->npackets - i : CHUNK;
		int err = decoder_take_scope(decoder, SCOPE_PACKET, count);

		if (err)
			return err;
		for (size_t k = 0; k < count; k++) {
			struct packet *packet = &decoder->packets[i + k];
			uint64_t flow = decoder->values[FIELD_FLOW_INDEX][k];
			uint64_t length = decoder->values[FIELD_LENGTH][k];
			uint64_t payload = length - decoder->values[FIELD_HEADERS][k];

			if (flow >= decoder->nflows || payload > UINT32_MAX)
				return -EBADMSG;
			packet->flow = decoder->flows[flow];
			packet->key = decoder->values[FIELD_KEY][k];
			packet->length = length;
			packet->payload = payload;
			packet->flags = decoder->values[FIELD_FLAGS][k];
			packet->segment = decoder->values[FIELD_SEGMENT][k];
			packet->id = decoder->ids[flow] += decoder->values[FIELD_ID][k];
		}
	}
	return 0;
}

/* `time_ns` is that of the event before, and afterwards of the last one here. */
static int decoder_join(struct decoder *decoder, size_t count, uint64_t *time_ns, size_t nprobes,
			struct vnt_event *events)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t delta = decoder->values[FIELD_TIME][i];
		uint64_t back = decoder->values[FIELD_PACKET][i];
		uint32_t probe = decoder->values[FIELD_PROBE][i];
		uint64_t index = back ? decoder->used - back : decoder->used;
		const struct packet *packet;

		if (index >= decoder->npackets || probe >= nprobes || *time_ns + delta < *time_ns)
			return -EBADMSG;
		packet = &decoder->packets[index];
		decoder->used += !back;
		*time_ns += delta;
		events[i] = (struct vnt_event){
			.time_ns = *time_ns,
			.flow = packet->flow,
			.key = packet->key,
			.length = packet->length,
			.payload = packet->payload,
			.probe = probe,
			.cpu = decoder->values[FIELD_CPU][i],
			.flags = packet->flags,
			.segment = packet->segment,
			.id = packet->id,
			.outer = decoder->values[FIELD_OUTER][i],
		};
	}
	return 0;
}

static bool decoder_at_end(const struct decoder *decoder)
{
	for (int id = 0; id < FIELDS; id++)
		if (decoder->cursors[id].at != decoder->cursors[id].end)
			return false;
	return true;
}

int decoder_run(struct decoder *decoder, const uint8_t *payload, size_t size,
		const struct vnt_block *block, size_t nprobes, struct vnt_event *events)
{
	uint64_t time_ns = block->first_ns;
	int err = decoder_parse(decoder, payload, size, block->rows);

	if (!err)
		err = decoder_take(decoder, FIELD_FLOW, decoder->flows, decoder->nflows);
	if (!err)
		err = decoder_packets(decoder);
	decoder->used = 0;
	for (size_t i = 0; !err && i < block->rows; i += CHUNK) {
		size_t count = block->rows - i < CHUNK ? block->rows - i : CHUNK;

		err = decoder_take_scope(decoder, SCOPE_EVENT, count);
		if (!err)
			err = decoder_join(decoder, count, &time_ns, nprobes, &events[i]);
	}
	if (!err && (time_ns != block->last_ns || !decoder_at_end(decoder)))
		err = -EBADMSG;
	return err;
}
