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

static void check(unsigned int spacing_ns, unsigned int jitter_ns)
{
	uint64_t sent_ns[PACKETS], arrived_ns[PACKETS], now_ns = 0;
	struct reorder reorder = {0};

	for (size_t i = 0; i < PACKETS; i++) {
		now_ns += random() % (spacing_ns + 1);
		sent_ns[i] = now_ns;
		arrived_ns[i] = now_ns + 10 + random() % (jitter_ns + 1);
		cr_assert_eq(reorder_add(&reorder, sent_ns[i], arrived_ns[i]), 0);
	}
	cr_assert_eq(reorder.reordered, count_naively(arrived_ns));
	cr_assert(reorder.room <= 1024 || jitter_ns > 100 * spacing_ns);
	reorder_release(&reorder);
}

Test(reorder, what_a_later_packet_overtook)
{
	srandom(1);
	check(100, 0);
	check(100, 100);
	check(100, 5000);
	check(1, 1000000);
	check(0, 3);
}

Test(reorder, equal_times_are_no_overtaking)
{
	struct reorder reorder = {0};

	for (int i = 0; i < 5; i++)
		cr_assert_eq(reorder_add(&reorder, 7, 9), 0);
	cr_assert_eq(reorder.reordered, 0);
	cr_assert_eq(reorder_add(&reorder, 7, 8), 0);
	cr_assert_eq(reorder.reordered, 5);
	reorder_release(&reorder);
}
