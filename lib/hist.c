// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"

#define SUB_BITS   7  /* buckets per power of two, as a power of two */
#define WINDOW     64 /* buckets are added in groups of this many */
#define FIRST_SIZE 4

/* Below 2^(SUB_BITS + 1) one bucket per value. */
static int32_t bucket_of(int64_t value)
{
	int shift;

	if (value < 0)
		return ~bucket_of(~value);
	shift = 63 - __builtin_clzll((uint64_t)value | 1) - SUB_BITS;
	if (shift <= 0)
		return value;
	return (shift << SUB_BITS) + (int32_t)(value >> shift);
}

/* The middle of the bucket: at most half its width off, and that is 1/128 of its lowest value. */
static int64_t bucket_value(int32_t bucket)
{
	int shift;

	if (bucket < 0)
		return ~bucket_value(~bucket);
	shift = (bucket >> SUB_BITS) - 1;
	if (shift <= 0)
		return bucket;
	return ((int64_t)(bucket - (shift << SUB_BITS)) << shift) + ((1ll << shift) - 1) / 2;
}

static int32_t round_down(int32_t bucket)
{
	return bucket & ~(WINDOW - 1);
}

/* Widens the window so that it holds bucket `first` to `last`. */
static int hist_widen(struct hist *hist, int32_t first, int32_t last)
{
	int32_t base = round_down(first), end = round_down(last) + WINDOW;
	uint64_t *buckets;

	if (hist->size && base > hist->base)
		base = hist->base;
	if (hist->size && end < hist->base + hist->size)
		end = hist->base + hist->size;
	if (hist->size == end - base)
		return 0;
	buckets = calloc(end - base, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	if (hist->size) {
		memcpy(buckets + (hist->base - base), hist->buckets, hist->size * sizeof(*buckets));
	} else {
		for (uint64_t i = 0; i < hist->count; i++)
			buckets[bucket_of(hist->values[i]) - base]++;
	}
	free(hist->buckets);
	hist->buckets = buckets;
	hist->base = base;
	hist->size = end - base;
	return 0;
}

/* Keeps the value itself; the array doubles whenever `count` has reached a power of two. */
static int hist_keep(struct hist *hist, int64_t value)
{
	uint64_t count = hist->count;
	int64_t *values;

	if (!count || (count >= FIRST_SIZE && !(count & (count - 1)))) {
		values =
			reallocarray(hist->values, count ? count * 2 : FIRST_SIZE, sizeof(*values));
		if (!values)
			return -ENOMEM;
		hist->values = values;
	}
	hist->values[count] = value;
	hist->count++;
	return 0;
}

/* The window becomes one that holds all, from min to max. */
static int hist_count(struct hist *hist, const int64_t *values, size_t count, int64_t min,
		      int64_t max)
{
	int err = hist_widen(hist, bucket_of(min), bucket_of(max));

	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		hist->buckets[bucket_of(values[i]) - hist->base]++;
	return 0;
}

int hist_add(struct hist *hist, const int64_t *values, size_t count)
{
	int64_t min = hist->count ? hist->min : INT64_MAX;
	int64_t max = hist->count ? hist->max : INT64_MIN;
	uint64_t before = hist->count;
	__int128 sum = hist->sum;
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
		sum += values[i];
	}
	while (!hist->size && hist->count < HIST_EXACT && kept < count && !err)
		err = hist_keep(hist, values[kept++]);
	if (!err && kept < count)
		err = hist_count(hist, values + kept, count - kept, min, max);
	hist->count = before + count;
	hist->min = min;
	hist->max = max;
	hist->sum = sum;
	return err;
}

int hist_merge(struct hist *hist, const struct hist *other)
{
	bool empty = !hist->count;
	int err;

	if (!other->size)
		return hist_add(hist, other->values, other->count);
	/* A window over both ranges; values kept so far move into it. */
	err = hist_widen(hist, bucket_of(empty || other->min < hist->min ? other->min : hist->min),
			 bucket_of(empty || other->max > hist->max ? other->max : hist->max));
	if (err)
		return err;
	for (int32_t i = 0; i < other->size; i++) {
		if (other->buckets[i])
			hist->buckets[other->base + i - hist->base] += other->buckets[i];
	}
	hist->min = empty || other->min < hist->min ? other->min : hist->min;
	hist->max = empty || other->max > hist->max ? other->max : hist->max;
	hist->sum += other->sum;
	hist->count += other->count;
	return 0;
}

static int compare_values(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

int64_t hist_quantile(struct hist *hist, unsigned int permille)
{
	uint64_t rank = ((unsigned __int128)hist->count * permille + 999) / 1000;
	int64_t value = hist->max;

	if (!hist->count)
		return 0;
	if (!rank)
		rank = 1;
	if (!hist->size) {
		qsort(hist->values, hist->count, sizeof(*hist->values), compare_values);
		return hist->values[rank - 1];
	}
	for (int32_t i = 0; i < hist->size; i++) {
		if (hist->buckets[i] >= rank) {
			value = bucket_value(hist->base + i);
			break;
		}
		rank -= hist->buckets[i];
	}
	if (value < hist->min)
		return hist->min;
	return value > hist->max ? hist->max : value;
}

void hist_release(struct hist *hist)
{
	free(hist->values);
	*hist = (struct hist){0};
}

int64_t hist_mean(__int128 sum, uint64_t count)
{
	__int128 twice = 2 * sum + count, divisor = 2 * (__int128)count;
	__int128 mean = twice / divisor;

	return twice % divisor < 0 ? mean - 1 : mean;
}
