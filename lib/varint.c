// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <tmmintrin.h>
#endif

#include "varint.h"

#define TOP_BITS 0x8080808080808080ull
#define ONES     0x0101010101010101ull
#define INLINE   static inline __attribute__((always_inline))

/* Numbers of up to 14 bits: one for each of eight bytes. */
typedef uint16_t lanes __attribute__((vector_size(16)));
typedef int16_t signed_lanes __attribute__((vector_size(16)));

INLINE void put(void *values, size_t width, uint64_t value)
{
	if (width == sizeof(uint16_t))
		*(uint16_t *)values = value;
	else if (width == sizeof(uint32_t))
		*(uint32_t *)values = value;
	else
		*(uint64_t *)values = value;
}

INLINE void put_lanes(void *values, size_t width, lanes numbers)
{
	for (int i = 0; i < 8; i++)
		put((char *)values + i * width, width, numbers[i]);
}

/* Of each byte, that of `low` and above it that of `high`. */
INLINE lanes pairs(uint64_t low, uint64_t high)
{
#ifdef __x86_64__
	return (lanes)_mm_unpacklo_epi8(_mm_cvtsi64_si128(low), _mm_cvtsi64_si128(high));
#else
	lanes all;

	for (int i = 0; i < 8; i++)
		all[i] = (low >> 8 * i & 0xff) | (high >> 8 * i & 0xff) << 8;
	return all;
#endif
}

INLINE uint64_t word_at(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/* The number that ends in each byte of `word`, of one byte or two; `before` holds the byte before each. */
INLINE lanes numbers_in(uint64_t word, uint64_t before)
{
	lanes bytes = pairs(before, word);
	lanes more = (lanes)((signed_lanes)(bytes << 8) >> 15) & 0x7f;

	return (bytes >> 8) * (more + 1) + (bytes & more);
}

/* Stores the numbers of lanes whose byte has its top bit set in `ends`, and behind them whatever it
 * likes: eight in all. */
typedef void (*store_fn)(void *values, size_t width, lanes numbers, uint64_t ends);

INLINE void store_each(void *values, size_t width, lanes numbers, uint64_t ends)
{
	char *at = values;

#pragma GCC unroll 8
	for (int i = 0; i < 8; i++) {
		put(at, width, numbers[i]);
		at += ends >> (8 * i + 7) & 1 ? width : 0;
	}
}

static const uint8_t *take_one(const uint8_t *at, const uint8_t *end, void *value, size_t width)
{
	uint64_t number = 0;
	bool more = true;

	for (unsigned int shift = 0; more; shift += 7) {
		if (at == end || shift == 7 * VARINT_MAX)
			return NULL;
		number |= (uint64_t)(*at & 0x7f) << shift;
		more = *at++ & 0x80;
	}
	if (width < sizeof(number) && number >> 8 * width)
		return NULL;
	put(value, width, number);
	return at;
}

/* Eight numbers of a byte each at a time, as long as there are such. */
INLINE size_t take_bytes(const uint8_t *at, const uint8_t *end, char *values, size_t count,
			 size_t width)
{
	size_t done = 0;

	for (; count - done >= 8 && end - at >= 8; done += 8, at += 8) {
		uint64_t word = word_at(at);

		if (word & TOP_BITS)
			break;
		put_lanes(values + done * width, width, pairs(word, 0));
	}
	return done;
}

/*
 * Eight bytes at a time, and whatever numbers of one or two bytes end there: neither a branch nor where the
 * next eight bytes are depends on which ones.
 */
INLINE const uint8_t *take(const uint8_t *at, const uint8_t *end, void *out, size_t count,
			   size_t width, store_fn store)
{
	char *values = out, *stop = values + count * width;
	size_t bytes = take_bytes(at, end, values, count, width);
	uint64_t begun =
		0; /* the byte before `at` if a number goes on there, else one without top bit */

	at += bytes;
	values += bytes * width;
	while (at && values < stop) {
		uint64_t word, before, ends, more;

		if ((size_t)(stop - values) < 8 * width || end - at < 8) {
			at = take_one(at - (begun >> 7), end, values, width);
			values += width;
			begun = 0;
			continue;
		}
		word = word_at(at);
		before = word << 8 | begun;
		ends = ~word & TOP_BITS;
		more = word & before & TOP_BITS;
		if (more)
			ends &= (more & -more) - 1;
		store(values, width, numbers_in(word, before), ends);
		values += ((ends >> 7) * ONES >> 56) * width;
		at += 8;
		begun = word >> 56;
		if (more) { /* a longer number: it begins a byte before the lowest bit there */
			at = take_one(at - 9 + (__builtin_ctzll(more) >> 3), end, values, width);
			values += width;
			begun = 0;
		}
	}
	return at - (begun >> 7);
}

INLINE const uint8_t *take_width(const uint8_t *at, const uint8_t *end, void *values, size_t count,
				 size_t width, store_fn store)
{
	switch (width) {
	case sizeof(uint16_t):
		return take(at, end, values, count, sizeof(uint16_t), store);
	case sizeof(uint32_t):
		return take(at, end, values, count, sizeof(uint32_t), store);
	default:
		return take(at, end, values, count, sizeof(uint64_t), store);
	}
}

const uint8_t *varints_take_portable(const uint8_t *at, const uint8_t *end, void *values,
				     size_t count, size_t width)
{
	return take_width(at, end, values, count, width, store_each);
}

#ifdef __x86_64__
/* A byte for each bit that is set in `m`, the lowest first: twice its number, where its lane begins. */
#define PICK8(m) ((m)&0x80 ? 14ull : 0)
#define PICK7(m) ((m)&0x40 ? PICK8(m) << 8 | 12 : PICK8(m))
#define PICK6(m) ((m)&0x20 ? PICK7(m) << 8 | 10 : PICK7(m))
#define PICK5(m) ((m)&0x10 ? PICK6(m) << 8 | 8 : PICK6(m))
#define PICK4(m) ((m)&0x08 ? PICK5(m) << 8 | 6 : PICK5(m))
#define PICK3(m) ((m)&0x04 ? PICK4(m) << 8 | 4 : PICK4(m))
#define PICK2(m) ((m)&0x02 ? PICK3(m) << 8 | 2 : PICK3(m))
#define PICK1(m) ((m)&0x01 ? PICK2(m) << 8 : PICK2(m))

#define PICKS4(m)  PICK1(m), PICK1((m) + 1), PICK1((m) + 2), PICK1((m) + 3)
#define PICKS16(m) PICKS4(m), PICKS4((m) + 4), PICKS4((m) + 8), PICKS4((m) + 12)
#define PICKS64(m) PICKS16(m), PICKS16((m) + 16), PICKS16((m) + 32), PICKS16((m) + 48)

static const uint64_t picks[256] = {PICKS64(0), PICKS64(64), PICKS64(128), PICKS64(192)};

__attribute__((target("ssse3"))) static inline void store_picked(void *values, size_t width,
								 lanes numbers, uint64_t ends)
{
	__m128i low = _mm_cvtsi64_si128(picks[_mm_movemask_epi8(_mm_cvtsi64_si128(ends))]);
	__m128i order = _mm_unpacklo_epi8(low, _mm_or_si128(low, _mm_set1_epi8(1)));

	put_lanes(values, width, (lanes)_mm_shuffle_epi8((__m128i)numbers, order));
}

__attribute__((target("ssse3"))) static const uint8_t *take_ssse3(const uint8_t *at,
								  const uint8_t *end, void *values,
								  size_t count, size_t width)
{
	return take_width(at, end, values, count, width, store_picked);
}
#endif

const uint8_t *varints_take(const uint8_t *at, const uint8_t *end, void *values, size_t count,
			    size_t width)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("ssse3"))
		return take_ssse3(at, end, values, count, width);
