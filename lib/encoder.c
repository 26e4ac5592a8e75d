// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"

#define CHUNK        256 /* values of all columns stay in the first-level cache */
#define PACKET_SLOTS 8192
#define FLOW_SLOTS   1024

/*
 * Repeats are found through direct-mapped tables of "index + 1, 0 if free". A collision only makes
 * the packet or flow be stored again.
 */
struct encoder {
	uint64_t values[FIELDS][CHUNK];
	size_t counts[SCOPES]; /* values of each scope in this chunk */
	bool used[FIELDS];     /* the column is there */
	uint32_t packet_slots[PACKET_SLOTS];
	uint32_t flow_slots[FLOW_SLOTS];
	uint32_t npackets;
	uint32_t nflows;
	struct packet packets[BLOCK_ROWS];
	uint64_t flows[BLOCK_ROWS];
	uint16_t ids[BLOCK_ROWS]; /* of each flow's packet before */
	uint8_t *ends[FIELDS];
	uint8_t columns[FIELDS][COLUMN_MAX];
};

int encoder_open(struct encoder **encoder)
{
	*encoder = malloc(sizeof(**encoder));
	return *encoder ? 0 : -ENOMEM;
}

void encoder_close(struct encoder *encoder)
{
	free(encoder);
}

static uint64_t slot_hash(uint64_t value)
{
	return value * 0x9e3779b97f4a7c15ull >> 32;
}

static uint32_t encoder_flow(struct encoder *encoder, uint64_t flow)
{
	uint32_t *slot = &encoder->flow_slots[slot_hash(flow) % FLOW_SLOTS];

	if (!*slot || encoder->flows[*slot - 1] != flow) {
		encoder->values[FIELD_FLOW][encoder->counts[SCOPE_FLOW]++] = flow;
		encoder->flows[encoder->nflows] = flow;
		encoder->ids[encoder->nflows] = 0;
		*slot = ++encoder->nflows;
	}
	return *slot - 1;
}

static void encoder_add_packet(struct encoder *encoder, const struct vnt_event *event)
{
	int64_t headers = (int64_t)event->length - event->payload;
	uint32_t flow = encoder_flow(encoder, event->flow);
	size_t n = encoder->counts[SCOPE_PACKET]++;

	encoder->values[FIELD_FLOW_INDEX][n] = flow;
	encoder->values[FIELD_KEY][n] = event->key;
	encoder->values[FIELD_LENGTH][n] = event->length;
	encoder->values[FIELD_HEADERS][n] = headers;
	encoder->values[FIELD_FLAGS][n] = event->flags;
	encoder->values[FIELD_SEGMENT][n] = event->segment;
	encoder->values[FIELD_ID][n] = (int16_t)(event->id - encoder->ids[flow]);
	encoder->ids[flow] = event->id;
	encoder->packets[encoder->npackets++] = (struct packet){
		.flow = event->flow,
		.key = event->key,
		.length = event->length,
		.payload = event->payload,
		.flags = event->flags,
		.segment = event->segment,
		.id = event->id,
	};
}

static bool packet_is(const struct packet *packet, const struct vnt_event *event)
{
	return packet->key == event->key && packet->flow == event->flow &&
	       packet->length == event->length && packet->payload == event->payload &&
	       packet->flags == event->flags && packet->segment == event->segment &&
	       packet->id == event->id;
}

/* The value of FIELD_PACKET. */
static uint32_t encoder_packet(struct encoder *encoder, const struct vnt_event *event)
{
	uint32_t *slot = &encoder->packet_slots[slot_hash(event->flow ^ event->key) % PACKET_SLOTS];

	if (*slot && packet_is(&encoder->packets[*slot - 1], event))
		return encoder->npackets - (*slot - 1);
	encoder_add_packet(encoder, event);
	*slot = encoder->npackets;
	return 0;
}

static void encoder_split(struct encoder *encoder, const struct vnt_event *events, size_t count,
			  uint64_t time_ns)
{
	memset(encoder->counts, 0, sizeof(encoder->counts));
	encoder->counts[SCOPE_EVENT] = count;
	for (size_t i = 0; i < count; i++) {
		encoder->values[FIELD_TIME][i] = events[i].time_ns - time_ns;
		encoder->values[FIELD_PACKET][i] = encoder_packet(encoder, &events[i]);
		encoder->values[FIELD_PROBE][i] = events[i].probe;
		encoder->values[FIELD_CPU][i] = events[i].cpu;
		encoder->values[FIELD_OUTER][i] = events[i].outer;
		time_ns = events[i].time_ns;
	}
}

static uint8_t *put_fixed(uint8_t *at, const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++, at += sizeof(uint64_t)) {
		uint64_t value = htole64(values[i]);

		memcpy(at, &value, sizeof(value));
	}
	return at;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = value | 0x80;
	*at++ = value;
	return at;
}

