/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * block.h - the header of a block: what a trace file is a sequence of (man/vnettrace.5).
 *
 * Its layout, magic and both CRCs are the same in all versions of the format.
 */
#ifndef VNT_BLOCK_H
#define VNT_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#define BLOCK_MAGIC "VNTB"
#define BLOCK_MAJOR 1
#define BLOCK_MINOR 1
#define BLOCK_MAX   (16u << 20) /* bytes of a payload, stored or raw */
#define BLOCK_ROWS  65536u      /* rows of a block */

enum block_type { /* on disk */
	BLOCK_HEADER = 1,
	BLOCK_EVENTS = 2,
	BLOCK_FLOWS = 3,
	BLOCK_CLOCK = 4,
	BLOCK_LOSS = 5,
	BLOCK_EPOCH = 6,
	BLOCK_COST = 7,
	BLOCK_TUNNELS = 8,
	BLOCK_TRANSLATIONS = 12,
	BLOCK_VMS = 13,
	BLOCK_RANGES = 14,
};

/* Little-endian on disk. In memory the numbers are in host order, between block_parse() and
 * block_seal(). */
struct vnt_block {
	__u8 magic[4];
	__u8 major;
	__u8 minor;
	__u8 type;
	__u8 codec;
	__u32 stored; /* bytes of the payload in the file */
	__u32 raw;    /* ... after decompression */
	__u32 rows;
	__u32 payload_crc; /* of the stored bytes */
	__u64 first_ns;    /* of the events in the block; in other blocks as watermark_ns */
	__u64 last_ns;
	__u64 watermark_ns; /* no later block holds an earlier event */
	__u64 position;     /* events in the blocks before this one */
	__u64 tag;          /* hash of the header, the same in all blocks of a file */
	__u32 reserved;
	__u32 header_crc; /* of all bytes before it */
};
_Static_assert(sizeof(struct vnt_block) == 72, "struct vnt_block is on disk");
_Static_assert(offsetof(struct vnt_block, tag) == 56, "struct vnt_block is on disk");

/* Completes a header whose other fields are set, with its `payload` of block->stored bytes, and
 * turns it into what is written. */
void block_seal(struct vnt_block *block, const void *payload);

/* Reads a header from `bytes`. False if it is none: wrong magic or CRC, impossible lengths. */
bool block_parse(struct vnt_block *block, const void *bytes);

#endif
