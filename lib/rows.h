/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rows.h - the blocks that are plain arrays of rows: one row of a table per block type.
 *
 * On disk a row is a number of little-endian 64-bit words, one per member. A newer version may
 * append words: a reader skips those it does not know, and reads 0 for those that are not there.
 */
#ifndef VNT_ROWS_H
#define VNT_ROWS_H

#include "block.h"
#include "trace.h"

#define ROW_WORDS_MAX 17
#define ROWS_MAX      (BLOCK_ROWS * ROW_WORDS_MAX * sizeof(uint64_t)) /* bytes of any block */

struct row_type {
	enum batch_type batch;
	enum block_type block;
	uint16_t words;
	int16_t domain; /* the word that is an index of a domain, or -1 */
	int16_t probe;
};

const struct row_type *row_type_of_batch(enum batch_type type); /* NULL: it has none */
const struct row_type *row_type_of_block(uint8_t type);

/* Whether all indexes are below the size of their table. */
bool rows_valid(const struct row_type *type, const void *rows, size_t count, size_t ndomains,
		size_t nprobes);

/* Returns the bytes used of `out`. */
size_t rows_encode(const struct row_type *type, const void *rows, size_t count, uint8_t *out);

/* `rows` has room for `count` rows, `count` at most BLOCK_ROWS. 0 or -EBADMSG. */
int rows_decode(const struct row_type *type, const uint8_t *payload, size_t size, size_t count,
		void *rows);

#endif
