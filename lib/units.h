/* SPDX-License-Identifier: GPL-2.0-only */
/* units.h - numbers for people: four digits that count, and the unit that fits them. */
#ifndef VNT_UNITS_H
#define VNT_UNITS_H

#include <stdint.h>

#define UNITS_MAX 48

/* Each writes to `text` (UNITS_MAX bytes) and returns it. */
const char *units_duration(char *text, int64_t ns); /* "12.34 us" */
const char *units_bytes(char *text, uint64_t bytes);
const char *units_bit_rate(char *text, double bits_per_second);
const char *units_rate(char *text, double per_second);
const char *units_percent(char *text, double ratio);

#endif
