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

/* Keys are the time since the first one, and below it the place in `in`. */
void sorter_run(struct sorter *sorter, uint64_t first_ns, const struct vnt_event *in, size_t count,
		struct vnt_event *out)
{
	unsigned int span = 0, done = 0, digits, side = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t passed = in[i].time_ns - first_ns;

		all |= passed;
		sorter->keys[0][i] = passed << SORT_LOG | i;
	}
	if (all)
		span = 64 - __builtin_clzll(all);
	for (digits = (span + DIGIT_MAX - 1) / DIGIT_MAX; digits; digits--, side = !side) {
		unsigned int bits = (span - done + digits - 1) / digits;

		sort_digit(sorter->keys[side], count, SORT_LOG + done, bits, sorter->keys[!side]);
		done += bits;
	}
	for (size_t i = 0; i < count; i++)
		out[i] = in[sorter->keys[side][i] & (SORT_MAX - 1)];
}
