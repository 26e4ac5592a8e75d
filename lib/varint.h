/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * varint.h - columns of numbers of seven bits per byte, low bits first, with the top bit set in all bytes
 * but the last.
 */
#ifndef VNT_VARINT_H
#define VNT_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of a 64-bit number */

/*
 * Takes `count` numbers from `at` on to `values`: an array of uint16_t, uint32_t or uint64_t, as `width`
 * (2, 4 or 8 bytes) says. Returns where the next one begins; NULL if there are fewer up to `end`, or one
 * does not fit, or takes more than VARINT_MAX bytes.
 */
const uint8_t *varints_take(const uint8_t *at, const uint8_t *end, void *values, size_t count,
			    size_t width);

/* Writes so many to `at`, where there is room for VARINT_MAX bytes each and sixteen at least; returns where
 * the next one goes. */
uint8_t *varints_put(uint8_t *at, const void *values, size_t count, size_t width);

/* The same for any processor. */
const uint8_t *varints_take_portable(const uint8_t *at, const uint8_t *end, void *values,
				     size_t count, size_t width);
uint8_t *varints_put_portable(uint8_t *at, const void *values, size_t count, size_t width);

#endif
