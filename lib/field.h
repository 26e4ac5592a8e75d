/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * field.h - the columns of an EVENTS block: one row per field.
 *
 * The table is part of every file, so that an older reader can name, decode and skip columns it
 * does not know. Numbers and names are on disk: a row, once released, never changes.
 */
#ifndef VNT_FIELD_H
#define VNT_FIELD_H

#include <stdint.h>

/* What a column has one value for. */
enum field_scope {
	SCOPE_FLOW = 0,   /* each distinct flow of the block */
	SCOPE_PACKET = 1, /* each distinct packet of the block */
	SCOPE_EVENT = 2,
	SCOPES
};

enum field_encoding {
	ENCODING_FIXED64 = 0, /* eight bytes */
	ENCODING_VARINT =
		1, /* seven bits per byte, low bits first, top bit set in all but the last */
	ENCODING_ZIGZAG = 2, /* signed; varint of (value << 1) ^ (value >> 63) */
};

enum field_id {
	FIELD_FLOW = 0,       /* flow hash */
	FIELD_FLOW_INDEX = 1, /* the packet's flow: index of the FIELD_FLOW value */
	FIELD_KEY = 2,        /* names the packet within its flow */
	FIELD_LENGTH = 3,     /* bytes from the network header on */
	FIELD_HEADERS = 4,    /* length minus payload */
	FIELD_FLAGS = 5,      /* VNT_PACKET_* */
	FIELD_TIME = 6,   /* ns since the event before; of the first: since the block's first_ns */
	FIELD_PACKET = 7, /* 0: the next new packet; n: the n-th newest of those seen so far */
	FIELD_PROBE = 8,  /* index into the probes of the header */
	FIELD_CPU = 9,
	FIELD_OUTER = 10,   /* hash of the tunnel that the packet was in, or 0 */
	FIELD_SEGMENT = 11, /* payload of each packet of a super-packet, or 0 */
	FIELD_ID = 12,      /* IP ID, minus that of the flow's packet before; 16 bits, signed */
	FIELDS
};

#define FIELD_BIT(id) (1u << (id))
#define FIELDS_ALL    (FIELD_BIT(FIELDS) - 1)

struct field {
	uint16_t id;
	char name[16];
	uint16_t scope;
	uint16_t encoding;
	uint16_t bits;     /* width of the largest value */
	uint16_t optional; /* not there if it is 0 for all; not on disk */
};

extern const struct field fields[FIELDS]; /* fields[i].id == i */

#endif
