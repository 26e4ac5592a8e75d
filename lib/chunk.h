/* SPDX-License-Identifier: GPL-2.0-only */
/* chunk.h - the values of all columns that are encoded or decoded at a time. */
#ifndef VNT_CHUNK_H
#define VNT_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "columns.h"

#define CHUNK DECODER_CHUNK

/* Each as wide as its field says, so that all stay in the first-level cache. */
struct chunk {
	uint64_t flow[CHUNK];
	uint16_t flow_index[CHUNK];
	uint64_t key[CHUNK];
	uint32_t length[CHUNK];
	uint64_t headers[CHUNK];
	uint16_t flags[CHUNK];
	uint64_t time[CHUNK];
	uint32_t packet[CHUNK];
	uint16_t probe[CHUNK];
	uint16_t cpu[CHUNK];
	uint64_t outer[CHUNK];
	uint16_t segment[CHUNK];
	uint64_t id[CHUNK];
};

static inline void *chunk_column(struct chunk *chunk, enum field_id id)
{
	static const size_t places[FIELDS] = {
		[FIELD_FLOW] = offsetof(struct chunk, flow),
		[FIELD_FLOW_INDEX] = offsetof(struct chunk, flow_index),
		[FIELD_KEY] = offsetof(struct chunk, key),
		[FIELD_LENGTH] = offsetof(struct chunk, length),
		[FIELD_HEADERS] = offsetof(struct chunk, headers),
		[FIELD_FLAGS] = offsetof(struct chunk, flags),
		[FIELD_TIME] = offsetof(struct chunk, time),
		[FIELD_PACKET] = offsetof(struct chunk, packet),
		[FIELD_PROBE] = offsetof(struct chunk, probe),
		[FIELD_CPU] = offsetof(struct chunk, cpu),
		[FIELD_OUTER] = offsetof(struct chunk, outer),
		[FIELD_SEGMENT] = offsetof(struct chunk, segment),
		[FIELD_ID] = offsetof(struct chunk, id),
	};

	return (char *)chunk + places[id];
}

#endif
