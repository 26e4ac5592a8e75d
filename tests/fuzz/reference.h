/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * reference.h - what packet.h and tunnel.h say, once more, for one byte after the other and with no
 * thought of speed: which packet is the innermost one, and which of its bytes make its ID.
 */
#ifndef FUZZ_REFERENCE_H
#define FUZZ_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/tunnel.h"

#define REFERENCE_MAX 256

struct reference {
	const uint8_t *bytes; /* of the innermost packet */
	uint32_t linear;      /* in reach */
	uint32_t length;
	uint32_t ethertype;
	unsigned int tunnels;
	bool unread;   /* has room for a stamp, out of reach */
	bool fragment; /* the first one, or another */
	/* All that tells it from others. */
	uint8_t name[REFERENCE_MAX];
	uint32_t size;
};

void reference_parse(struct reference *reference, const uint8_t *bytes, uint32_t linear,
		     uint32_t length, uint32_t ethertype, const struct vnt_ports *ports);

#endif
