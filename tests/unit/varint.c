// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/varint.h"

#define COUNT 300
#define LONG  (COUNT * VARINT_MAX)

typedef const uint8_t *take_fn(const uint8_t *at, const uint8_t *end, void *values, size_t count,
			       size_t width);
typedef uint8_t *put_fn(uint8_t *at, const void *values, size_t count, size_t width);

static take_fn *const takes[] = {varints_take, varints_take_portable};
static put_fn *const puts_[] = {varints_put, varints_put_portable};

static uint64_t random_number(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 32 ^ seed << 31;
}

/* The definition, byte by byte. */
static const uint8_t *take_plainly(const uint8_t *at, const uint8_t *end, uint64_t *value,
				   size_t width)
{
	*value = 0;
	for (unsigned int shift = 0; at < end && shift < 70; shift += 7) {
		*value |= (uint64_t)(*at & 0x7f) << shift;
		if (!(*at++ & 0x80))
			return width < 8 && *value >> 8 * width ? NULL : at;
	}
	return NULL;
}

static uint64_t value_of(const void *values, size_t width, size_t i)
{
	uint64_t value = 0;

	memcpy(&value, (const char *)values + i * width, width); /* little-endian */
	return value;
}

/* Numbers of up to so many bits, most of them shorter; values so many bytes wide. */
static void make_values(void *values, size_t width, size_t count, unsigned int bits)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = random_number() & (~0ull >> (64 - bits)) >> random_number() % bits;

		memcpy((char *)values + i * width, &value, width);
	}
}

Test(varint, what_was_put_is_taken)
{
	for (int round = 0; round < 20000; round++) {
		size_t width = 2u << round % 3, count = random_number() % COUNT;
		unsigned int bits = 1 + random_number() % (8 * width);
		uint64_t values[COUNT], got[COUNT];
		uint8_t bytes[2][LONG];
		const uint8_t *end[2];

		make_values(values, width, count, bits);
		for (int i = 0; i < 2; i++)
			end[i] = puts_[i](bytes[i], values, count, width);
		cr_assert_eq(end[0] - bytes[0], end[1] - bytes[1]);
		cr_assert_arr_eq(bytes[0], bytes[1], end[0] - bytes[0]);
		for (int i = 0; i < 2; i++) {
			cr_assert_eq(takes[i](bytes[0], end[0], got, count, width), end[0]);
			cr_assert_arr_eq(got, values, count * width);
			if (count)
				cr_assert_null(takes[i](bytes[0], end[0] - 1, got, count, width));
		}
	}
}

/* Any bytes, mostly numbers of a few of them; up to the very end of the memory. */
Test(varint, any_bytes)
{
	size_t taken = 0, refused = 0;

	for (int round = 0; round < 100000; round++) {
		size_t width = 2u << round % 3, size = random_number() % 64, count = 0;
		size_t wanted = random_number() % 48, more = 1 + random_number() % 12;
		uint8_t *bytes = malloc(size);
		const uint8_t *at = bytes;
		uint64_t expected[48], got[48];

		for (size_t i = 0; i < size; i++)
			bytes[i] = random_number() % more ? random_number() & 0x7f
							  : random_number();
		while (at && count < wanted)
			at = take_plainly(at, bytes + size, &expected[count++], width);
		for (int i = 0; i < 2; i++) {
			cr_assert_eq(takes[i](bytes, bytes + size, got, wanted, width), at);
			for (size_t k = 0; at && k < wanted; k++)
				cr_assert_eq(value_of(got, width, k), expected[k]);
		}
		taken += !!at;
		refused += !at;
		free(bytes);
	}
	cr_assert_gt(taken, 1000);
	cr_assert_gt(refused, 1000);
}

Test(varint, longest)
{
	uint8_t bytes[11] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0};
	uint64_t value;

	for (int i = 0; i < 2; i++) {
		bytes[9] = 0x01;
		cr_assert_eq(takes[i](bytes, bytes + 11, &value, 1, 8), bytes + 10);
		cr_assert_eq(value, UINT64_MAX);
		bytes[9] = 0x81;
		cr_assert_null(takes[i](bytes, bytes + 11, &value, 1, 8));
	}
}
