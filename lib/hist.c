// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
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
	shift = (63 ^ __builtin_clzll((uint64_t)value | 1 << SUB_BITS)) - SUB_BITS;
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

static void hist_count_one(struct hist *hist, int64_t value)
{
	int32_t at = bucket_of(value) - hist->base;

	if (hist->large)
		hist->large_buckets[at]++;
	else
		hist->buckets[at]++;
}

static uint64_t hist_bucket(const struct hist *hist, int32_t at)
{
	return hist->large ? hist->large_buckets[at] : hist->buckets[at];
}

/* Widens the window so that it holds bucket `first` to `last`. */
static int hist_widen(struct hist *hist, int32_t first, int32_t last)
{
	int32_t base = round_down(first), end = round_down(last) + WINDOW;
	size_t width = hist->large ? sizeof(*hist->large_buckets) : sizeof(*hist->buckets);
	struct hist widened;
	char *buckets;

	if (hist->size && base > hist->base)
		base = hist->base;
	if (hist->size && end < hist->base + hist->size)
		end = hist->base + hist->size;
	if (hist->size == end - base)
		return 0;
	buckets = calloc(end - base, width);
	if (!buckets)
		return -ENOMEM;
	widened = *hist;
	widened.buckets = (uint32_t *)buckets;
	widened.base = base;
	widened.size = end - base;
	if (hist->size)
		memcpy(buckets + (hist->base - base) * width, hist->buckets, hist->size * width);
	for (uint64_t i = 0; i < hist->count && !hist->size; i++)
		hist_count_one(&widened, hist->values[i]);
	free(hist->buckets);
	*hist = widened;
	return 0;
}

/* For so many more values, which have their buckets. */
static int hist_enlarge(struct hist *hist, uint64_t more)
{
	uint64_t *buckets;

	if (hist->large || hist->count + more <= UINT32_MAX)
		return 0;
	buckets = calloc(hist->size, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	for (int32_t i = 0; i < hist->size; i++)
		buckets[i] = hist->buckets[i];
	free(hist->buckets);
	hist->large_buckets = buckets;
	hist->large = true;
	return 0;
}

/* What the array has room for when it holds so many values. */
static size_t values_room(size_t count)
{
	size_t room = count ? FIRST_SIZE : 0;

	while (room < count)
		room *= 2;
	return room;
}

/* Keeps the values themselves. */
static int hist_keep(struct hist *hist, const int64_t *values, size_t count)
{
	size_t room = values_room(hist->count + count);
	int64_t *kept = hist->values;

	if (room > values_room(hist->count)) {
		kept = reallocarray(kept, room, sizeof(*kept));
		if (!kept)
			return -ENOMEM;
		hist->values = kept;
	}
	memcpy(kept + hist->count, values, count * sizeof(*values));
	hist->count += count;
	return 0;
}

/* The window becomes one that holds all, from min to max. */
static int hist_count(struct hist *hist, const int64_t *values, size_t count, int64_t min,
		      int64_t max)
{
	int err = hist_widen(hist, bucket_of(min), bucket_of(max));

	if (!err)
		err = hist_enlarge(hist, count);
	for (size_t i = 0; i < count && !err; i++)
		hist_count_one(hist, values[i]);
	return err;
}

int hist_add(struct hist *hist, const int64_t *values, size_t count)
{
	int64_t min = hist->count ? hist->min : INT64_MAX;
	int64_t max = hist->count ? hist->max : INT64_MIN;
	uint64_t before = hist->count;
	__int128 sum = hist->sum;
	size_t kept = 0;
	int err = 0;

	if (!count)
		return 0;
	for (size_t i = 0; i < count; i++) {
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
		sum += values[i];
	}
	if (!hist->size && before < HIST_EXACT) {
		kept = count < HIST_EXACT - before ? count : HIST_EXACT - before;
		err = hist_keep(hist, values, kept);
	}
	if (!err && kept < count)
		err = hist_count(hist, values + kept, count - kept, min, max);
	hist->count = before + count;
	hist->min = min;
	hist->max = max;
	hist->sum = sum;
	return err;
}

/* Short values, some at a time. */
typedef uint32_t lanes __attribute__((vector_size(16)));
typedef int32_t signed_lanes __attribute__((vector_size(16)));
typedef float float_lanes __attribute__((vector_size(16)));
typedef uint64_t wide_lanes __attribute__((vector_size(16)));

#define LANES (sizeof(lanes) / sizeof(uint32_t))

static inline lanes take_lanes(const uint32_t *values)
{
	lanes taken;

	memcpy(&taken, values, sizeof(taken));
	return taken;
}

/*
 * As bucket_of(): from 2^(SUB_BITS + 1) on it is what a float begins with, its exponent and its first bits. Of
 * half the value, which is never negative, and without what might round it up.
 */
static inline signed_lanes buckets_of(lanes values)
{
	signed_lanes half = (signed_lanes)(values >> 1), floats, below;

	floats = (signed_lanes) __builtin_convertvector(half & ~(half >> (SUB_BITS + 1)),
							float_lanes);
	floats = (floats >> (23 - SUB_BITS)) - ((127 + SUB_BITS - 2) << SUB_BITS);
	below = half < 1 << SUB_BITS;
	return (below & (signed_lanes)values) | (~below & floats);
}

/* Adds values up; are all between the smallest and the largest one so far? */
static bool hist_knows(const struct hist *hist, const uint32_t *values, size_t count, uint64_t *sum)
{
	uint32_t min = hist->min, range = hist->max - hist->min;
	lanes beyond = {0};
	wide_lanes wide = {0};
	uint64_t tail = 0;
	bool known = hist->min >= 0 && hist->max <= UINT32_MAX;
	size_t i;

	for (i = 0; i + LANES <= count; i += LANES) {
		lanes some = take_lanes(values + i);

		beyond |= (lanes)(some - min > range);
		wide += ((wide_lanes)some & UINT32_MAX) + ((wide_lanes)some >> 32);
	}
	for (; i < count; i++) {
		known &= values[i] - min <= range;
		tail += values[i];
	}
	*sum = wide[0] + wide[1] + tail;
	return known && !(beyond[0] | beyond[1] | beyond[2] | beyond[3]);
}

/* They get their buckets. */
static int hist_reach(struct hist *hist, const uint32_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		hist->min = values[i] < hist->min ? values[i] : hist->min;
		hist->max = values[i] > hist->max ? values[i] : hist->max;
	}
	return hist_widen(hist, bucket_of(hist->min), bucket_of(hist->max));
}

