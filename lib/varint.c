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
	uint64_t begun = 0; /* its top bit is set if a number goes on at `at`: the byte before it */

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
	return at ? at - (begun >> 7) : NULL;
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

INLINE uint64_t get(const char *value, size_t width)
{
	if (width == sizeof(uint16_t))
		return *(const uint16_t *)value;
	if (width == sizeof(uint32_t))
		return *(const uint32_t *)value;
	return *(const uint64_t *)value;
}

INLINE uint8_t *put_one(uint8_t *at, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*at++ = number | 0x80;
	*at++ = number;
	return at;
}

/* Writes the low bytes of eight lanes, each with the high one behind it if its top bit is set, and behind
 * all of them whatever it likes: sixteen in all at most. */
typedef uint8_t *(*squeeze_fn)(uint8_t *at, lanes numbers);

INLINE uint8_t *squeeze_each(uint8_t *at, lanes numbers)
{
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++) {
		uint16_t bytes = numbers[i];

		at[0] = bytes;
		at[1] = bytes >> 8;
		at += 1 + (bytes >> 7 & 1);
	}
	return at;
}

/* Is one of eight numbers above `max`, which is a power of two less one? */
INLINE bool any_above(const char *values, size_t width, uint64_t max)
{
	uint64_t each = width < 8 ? ~0ull / ((1ull << 8 * width) - 1) : 1, all = 0, word;

	for (size_t i = 0; i < width; i++) {
		memcpy(&word, values + 8 * i, sizeof(word));
		all |= word;
	}
	return all & ~(each * max);
}

/* Eight numbers; those of one or two bytes without a branch that depends on which ones are. */
INLINE uint8_t *put_eight(uint8_t *at, const char *values, size_t width, squeeze_fn squeeze)
{
	lanes numbers;

	if (any_above(values, width, 0x3fff)) {
		for (int i = 0; i < 8; i++)
			at = put_one(at, get(values + i * width, width));
		return at;
	}
	for (int i = 0; i < 8; i++)
		numbers[i] = get(values + i * width, width);
	if (!any_above(values, width, 0x7f)) {
		for (int i = 0; i < 8; i++)
			at[i] = numbers[i];
		return at + 8;
	}
	numbers += numbers & 0x3f80;
	return squeeze(at, numbers | ((lanes)(numbers > 0x7f) & 0x80));
}

INLINE uint8_t *put_all(uint8_t *at, const char *values, size_t count, size_t width,
			squeeze_fn squeeze)
{
	for (; count >= 8; count -= 8, values += 8 * width)
		at = put_eight(at, values, width, squeeze);
	for (; count; count--, values += width)
		at = put_one(at, get(values, width));
	return at;
}

INLINE uint8_t *put_width(uint8_t *at, const void *values, size_t count, size_t width,
			  squeeze_fn squeeze)
{
	switch (width) {
	case sizeof(uint16_t):
		return put_all(at, values, count, sizeof(uint16_t), squeeze);
	case sizeof(uint32_t):
		return put_all(at, values, count, sizeof(uint32_t), squeeze);
	default:
		return put_all(at, values, count, sizeof(uint64_t), squeeze);
	}
}

uint8_t *varints_put_portable(uint8_t *at, const void *values, size_t count, size_t width)
{
	return put_width(at, values, count, width, squeeze_each);
}

#ifdef __x86_64__
/* Of four lanes the low bytes, and the high ones of those whose bits are set in `m`. */
#define KEEP4(m) ((m)&8 ? 0x0706ull : 6ull)
#define KEEP3(m) ((m)&4 ? KEEP4(m) << 16 | 0x0504 : KEEP4(m) << 8 | 4)
#define KEEP2(m) ((m)&2 ? KEEP3(m) << 16 | 0x0302 : KEEP3(m) << 8 | 2)
#define KEEP1(m) ((m)&1 ? KEEP2(m) << 16 | 0x0100 : KEEP2(m) << 8)
#define KEEP(m)                                                                      \
	{                                                                            \
		KEEP1(m), 4 + ((m)&1) + ((m) >> 1 & 1) + ((m) >> 2 & 1) + ((m) >> 3) \
	}

static const struct {
	uint64_t order;
	uint64_t bytes;
} kept[16] = {
	KEEP(0), KEEP(1), KEEP(2),  KEEP(3),  KEEP(4),  KEEP(5),  KEEP(6),  KEEP(7),
	KEEP(8), KEEP(9), KEEP(10), KEEP(11), KEEP(12), KEEP(13), KEEP(14), KEEP(15),
};

__attribute__((target("ssse3"))) static inline uint8_t *squeeze_kept(uint8_t *at, lanes numbers)
{
	__m128i tops = _mm_packs_epi16((__m128i)(numbers << 8), _mm_setzero_si128());
	unsigned int which = _mm_movemask_epi8(tops), low = which & 15, high = which >> 4;
	__m128i order = _mm_set_epi64x(kept[high].order | ONES << 3, kept[low].order);
	__m128i bytes = _mm_shuffle_epi8((__m128i)numbers, order);

	_mm_storel_epi64((__m128i *)at, bytes);
	at += kept[low].bytes;
	_mm_storel_epi64((__m128i *)at, _mm_unpackhi_epi64(bytes, bytes));
	return at + kept[high].bytes;
}

__attribute__((target("ssse3"))) static uint8_t *put_ssse3(uint8_t *at, const void *values,
							   size_t count, size_t width)
{
	return put_width(at, values, count, width, squeeze_kept);
}
#endif

uint8_t *varints_put(uint8_t *at, const void *values, size_t count, size_t width)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("ssse3"))
		return put_ssse3(at, values, count, width);
#endif
	return varints_put_portable(at, values, count, width);
}
