// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "lib/hist.h"

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 11;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

/* Any magnitude, one in `negatives` of them negative. */
static int64_t random_duration(uint64_t *seed, unsigned int negatives)
{
	int64_t value = random_next(seed) >> (random_next(seed) % 53);

	return negatives && random_next(seed) % negatives == 0 ? -value : value;
}

static void check_quantiles(struct hist *hist, int64_t *values, size_t count)
{
	static const unsigned int permilles[] = {0, 1, 10, 250, 500, 900, 990, 999, 1000};

	qsort(values, count, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
		size_t rank = (count * permilles[i] + 999) / 1000;
		int64_t want = values[rank ? rank - 1 : 0];
		int64_t got = hist_quantile(hist, permilles[i]);
		__int128 off = got > want ? (__int128)got - want : (__int128)want - got;

		if (count <= HIST_EXACT)
			cr_assert(got == want);
		cr_assert(off * 256 <= (want < 0 ? -(__int128)want : want), "%zu: %ld, not %ld", i,
			  got, want);
		cr_assert(got >= values[0] && got <= values[count - 1]);
	}
}

Test(hist, agrees_with_sorted_values)
{
	uint64_t seed = 7;

	for (int round = 0; round < 200; round++) {
		size_t count = 1 + random_next(&seed) % (round % 2 ? 100 : 3000);
		int64_t *values = calloc(count, sizeof(*values));
		struct hist hist = {0};
		__int128 sum = 0;

		for (size_t i = 0; i < count; i++) {
			values[i] = random_duration(&seed, round % 3);
			sum += values[i];
			cr_assert(eq(int, hist_add(&hist, &values[i], 1), 0));
		}
		check_quantiles(&hist, values, count);
		cr_assert(eq(u64, hist.count, count));
		cr_assert(hist.sum == sum);
		cr_assert(eq(i64, hist.min, values[0]));
		cr_assert(eq(i64, hist.max, values[count - 1]));
		hist_release(&hist);
		free(values);
	}
}

Test(hist, merged_equals_added)
{
	uint64_t seed = 9;

	for (int round = 0; round < 200; round++) {
		size_t count = 2 + random_next(&seed) % 400, split = random_next(&seed) % count;
		int64_t values[402];
		struct hist parts[2] = {{0}}, all = {0}, sum = {0};

		for (size_t i = 0; i < count; i++) {
			values[i] = random_duration(&seed, 4);
			cr_assert(eq(int, hist_add(&parts[i < split], &values[i], 1), 0));
		}
		cr_assert(eq(int, hist_add(&all, values, count), 0));
		cr_assert(eq(int, hist_merge(&sum, &parts[0]), 0));
		cr_assert(eq(int, hist_merge(&sum, &parts[1]), 0));
		cr_assert(eq(u64, sum.count, count));
		cr_assert(sum.sum == all.sum && sum.min == all.min && sum.max == all.max);
		check_quantiles(&sum, values, count);
		hist_release(&parts[0]);
		hist_release(&parts[1]);
		hist_release(&all);
		hist_release(&sum);
	}
}

Test(hist, extremes)
{
	struct hist hist = {0};

	cr_assert(eq(i64, hist_quantile(&hist, 500), 0));
	for (int i = 0; i < 2 * HIST_EXACT; i++) {
		cr_assert(eq(int, hist_add(&hist, &(int64_t){INT64_MIN}, 1), 0));
		cr_assert(eq(int, hist_add(&hist, &(int64_t){INT64_MAX}, 1), 0));
	}
	cr_assert(hist_quantile(&hist, 1) < INT64_MIN / 256 * 255);
	cr_assert(hist_quantile(&hist, 1000) > INT64_MAX / 256 * 255);
	cr_assert(eq(i64, hist_mean(hist.sum, hist.count), 0));
	hist_release(&hist);
}

Test(hist, window_is_small)
{
	struct hist hist = {0};

	for (int i = 0; i < 1000; i++)
		cr_assert(eq(int, hist_add(&hist, &(int64_t){50000 + i}, 1), 0));
	cr_assert(hist.size <= 64);
	hist_release(&hist);
}

Test(hist, mean_rounds_to_nearest)
{
	cr_assert(eq(i64, hist_mean(5, 2), 3));
	cr_assert(eq(i64, hist_mean(-5, 2), -2));
	cr_assert(eq(i64, hist_mean(-7, 4), -2));
	cr_assert(eq(i64, hist_mean(4, 3), 1));
	cr_assert(eq(i64, hist_mean(-4, 3), -1));
}