static void hist_count_short(struct hist *hist, const uint32_t *values, size_t count)
{
	uint32_t *buckets = hist->buckets;
	int32_t base = hist->base;
	size_t i = 0;

	for (; i + LANES <= count && !hist->large; i += LANES) {
		signed_lanes at = buckets_of(take_lanes(values + i)) - base;

#pragma GCC unroll 4
		for (size_t k = 0; k < LANES; k++)
			buckets[at[k]]++;
	}
	for (; i < count; i++)
		hist_count_one(hist, values[i]);
}

int hist_add_short(struct hist *hist, const uint32_t *values, size_t count)
{
	int64_t others[HIST_EXACT];
	uint64_t sum;
	int err = 0;

	while (count && !hist->size && !err) {
		size_t n = count < HIST_EXACT ? count : HIST_EXACT;

		for (size_t i = 0; i < n; i++)
			others[i] = values[i];
		err = hist_add(hist, others, n);
		values += n;
		count -= n;
	}
	if (err || !count)
		return err;
	if (!hist_knows(hist, values, count, &sum))
		err = hist_reach(hist, values, count);
	if (!err)
		err = hist_enlarge(hist, count);
	if (err)
		return err;
	hist_count_short(hist, values, count);
	hist->sum += sum;
	hist->count += count;
	return 0;
}

int hist_merge(struct hist *hist, const struct hist *other)
{
	bool empty = !hist->count;
	int32_t shift;
	int err;

	if (!other->size)
		return hist_add(hist, other->values, other->count);
	/* A window over both ranges; values kept so far move into it. */
	err = hist_widen(hist, bucket_of(empty || other->min < hist->min ? other->min : hist->min),
			 bucket_of(empty || other->max > hist->max ? other->max : hist->max));
	if (!err)
		err = hist_enlarge(hist, other->count);
	if (err)
		return err;
	shift = other->base - hist->base;
	if (hist->large)
		for (int32_t i = 0; i < other->size; i++)
			hist->large_buckets[i + shift] += hist_bucket(other, i);
	else
		for (int32_t i = 0; i < other->size; i++)
			hist->buckets[i + shift] += other->buckets[i];
	hist->min = empty || other->min < hist->min ? other->min : hist->min;
	hist->max = empty || other->max > hist->max ? other->max : hist->max;
	hist->sum += other->sum;
	hist->count += other->count;
	return 0;
}

/* Few, and after the first time in order. */
static void sort_values(int64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int64_t value = values[i];
		size_t at = i;

		for (; at && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
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
		sort_values(hist->values, hist->count);
		return hist->values[rank - 1];
	}
	for (int32_t i = 0; i < hist->size; i++) {
		uint64_t here = hist_bucket(hist, i);

		if (here >= rank) {
			value = bucket_value(hist->base + i);
			break;
		}
		rank -= here;
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