/* One below 2^14: no branch depends on whether it takes a byte or two. */
static uint8_t *put_varint14(uint8_t *at, uint64_t value)
{
	unsigned int more = value >= 0x80;

	at[0] = (value & 0x7f) | more << 7;
	at[1] = value >> 7;
	return at + 1 + more;
}

/* Eight at a time: often they are eight bytes. */
static uint8_t *put_varints(uint8_t *at, const uint64_t *values, size_t count)
{
	const uint64_t *stop = values + count;

	for (; stop - values >= 8; values += 8) {
		uint64_t all = 0, bytes = 0;

#pragma GCC unroll 8
		for (int i = 0; i < 8; i++) {
			all |= values[i];
			bytes |= values[i] << 8 * i;
		}
		if (all < 0x80) {
			bytes = htole64(bytes);
			memcpy(at, &bytes, sizeof(bytes));
			at += sizeof(bytes);
			continue;
		}
#pragma GCC unroll 8
		for (int i = 0; i < 8; i++)
			at = all >> 14 ? put_varint(at, values[i]) : put_varint14(at, values[i]);
	}
	while (values < stop)
		at = put_varint(at, *values++);
	return at;
}

static uint8_t *put_zigzags(uint8_t *at, uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = values[i] << 1 ^ -(values[i] >> 63);
	return put_varints(at, values, count);
}

static uint8_t *put_values(enum field_encoding encoding, uint8_t *at, uint64_t *values,
			   size_t count)
{
	switch (encoding) {
	case ENCODING_FIXED64:
		return put_fixed(at, values, count);
	case ENCODING_VARINT:
		return put_varints(at, values, count);
	case ENCODING_ZIGZAG:
		return put_zigzags(at, values, count);
	}
	return at;
}

/* Begins the column if it is not 0 for all of this chunk, behind `before` values that are. */
static void encoder_meet(struct encoder *encoder, enum field_id id, size_t before)
{
	size_t bytes = fields[id].encoding == ENCODING_FIXED64 ? before * sizeof(uint64_t) : before;
	const uint64_t *values = encoder->values[id];
	uint64_t all = 0;

	for (size_t i = 0; i < encoder->counts[fields[id].scope]; i++)
		all |= values[i];
	if (!all)
		return;
	encoder->used[id] = true;
	encoder->ends[id] += bytes;
	memset(encoder->columns[id], 0, bytes);
}

static void encoder_put(struct encoder *encoder, enum field_id id, size_t before)
{
	const struct field *field = &fields[id];

	if (!encoder->used[id])
		encoder_meet(encoder, id, before);
	if (encoder->used[id])
		encoder->ends[id] = put_values(field->encoding, encoder->ends[id],
					       encoder->values[id], encoder->counts[field->scope]);
}

static uint32_t encoder_columns(const struct encoder *encoder)
{
	uint32_t columns = 0;

	for (int id = 0; id < FIELDS; id++)
		columns += encoder->used[id];
	return columns;
}

/* Directory and columns, one behind the other. */
static size_t encoder_join(const struct encoder *encoder, uint8_t *out)
{
	uint32_t columns = encoder_columns(encoder);
	struct vnt_columns head = {
		.flows = htole32(encoder->nflows),
		.packets = htole32(encoder->npackets),
		.columns = htole32(columns),
	};
	uint8_t *entry = out + sizeof(head);
	uint8_t *at = entry + columns * sizeof(struct vnt_column);

	memcpy(out, &head, sizeof(head));
	for (int id = 0; id < FIELDS; id++) {
		size_t bytes = encoder->ends[id] - encoder->columns[id];
		struct vnt_column column = {
			.id = htole16(id),
			.encoding = htole16(fields[id].encoding),
			.bytes = htole32(bytes),
		};

		if (!encoder->used[id])
			continue;
		memcpy(entry, &column, sizeof(column));
		entry += sizeof(column);
		memcpy(at, encoder->columns[id], bytes);
		at += bytes;
	}
	return at - out;
}

size_t encoder_run(struct encoder *encoder, const struct vnt_event *events, size_t count,
		   uint8_t *out)
{
	uint64_t time_ns = events[0].time_ns;

	memset(encoder->packet_slots, 0, sizeof(encoder->packet_slots));
	memset(encoder->flow_slots, 0, sizeof(encoder->flow_slots));
	encoder->npackets = 0;
	encoder->nflows = 0;
	for (int id = 0; id < FIELDS; id++) {
		encoder->ends[id] = encoder->columns[id];
		encoder->used[id] = !fields[id].optional;
	}

	for (size_t i = 0; i < count; i += CHUNK) {
		const size_t before[SCOPES] = {encoder->nflows, encoder->npackets, i};

		encoder_split(encoder, &events[i], count - i < CHUNK ? count - i : CHUNK, time_ns);
		for (int id = 0; id < FIELDS; id++)
			encoder_put(encoder, id, before[fields[id].scope]);
		time_ns = events[i + encoder->counts[SCOPE_EVENT] - 1].time_ns;
	}
	return encoder_join(encoder, out);
}
