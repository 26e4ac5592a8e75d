// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "merge_sort.h"

#define DIGIT_MAX 11 /* bits: as many counters fit into the first-level cache */

/* By the digit of so many bits from `shift` on; equal ones stay in their order. */
static void sort_digit(const uint64_t *in, size_t count, unsigned int shift, unsigned int bits,
		       uint64_t *out)
{
	uint16_t places[1u << DIGIT_MAX], place = 0;
	uint64_t mask = (1ull << bits) - 1;

	memset(places, 0, sizeof(*places) << bits);
	for (size_t i = 0; i < count; i++)
		places[in[i] >> shift & mask]++;
	for (size_t i = 0; i <= mask; i++) {
		uint16_t here = places[i];

		places[i] = place;
		place += here;
	}
	for (size_t i = 0; i < count; i++)
		out[places[in[i] >> shift & mask]++] = in[i];
}

const uint64_t *sorter_run(struct sorter *sorter, size_t count)
{
	unsigned int span = 0, done = 0, digits, side = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all |= sorter->keys[0][i] >> SORT_LOG;
	if (all)
		span = 64 - __builtin_clzll(all);
	for (digits = (span + DIGIT_MAX - 1) / DIGIT_MAX; digits; digits--, side = !side) {
		unsigned int bits = (span - done + digits - 1) / digits;

		sort_digit(sorter->keys[side], count, SORT_LOG + done, bits, sorter->keys[!side]);
		done += bits;
	}
	return sorter->keys[side];
}

/* No branch depends on which run is next. */
const uint64_t *sorter_join(struct sorter *sorter, size_t middle, size_t count)
{
	const uint64_t *a = sorter->keys[0], *b = a + middle;
	size_t done = 0, from_a = 0;

	for (; from_a < middle && done - from_a < count - middle; done++) {
		uint64_t next_a = a[from_a], next_b = b[done - from_a];

		sorter->keys[1][done] = next_a < next_b ? next_a : next_b;
		from_a += next_a < next_b;
	}
	b += done - from_a;
	memcpy(sorter->keys[1] + done, from_a < middle ? a + from_a : b,
	       (count - done) * sizeof(*a));
	return sorter->keys[1];
}
