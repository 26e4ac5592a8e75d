// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "legs.h"

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	uint16_t encoding;
};

struct decoder {
	uint32_t wanted;
	uint8_t *room;
	size_t room_size;
	struct cursor cursors[FIELDS];
	size_t nprobes;
	uint64_t time_ns;  /* of the last event */
	uint64_t last_ns;  /* what that of the block's last one must be */
	size_t left;       /* events */
	int err;           /* of what comes next */
	uint16_t next_leg; /* of the block; they count from 1 */
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

static const uint8_t *take_zigzags(const uint8_t *at, const uint8_t *end, uint64_t *values,
				   size_t count)
{
	at = varints_take(at, end, values, count, sizeof(*values));
	for (size_t i = 0; at && i < count; i++)
		values[i] = values[i] >> 1 ^ -(values[i] & 1);
	return at;
}

static const uint8_t *take_wide(uint16_t encoding, const uint8_t *at, const uint8_t *end,
				uint64_t *values, size_t count)
{
	switch (encoding) {
	case ENCODING_FIXED64:
		return take_fixed(at, end, values, count);
	case ENCODING_ZIGZAG:
		return take_zigzags(at, end, values, count);
	case ENCODING_VARINT:
		return varints_take(at, end, values, count, sizeof(*values));
	}
	return NULL;
}

/* No version of the encoder writes a narrow column like that. */
static const uint8_t *take_narrow(uint16_t encoding, const uint8_t *at, const uint8_t *end,
				  void *values, size_t count, size_t width)
{
	uint64_t wide[CHUNK];

	at = take_wide(encoding, at, end, wide, count);
	for (size_t i = 0; at && i < count; i++) {
		if (wide[i] >> 8 * width)
			return NULL;
		if (width == sizeof(uint16_t))
			((uint16_t *)values)[i] = wide[i];
		else
			((uint32_t *)values)[i] = wide[i];
	}
	return at;
}

/* The next `count` values of a column to `values`, each as wide as the field. */
static int decoder_take(struct decoder *decoder, enum field_id id, void *values, size_t count)
{
	struct cursor *cursor = &decoder->cursors[id];
	size_t width = fields[id].bits / 8;

	if (!cursor->at)
		return fields[id].optional || !decoder_wants(decoder, id) ? 0 : -EBADMSG;
	if (cursor->encoding == ENCODING_VARINT)
		cursor->at = varints_take(cursor->at, cursor->end, values, count, width);
	else if (width == sizeof(uint64_t))
		cursor->at = take_wide(cursor->encoding, cursor->at, cursor->end, values, count);
	else
		cursor->at = take_narrow(cursor->encoding, cursor->at, cursor->end, values, count,
					 width);
	return cursor->at ? 0 : -EBADMSG;
}

/* ... and of all columns of a scope. */
static int decoder_take_scope(struct decoder *decoder, enum field_scope scope, struct chunk *chunk,
			      size_t count)
{
	int err = 0;

	for (int id = 0; id < FIELDS && !err; id++)
		if (fields[id].scope == scope)
			err = decoder_take(decoder, id, chunk_column(chunk, id), count);
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
	int err = decoder_parse(decoder, payload, size, block->rows);

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
	decoder->next_leg = 1;
	memset(decoder->ids, 0, decoder->nflows * sizeof(*decoder->ids));
	memset(decoder->flows, 0, decoder->nflows * sizeof(*decoder->flows));
	return decoder_take(decoder, FIELD_FLOW, decoder->flows, decoder->nflows);
}

static int decoder_add_packets(struct decoder *decoder, const struct chunk *chunk, size_t count)
{
	struct packet *packet = &decoder->packets[decoder->known];

	for (size_t i = 0; i < count; i++, packet++) {
		uint64_t payload = chunk->length[i] - chunk->headers[i];
		uint16_t flow = chunk->flow_index[i];

		if (flow >= decoder->nflows || payload > UINT32_MAX)
			return -EBADMSG;
		*packet = (struct packet){
			.flow = decoder->flows[flow],
			.key = chunk->key[i],
			.length = chunk->length[i],
			.payload = payload,
			.flags = chunk->flags[i],
			.segment = chunk->segment[i],
			.id = decoder->ids[flow] += chunk->id[i],
		};
	}
	decoder->known += count;
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
		if (!err)
			err = decoder_add_packets(decoder, chunk, count);
	}
	return err;
}

