// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <string.h>

#include "block.h"
#include "crc32c.h"

/* Between host and disk order, both ways. */
static void block_swap(struct vnt_block *block)
{
	block->stored = htole32(block->stored);
	block->raw = htole32(block->raw);
	block->rows = htole32(block->rows);
	block->payload_crc = htole32(block->payload_crc);
	block->first_ns = htole64(block->first_ns);
	block->last_ns = htole64(block->last_ns);
	block->watermark_ns = htole64(block->watermark_ns);
	block->position = htole64(block->position);
	block->tag = htole64(block->tag);
	block->sequence = htole32(block->sequence);
	block->header_crc = htole32(block->header_crc);
}

static uint32_t block_crc(const struct vnt_block *block)
{
	return crc32c(block, offsetof(struct vnt_block, header_crc));
}

void block_seal(struct vnt_block *block, const void *payload)
{
	memcpy(block->magic, BLOCK_MAGIC, sizeof(block->magic));
	block->major = BLOCK_MAJOR;
	block->minor = BLOCK_MINOR;
	block->payload_crc = crc32c(payload, block->stored);
	block_swap(block);
	block->header_crc = htole32(block_crc(block));
}

bool block_parse(struct vnt_block *block, const void *bytes)
{
	uint32_t crc;

	memcpy(block, bytes, sizeof(*block));
	if (memcmp(block->magic, BLOCK_MAGIC, sizeof(block->magic)))
		return false;
	crc = block_crc(block);
	block_swap(block);
	return crc == block->header_crc && block->stored <= BLOCK_MAX && block->raw <= BLOCK_MAX;
}
