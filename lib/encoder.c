// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"

#define PACKET_SLOTS 8192
#define FLOW_SLOTS   1024
#define TAG_SHIFT    17
_Static_assert(BLOCK_ROWS < 1u << TAG_SHIFT, "a place fits below");

/*
 * Repeats are found through direct-mapped tables of "index + 1, 0 if free"; with that of a packet are more
 * bits of its hash, so that others need not be looked at. A collision only makes the packet or flow be
 * stored again.
 */
struct encoder {
	struct chunk chunk;
	bool used[FIELDS]; /* the column is there */
	uint32_t packet_slots[PACKET_SLOTS];
	uint32_t flow_slots[FLOW_SLOTS];
	size_t counts[SCOPES];                 /* values of each scope so far */
	uint64_t time_ns;                      /* of the event before */
	struct packet packets[BLOCK_ROWS + 1]; /* from 1 on */
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
	size_t count = encoder->counts[SCOPE_FLOW];

	if (!*slot || encoder->flows[*slot - 1] != flow) {
		encoder->flows[count] = flow;
		encoder->ids[count] = 0;
		*slot = ++encoder->counts[SCOPE_FLOW];
	}
	return *slot - 1;
}

/* Two or three neighbours of a packet or an event at once. */
static uint64_t word_at(const void *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint64_t flags_to_id(const struct vnt_event *event)
{
	return word_at(&event->flags) & htole64(0x0000ffffffffffff);
}

static bool packet_is(const struct packet *packet, const struct vnt_event *event)
{
	return !((packet->flow ^ event->flow) | (packet->key ^ event->key) |
		 (word_at(&packet->length) ^ word_at(&event->length)) |
		 (word_at(&packet->flags) ^ flags_to_id(event)));
}

static void packet_set(struct packet *packet, const struct vnt_event *event)
{
	uint64_t lengths = word_at(&event->length), rest = flags_to_id(event);

	packet->flow = event->flow;
	packet->key = event->key;
	memcpy(&packet->length, &lengths, sizeof(lengths));
	memcpy(&packet->flags, &rest, sizeof(rest));
}

/* Values of FIELD_PACKET. */
static void encoder_find_packets(struct encoder *encoder, const struct vnt_event *event,
				 size_t count)
{
	uint32_t next = encoder->counts[SCOPE_PACKET] + 1;

	for (size_t i = 0; i < count; i++, event++) {
		uint32_t hash = slot_hash(event->flow ^ event->key);
		uint32_t *slot = &encoder->packet_slots[hash % PACKET_SLOTS];
		uint32_t tag = hash / PACKET_SLOTS << TAG_SHIFT, place = *slot ^ tag;

		if (place && !(place >> TAG_SHIFT) && packet_is(&encoder->packets[place], event)) {
			encoder->chunk.packet[i] = next - place;
			continue;
		}
		encoder->chunk.packet[i] = 0;
		packet_set(&encoder->packets[next], event);
		*slot = tag | next++;
	}
	encoder->counts[SCOPE_PACKET] = next - 1;
}

/* The values of those that are new: from `known` on. */
static void encoder_add_packets(struct encoder *encoder, size_t known)
{
	size_t flows = encoder->counts[SCOPE_FLOW];
	const struct packet *packet = &encoder->packets[known + 1];
	size_t count = encoder->counts[SCOPE_PACKET] - known;
	struct chunk *chunk = &encoder->chunk;

	for (size_t i = 0; i < count; i++, packet++) {
		uint32_t flow = encoder_flow(encoder, packet->flow);

		chunk->flow_index[i] = flow;
		chunk->key[i] = packet->key;
		chunk->length[i] = packet->length;
		chunk->headers[i] = (int64_t)packet->length - packet->payload;
		chunk->flags[i] = packet->flags;
		chunk->segment[i] = packet->segment;
		chunk->id[i] = (int16_t)(packet->id - encoder->ids[flow]);
		encoder->ids[flow] = packet->id;
	}
	memcpy(chunk->flow, &encoder->flows[flows],
	       (encoder->counts[SCOPE_FLOW] - flows) * sizeof(*chunk->flow));
}

static void encoder_add_events(struct encoder *encoder, const struct vnt_event *events,
			       size_t count)
{
	struct chunk *chunk = &encoder->chunk;
	uint64_t time_ns = encoder->time_ns;

	for (size_t i = 0; i < count; i++) {
		chunk->time[i] = events[i].time_ns - time_ns;
		chunk->probe[i] = events[i].probe;
		chunk->cpu[i] = events[i].cpu;
		chunk->outer[i] = events[i].outer;
		time_ns = events[i].time_ns;
	}
	encoder->time_ns = time_ns;
	encoder->counts[SCOPE_EVENT] += count;
}

static uint8_t *put_fixed(uint8_t *at, const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++, at += sizeof(uint64_t)) {
		uint64_t value = htole64(values[i]);

		memcpy(at, &value, sizeof(value));
	}
	return at;
}

