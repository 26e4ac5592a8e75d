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

/* Ranges that short values are within and beyond, and some that are not short. */
Test(hist, short_values_are_values)
{
	uint64_t seed = 11;

	for (int round = 0; round < 300; round++) {
		struct hist some = {0}, all = {0};
		unsigned int bits = 1 + random_next(&seed) % 32;

		for (int part = 0; part < 20; part++) {
			size_t count = random_next(&seed) % 100;
			uint32_t values[100];

			if (round % 2 && part % 4 == 3) {
				int64_t other = random_duration(&seed, 2);

				cr_assert(eq(int, hist_add(&some, &other, 1), 0));
				cr_assert(eq(int, hist_add(&all, &other, 1), 0));
			}
			for (size_t i = 0; i < count; i++) {
				int64_t value = values[i] = random_next(&seed) % (1ull << bits);

				cr_assert(eq(int, hist_add(&all, &value, 1), 0));
			}
			cr_assert(eq(int, hist_add_short(&some, values, count), 0));
		}
		cr_assert(eq(u64, some.count, all.count));
		cr_assert(some.sum == all.sum && some.min == all.min && some.max == all.max);
		for (unsigned int permille = 0; permille <= 1000; permille++)
			cr_assert(eq(i64, hist_quantile(&some, permille),
				     hist_quantile(&all, permille)));
		hist_release(&some);
		hist_release(&all);
	}
}

/* Twice as many again and again: a quarter of 1000, the others of 5 and one of 7. */
Test(hist, counts_beyond_32_bits)
{
	struct hist hist = {0}, one = {0};

	for (int i = 0; i < 2 * HIST_EXACT; i++)
		cr_assert(eq(int, hist_add(&hist, &(int64_t){i % 4 ? 5 : 1000}, 1), 0));
	cr_assert(eq(int, hist_add(&one, &(int64_t){7}, 1), 0));
	for (uint64_t count = 2 * HIST_EXACT; count < 1ull << 36; count *= 2) {
		struct hist sum = {0};

		cr_assert(eq(int, hist_merge(&sum, &hist), 0));
		cr_assert(eq(int, hist_merge(&sum, &hist), 0));
		hist_release(&hist);
		hist = sum;
	}
	cr_assert(eq(int, hist_add_short(&hist, &(uint32_t){7}, 1), 0));
	cr_assert(eq(int, hist_merge(&hist, &one), 0));
	cr_assert(eq(int, hist_add(&hist, &(int64_t){2000}, 1), 0));
	cr_assert(eq(u64, hist.count, (1ull << 36) + 3));
	cr_assert(hist.sum == (__int128)(1ull << 34) * (1000 + 3 * 5) + 2 * 7 + 2000);
	cr_assert(eq(i64, hist_quantile(&hist, 749), 5));
	cr_assert(gt(i64, hist_quantile(&hist, 751), 990));
	hist_release(&hist);
	hist_release(&one);
}
