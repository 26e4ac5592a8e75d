// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/reorder.h"

#define PACKETS 3000

/* By the definition: one that set out later arrived earlier. */
static uint64_t count_naively(const uint64_t *arrived_ns)
{
	uint64_t reordered = 0;

	for (size_t i = 0; i < PACKETS; i++) {
		for (size_t k = i + 1; k < PACKETS; k++) {
			if (arrived_ns[k] < arrived_ns[i]) {
				reordered++;
				break;
			}
		}
	}
	return reordered;
}

/* As many as that are added together, or fewer. */
static void check(unsigned int spacing_ns, unsigned int jitter_ns, unsigned int together)
{
	uint64_t sent_ns[PACKETS], arrived_ns[PACKETS], now_ns = 0;
	struct reorder reorder = {0};

	for (size_t i = 0; i < PACKETS; i++) {
		now_ns += random() % (spacing_ns + 1);
		sent_ns[i] = now_ns;
		arrived_ns[i] = now_ns + 10 + random() % (jitter_ns + 1);
	}
	for (size_t at = 0, n; at < PACKETS; at += n) {
		n = 1 + random() % together;
		n = n < PACKETS - at ? n : PACKETS - at;
		cr_assert_eq(reorder_add(&reorder, sent_ns[at + n - 1], arrived_ns + at, n), 0);
	}
	cr_assert_eq(reorder.reordered, count_naively(arrived_ns));
	cr_assert(reorder.room <= 1024 || jitter_ns > 100 * spacing_ns);
	reorder_release(&reorder);
}

Test(reorder, what_a_later_packet_overtook)
{
	srandom(1);
	for (unsigned int together = 1; together <= 256; together *= 4) {
		check(100, 0, together);
		check(100, 100, together);
		check(100, 5000, together);
		check(1, 1000000, together);
		check(0, 3, together);
	}
}

Test(reorder, equal_times_are_no_overtaking)
{
	struct reorder reorder = {0};

	for (int i = 0; i < 5; i++)
		cr_assert_eq(reorder_add(&reorder, 7, &(uint64_t){9}, 1), 0);
	cr_assert_eq(reorder.reordered, 0);
	cr_assert_eq(reorder_add(&reorder, 7, &(uint64_t){8}, 1), 0);
	cr_assert_eq(reorder.reordered, 5);
	reorder_release(&reorder);
}