static uint8_t *put_zigzags(uint8_t *at, uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = values[i] << 1 ^ -(values[i] >> 63);
	return varints_put(at, values, count, sizeof(*values));
}

static bool is_zero(const void *values, size_t bytes)
{
	const char *first = values;

	return !bytes || (!*first && !memcmp(first, first + 1, bytes - 1));
}

/* Appends values of this chunk to a column, which begins with the first one that is not 0, behind `before`
 * values that are; unless it is there always. */
static void encoder_put(struct encoder *encoder, enum field_id id, size_t before, size_t count)
{
	void *values = chunk_column(&encoder->chunk, id);
	size_t width = fields[id].bits / 8;
	uint8_t **end = &encoder->ends[id];

	if (!encoder->used[id]) {
		size_t bytes = fields[id].encoding == ENCODING_FIXED64 ? before * width : before;

		if (is_zero(values, count * width))
			return;
		encoder->used[id] = true;
		memset(*end, 0, bytes);
		*end += bytes;
	}
	switch (fields[id].encoding) {
	case ENCODING_FIXED64:
		*end = put_fixed(*end, values, count);
		break;
	case ENCODING_VARINT:
		*end = varints_put(*end, values, count, width);
		break;
	case ENCODING_ZIGZAG:
		*end = put_zigzags(*end, values, count);
		break;
	}
}

static uint32_t encoder_columns(const struct encoder *encoder)
{
	uint32_t columns = 0;

	for (int id = 0; id < FIELDS; id++)
		columns += encoder->used[id];
	return columns;
}

size_t encoder_end(const struct encoder *encoder, uint8_t *out)
{
	uint32_t columns = encoder_columns(encoder);
	struct vnt_columns head = {
		.flows = htole32(encoder->counts[SCOPE_FLOW]),
		.packets = htole32(encoder->counts[SCOPE_PACKET]),
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

void encoder_begin(struct encoder *encoder)
{
	memset(encoder->packet_slots, 0, sizeof(encoder->packet_slots));
	memset(encoder->flow_slots, 0, sizeof(encoder->flow_slots));
	memset(encoder->counts, 0, sizeof(encoder->counts));
	for (int id = 0; id < FIELDS; id++) {
		encoder->ends[id] = encoder->columns[id];
		encoder->used[id] = !fields[id].optional;
	}
}

static void encoder_add_chunk(struct encoder *encoder, const struct vnt_event *events, size_t count)
{
	size_t before[SCOPES];

	memcpy(before, encoder->counts, sizeof(before));
	encoder_find_packets(encoder, events, count);
	encoder_add_packets(encoder, before[SCOPE_PACKET]);
	encoder_add_events(encoder, events, count);
	for (int id = 0; id < FIELDS; id++) {
		enum field_scope scope = fields[id].scope;

		encoder_put(encoder, id, before[scope], encoder->counts[scope] - before[scope]);
	}
}

void encoder_add(struct encoder *encoder, const struct vnt_event *events, size_t count)
{
	if (!encoder->counts[SCOPE_EVENT])
		encoder->time_ns = events[0].time_ns;
	for (size_t i = 0; i < count; i += CHUNK)
		encoder_add_chunk(encoder, &events[i], count - i < CHUNK ? count - i : CHUNK);
}

size_t encoder_run(struct encoder *encoder, const struct vnt_event *events, size_t count,
		   uint8_t *out)
{
	encoder_begin(encoder);
	encoder_add(encoder, events, count);
	return encoder_end(encoder, out);
}
