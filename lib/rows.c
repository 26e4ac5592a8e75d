// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "rows.h"

#define WORDS(type)        (sizeof(struct type) / sizeof(uint64_t))
#define WORD(type, member) (offsetof(struct type, member) / sizeof(uint64_t))

static const struct row_type row_types[] = {
	{BATCH_FLOWS, BLOCK_FLOWS, WORDS(flow_row), -1, -1},
	{BATCH_ANCHORS, BLOCK_CLOCK, WORDS(anchor_row), WORD(anchor_row, domain), -1},
	{BATCH_LOSSES, BLOCK_LOSS, WORDS(loss_row), WORD(loss_row, domain), WORD(loss_row, probe)},
	{BATCH_EPOCHS, BLOCK_EPOCH, WORDS(epoch_row), -1, WORD(epoch_row, probe)},
	{BATCH_COSTS, BLOCK_COST, WORDS(cost_row), WORD(cost_row, domain), -1},
	{BATCH_TUNNELS, BLOCK_TUNNELS, WORDS(tunnel_row), -1, -1},
	{BATCH_TRANSLATIONS, BLOCK_TRANSLATIONS, WORDS(translation_row), -1,
	 WORD(translation_row, probe)},
	{BATCH_VMS, BLOCK_VMS, WORDS(vm_row), WORD(vm_row, domain), -1},
	{BATCH_RANGES, BLOCK_RANGES, WORDS(range_row), WORD(range_row, domain), -1},
};
#define ROW_TYPES (sizeof(row_types) / sizeof(row_types[0]))

_Static_assert(WORDS(flow_row) == 6 && WORDS(loss_row) == 8, "rows are on disk");
_Static_assert(WORDS(tunnel_row) == 7 && WORDS(translation_row) == 4, "rows are on disk");
_Static_assert(WORDS(epoch_row) == 4 && WORDS(cost_row) == 7, "rows are on disk");
_Static_assert(WORDS(vm_row) == 7 && WORDS(range_row) == 6, "rows are on disk");
_Static_assert(WORDS(anchor_row) == ROW_WORDS_MAX, "the longest row");

const struct row_type *row_type_of_batch(enum batch_type type)
{
	for (size_t i = 0; i < ROW_TYPES; i++)
		if (row_types[i].batch == type)
			return &row_types[i];
	return NULL;
}

const struct row_type *row_type_of_block(uint8_t type)
{
	for (size_t i = 0; i < ROW_TYPES; i++)
		if (row_types[i].block == type)
			return &row_types[i];
	return NULL;
}

bool rows_valid(const struct row_type *type, const void *rows, size_t count, size_t ndomains,
		size_t nprobes)
{
	const uint64_t *row = rows;

	for (size_t i = 0; i < count; i++, row += type->words) {
		if (type->domain >= 0 && row[type->domain] >= ndomains)
			return false;
		if (type->probe < 0 || row[type->probe] < nprobes)
			continue;
		if (type->batch != BATCH_LOSSES || row[type->probe] != ANY_PROBE)
			return false;
	}
	return true;
}

/* Two words as they are. */
static void address_pack(const uint8_t *address, uint64_t *words)
{
	memcpy(words, address, 16);
	words[0] = le64toh(words[0]);
	words[1] = le64toh(words[1]);
}

static void address_unpack(uint8_t *address, const uint64_t *words)
{
	const uint64_t bytes[2] = {htole64(words[0]), htole64(words[1])};

	memcpy(address, bytes, sizeof(bytes));
}

/* Rows that are not made of words: 0 the hash, 1 to 4 the addresses, 5 the rest. */
static void flow_pack(const struct flow_row *row, uint64_t *words)
{
	const struct vnt_flow *flow = &row->flow;

	words[0] = row->hash;
	address_pack(flow->saddr, &words[1]);
	address_pack(flow->daddr, &words[3]);
	words[5] = (uint64_t)flow->proto << 48 | (uint64_t)flow->ethertype << 32 |
		   (uint64_t)flow->dport << 16 | flow->sport;
}

static void flow_unpack(struct flow_row *row, const uint64_t *words)
{
	struct vnt_flow *flow = &row->flow;

	memset(row, 0, sizeof(*row));
	row->hash = words[0];
	address_unpack(flow->saddr, &words[1]);
	address_unpack(flow->daddr, &words[3]);
	flow->sport = words[5];
	flow->dport = words[5] >> 16;
	flow->ethertype = words[5] >> 32;
	flow->proto = words[5] >> 48;
}

/* ... and 6 the hash of the tunnel around it. */
static void tunnel_pack(const struct tunnel_row *row, uint64_t *words)
{
	const struct vnt_tunnel *tunnel = &row->tunnel;

	words[0] = row->hash;
	address_pack(tunnel->saddr, &words[1]);
	address_pack(tunnel->daddr, &words[3]);
	words[5] = (uint64_t)tunnel->kind << 48 | (uint64_t)tunnel->ethertype << 32 | tunnel->id;
	words[6] = tunnel->outer;
}

static void tunnel_unpack(struct tunnel_row *row, const uint64_t *words)
{
	struct vnt_tunnel *tunnel = &row->tunnel;

	memset(row, 0, sizeof(*row));
	row->hash = words[0];
	address_unpack(tunnel->saddr, &words[1]);
	address_unpack(tunnel->daddr, &words[3]);
	tunnel->id = words[5];
	tunnel->ethertype = words[5] >> 32;
	tunnel->kind = words[5] >> 48;
	tunnel->outer = words[6];
}

/* Causes that a newer version added. */
static void loss_unpack(struct loss_row *row)
{
	if (row->cause >= LOSS_CAUSES)
		row->cause = LOSS_OTHER;
}

size_t rows_encode(const struct row_type *type, const void *rows, size_t count, uint8_t *out)
{
	size_t bytes = type->words * sizeof(uint64_t);

	for (size_t i = 0; i < count; i++) {
		const uint8_t *row = (const uint8_t *)rows + i * bytes;
		uint64_t words[ROW_WORDS_MAX];

		if (type->batch == BATCH_FLOWS)
			flow_pack((const struct flow_row *)row, words);
		else if (type->batch == BATCH_TUNNELS)
			tunnel_pack((const struct tunnel_row *)row, words);
		else
			memcpy(words, row, bytes);
		for (size_t w = 0; w < type->words; w++)
			words[w] = htole64(words[w]);
		memcpy(out + i * bytes, words, bytes);
	}
	return count * bytes;
}

int rows_decode(const struct row_type *type, const uint8_t *payload, size_t size, size_t count,
		void *rows)
{
	size_t bytes = type->words * sizeof(uint64_t);
	size_t there = count ? size / count : 0;

	if (there * count != size || there % sizeof(uint64_t))
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		uint8_t *row = (uint8_t *)rows + i * bytes;
		uint64_t words[ROW_WORDS_MAX] = {0};

		memcpy(words, payload + i * there, there < bytes ? there : bytes);
		for (size_t w = 0; w < type->words; w++)
			words[w] = le64toh(words[w]);
		if (type->batch == BATCH_FLOWS)
			flow_unpack((struct flow_row *)row, words);
		else if (type->batch == BATCH_TUNNELS)
			tunnel_unpack((struct tunnel_row *)row, words);
		else
			memcpy(row, words, bytes);
		if (type->batch == BATCH_LOSSES)
			loss_unpack((struct loss_row *)row);
	}
	return 0;
}
