// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "units.h"

struct unit {
	double scale;
	const char *name;
	int whole; /* has no fractions */
};

static const struct unit durations[] = {
	{1, "ns", 1}, {1e3, "us", 0}, {1e6, "ms", 0}, {1e9, "s", 0}, {0, NULL, 0}};
static const struct unit sizes[] = {{1, "B", 1},    {1e3, "kB", 0},  {1e6, "MB", 0},
				    {1e9, "GB", 0}, {1e12, "TB", 0}, {0, NULL, 0}};
static const struct unit bit_rates[] = {{1, "bit/s", 0},    {1e3, "kbit/s", 0},  {1e6, "Mbit/s", 0},
					{1e9, "Gbit/s", 0}, {1e12, "Tbit/s", 0}, {0, NULL, 0}};
static const struct unit rates[] = {
	{1, "/s", 0}, {1e3, "k/s", 0}, {1e6, "M/s", 0}, {1e9, "G/s", 0}, {0, NULL, 0}};

/* The limits are those at which rounding would make a digit too many. */
static int decimals(double value)
{
	if (value < 9.9995)
		return 3;
	if (value < 99.995)
		return 2;
	return value < 999.95 ? 1 : 0;
}

static const char *units_scaled(char *text, double value, const struct unit *unit)
{
	while (unit[1].name && fabs(value) / unit->scale >= (unit->whole ? 999.5 : 999.95))
		unit++;
	value /= unit->scale;
	snprintf(text, UNITS_MAX, "%.*f %s", unit->whole || value == 0 ? 0 : decimals(fabs(value)),
		 fabs(value) < 1e15 ? value : copysign(1e15, value), unit->name);
	return text;
}

const char *units_duration(char *text, int64_t ns)
{
	return units_scaled(text, (double)ns, durations);
}

const char *units_bytes(char *text, uint64_t bytes)
{
	return units_scaled(text, (double)bytes, sizes);
}

const char *units_bit_rate(char *text, double bits_per_second)
{
	return units_scaled(text, bits_per_second, bit_rates);
}

const char *units_rate(char *text, double per_second)
{
	return units_scaled(text, per_second, rates);
}

const char *units_percent(char *text, double ratio)
{
	snprintf(text, UNITS_MAX, "%.2f %%", ratio * 100);
	return text;
}