#endif
	return varints_take_portable(at, end, values, count, width);
}

INLINE uint64_t get(const void *values, size_t width, size_t i)
{
	if (width == sizeof(uint16_t))
		return ((const uint16_t *)values)[i];
	if (width == sizeof(uint32_t))
		return ((const uint32_t *)values)[i];
	return ((const uint64_t *)values)[i];
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = value | 0x80;
	*at++ = value;
	return at;
}

/* One below 2^14: no branch depends on whether it takes a byte or two. */
static uint8_t *put_varint14(uint8_t *at, uint64_t value)
{
	unsigned int more = value >= 0x80;

	at[0] = (value & 0x7f) | more << 7;
	at[1] = value >> 7;
	return at + 1 + more;
}

/* Eight at a time: often they are eight bytes. */
INLINE uint8_t *put_all(uint8_t *at, const char *values, size_t count, size_t width)
{
	size_t i = 0;

	for (; count - i >= 8; i += 8, values += 8 * width) {
		uint64_t all = 0, bytes = 0;

#pragma GCC unroll 8
		for (int k = 0; k < 8; k++) {
			all |= get(values, width, k);
			bytes |= get(values, width, k) << 8 * k;
		}
		if (all < 0x80) {
			bytes = htole64(bytes);
			memcpy(at, &bytes, sizeof(bytes));
			at += sizeof(bytes);
			continue;
		}
#pragma GCC unroll 8
		for (int k = 0; k < 8; k++)
			at = all >> 14 ? put_varint(at, get(values, width, k))
				       : put_varint14(at, get(values, width, k));
	}
	for (; i < count; i++, values += width)
		at = put_varint(at, get(values, width, 0));
	return at;
}

uint8_t *varints_put(uint8_t *at, const void *values, size_t count, size_t width)
{
	switch (width) {
	case sizeof(uint16_t):
		return put_all(at, values, count, sizeof(uint16_t));
	case sizeof(uint32_t):
		return put_all(at, values, count, sizeof(uint32_t));
	default:
		return put_all(at, values, count, sizeof(uint64_t));
	}
}
