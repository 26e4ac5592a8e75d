/* SPDX-License-Identifier: GPL-2.0-only */
/* codec.h - how the payload of a block is compressed: one row per codec. */
#ifndef VNT_CODEC_H
#define VNT_CODEC_H

#include <stddef.h>
#include <stdint.h>

enum codec_id { /* on disk */
	CODEC_NONE = 0,
	CODEC_LZ4 = 1,  /* an LZ4 block */
	CODEC_ZLIB = 2, /* a zlib stream, RFC 1950 */
};

/* Sizes are at most BLOCK_MAX. Both functions are NULL for CODEC_NONE: its payload is used in place. */
struct codec {
	uint8_t id;
	const char *name;
	size_t (*compress)(const void *in, size_t size, void *out,
			   size_t room);                                       /* 0: does not fit */
	int (*decompress)(const void *in, size_t size, void *out, size_t raw); /* 0 or -EBADMSG */
};

const struct codec *codec_find(uint8_t id); /* NULL if there is none */

#endif
