// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/merge_sort.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Two runs of times with many equal ones, `middle` and the rest of `count`. */
static void make_runs(struct sorter *sorter, size_t middle, size_t count, uint64_t step)
{
	uint64_t time_ns = 0;

	for (size_t i = 0; i < count; i++) {
		time_ns = i == middle ? 0 : time_ns + (unsigned int)rand() % step;
		sorter->keys[0][i] = time_ns << SORT_LOG | i;
	}
}

Test(merge_sort, both_ways_sort_two_runs)
{
	struct sorter *sorter = malloc(sizeof(*sorter));
	uint64_t *expected = malloc(sizeof(sorter->keys[0]));

	for (int round = 0; round < 2000; round++) {
		size_t count = 1 + rand() % SORT_MAX, middle = rand() % (count + 1);
		uint64_t step = 1 + rand() % (round % 2 ? 3 : 1000);

		make_runs(sorter, middle, count, step);
		memcpy(expected, sorter->keys[0], count * sizeof(*expected));
		qsort(expected, count, sizeof(*expected), by_value);
		cr_assert_arr_eq(sorter_join(sorter, middle, count), expected,
				 count * sizeof(*expected));
		make_runs(sorter, middle, count, step);
		memcpy(expected, sorter->keys[0], count * sizeof(*expected));
		qsort(expected, count, sizeof(*expected), by_value);
		cr_assert_arr_eq(sorter_run(sorter, count), expected, count * sizeof(*expected));
	}
	free(expected);
	free(sorter);
}
