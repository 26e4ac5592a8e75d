// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "devtable.h"

#define MULTIPLIERS 64 /* tried before the table grows */

static bool same_device(const struct vnt_device *a, const struct vnt_device *b)
{
	return a->ifindex == b->ifindex && a->netns == b->netns;
}

/* False if the entry is another device's. */
static bool add_probe(struct devtable *table, const struct devtable_probe *probe, __u16 number)
{
	struct vnt_device_entry *entry =
		&table->entries[vnt_device_index(&probe->device, table->multiplier, table->shift)];

	if (!entry->device.ifindex) {
		entry->device = probe->device;
		memset(entry->probe, 0xff, sizeof(entry->probe));
	}
	entry->probe[probe->direction] = number;
	return same_device(&entry->device, &probe->device);
}

static bool fill(struct devtable *table, const struct devtable_probe *probes, size_t count)
{
	memset(table->entries, 0, table->size * sizeof(*table->entries));
	for (size_t i = 0; i < count; i++)
		if (!add_probe(table, &probes[i], i))
			return false;
	return true;
}

/* Odd numbers that look random (splitmix64, Steele, Lea and Flood 2014). */
static __u64 next_multiplier(__u64 *state)
{
	__u64 value = *state += 0x9e3779b97f4a7c15ull;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return (value ^ value >> 31) | 1;
}

int devtable_build(struct devtable *table, const struct devtable_probe *probes, size_t count)
{
	__u64 state = 0;

	memset(table, 0, sizeof(*table));
	for (__u32 bits = 1; bits <= VNT_DEVTABLE_BITS; bits++) {
		table->shift = 64 - bits;
		table->size = (size_t)1 << bits;
		if (table->size * VNT_DIRECTIONS < count)
			continue;
		free(table->entries);
		table->entries = malloc(table->size * sizeof(*table->entries));
		if (!table->entries)
			return -ENOMEM;
		for (int i = 0; i < MULTIPLIERS; i++) {
			table->multiplier = next_multiplier(&state);
			if (fill(table, probes, count))
				return 0;
		}
	}
	devtable_release(table);
	return -E2BIG;
}

void devtable_release(struct devtable *table)
{
	free(table->entries);
	memset(table, 0, sizeof(*table));
}
