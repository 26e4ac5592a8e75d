/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hist.h - how signed durations are distributed, in little memory.
 *
 * Count, minimum, maximum and sum are exact. Quantiles are exact for the first HIST_EXACT values,
 * then come from log-linear buckets (as in HdrHistogram: 128 to each power of two, negative values
 * mirrored) and are at most 1/256 off. The buckets cover only the range that was seen.
 */
#ifndef VNT_HIST_H
#define VNT_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HIST_EXACT 64

/* All zero is an empty histogram. */
struct hist {
	uint64_t count;
	int64_t min;
	int64_t max;
	bool large; /* more values than 32 bits count */
	__int128 sum;
	union {
		int64_t *values;         /* while `size` is 0: all of them, as they came */
		uint32_t *buckets;       /* else: how many values in bucket base + i */
		uint64_t *large_buckets; /* ... if it is large */
	};
	int32_t base;
	int32_t size;
};

/* 0, or -ENOMEM: it can only be released. */
int hist_add(struct hist *hist, const int64_t *values, size_t count);
int hist_add_short(struct hist *hist, const uint32_t *values, size_t count); /* the same */
int hist_merge(struct hist *hist, const struct hist *other);

/* Nearest rank: the smallest value that at least permille/1000 of all values do not exceed. 0 if
 * there are none. Puts exact values in order. */
int64_t hist_quantile(struct hist *hist, unsigned int permille);
void hist_release(struct hist *hist);

/* sum / count to the nearest integer, halves upwards. count > 0. */
int64_t hist_mean(__int128 sum, uint64_t count);

#endif