static void event_make(struct vnt_event *event, const struct chunk *chunk, size_t i,
		       const struct packet *packet, uint64_t time_ns)
{
	event->time_ns = time_ns;
	memcpy((char *)event + offsetof(struct vnt_event, flow), packet, PACKET_PIECE);
	event->outer = chunk->outer[i];
	event->probe = chunk->probe[i];
	event->cpu = chunk->cpu[i];
	memcpy((char *)event + offsetof(struct vnt_event, flags), &packet->flags,
	       sizeof(*packet) - PACKET_PIECE);
	event->slot = 0;
}

/* Which packets they are of, and when they were: to the columns, or to `events`, if not NULL. */
static int decoder_resolve(struct decoder *decoder, struct chunk *chunk, size_t count,
			   struct vnt_event *events)
{
	uint64_t time_ns = decoder->time_ns;
	size_t used = decoder->used;

	for (size_t i = 0; i < count; i++) {
		uint32_t back = chunk->packet[i];
		size_t index = used - back;

		if (index >= decoder->npackets || chunk->probe[i] >= decoder->nprobes ||
		    __builtin_add_overflow(time_ns, chunk->time[i], &time_ns))
			return -EBADMSG;
		used += !back;
		if (events) {
			event_make(&events[i], chunk, i, &decoder->packets[index], time_ns);
			continue;
		}
		chunk->packet[i] = index;
		chunk->time[i] = time_ns;
	}
	decoder->time_ns = time_ns;
	decoder->used = used;
	return time_ns > decoder->last_ns ? -EBADMSG : 0;
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

/* Where they go: to one of both. */
struct sink {
	struct vnt_event *events;
	const struct legs_shape *shape;
	struct legs *legs;
};

/* At most CHUNK of them, behind `done`. */
static int decoder_chunk(struct decoder *decoder, struct chunk *chunk, const struct sink *sink,
			 size_t done, size_t count)
{
	struct vnt_event *events = sink->events ? sink->events + done : NULL;
	int err = decoder_packets(decoder, chunk, count);

	if (!err)
		err = decoder_take_scope(decoder, SCOPE_EVENT, chunk, count);
	if (!err)
		err = decoder_resolve(decoder, chunk, count, events);
	if (!err && count == decoder->left)
		err = decoder_end(decoder, chunk);
	if (!err && !events)
		legs_add(sink->legs, sink->shape, chunk, count, decoder->packets);
	return err;
}

/* Chunks begin at the same events whatever `room` is, so that what is damaged ends at the same one. */
static int decoder_run(struct decoder *decoder, const struct sink *sink, size_t room)
{
	size_t done = 0, count;
	struct chunk chunk;

	for (int id = 0; id < FIELDS; id++)
		if (!decoder->cursors[id].at)
			memset(chunk_column(&chunk, id), 0, CHUNK * fields[id].bits / 8);
	for (; decoder->left && done < room; done += count) {
		count = decoder->left < CHUNK ? decoder->left : CHUNK;
		if (count > room - done && done)
			break;
		count = count < room ? count : room;
		decoder->err = decoder_chunk(decoder, &chunk, sink, done, count);
		decoder->left = decoder->err ? 0 : decoder->left - count;
		if (decoder->err)
			break;
	}
	return done ? (int)done : decoder->err;
}

int decoder_next(struct decoder *decoder, struct vnt_event *events, size_t room)
{
	return decoder_run(decoder, &(struct sink){.events = events}, room);
}

int decoder_next_legs(struct decoder *decoder, const struct legs_shape *shape, struct legs *legs,
		      size_t room)
{
	const struct sink sink = {.shape = shape, .legs = legs};
	int count;

	legs_begin(legs, decoder->next_leg);
	count = decoder_run(decoder, &sink, room);
	legs_end(legs, shape);
	decoder->next_leg += legs->count;
	return count;
}
