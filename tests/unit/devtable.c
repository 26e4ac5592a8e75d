// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/devtable.h"

static const struct vnt_device_entry *look_up(const struct devtable *table, __u32 ifindex,
					      __u32 netns)
{
	const struct vnt_device device = {.ifindex = ifindex, .netns = netns};
	__u32 index = vnt_device_index(&device, table->multiplier, table->shift);
	const struct vnt_device_entry *entry = &table->entries[index];

	cr_assert(index < table->size);
	return entry->device.ifindex == ifindex && entry->device.netns == netns ? entry : NULL;
}

/* Both directions of `count` devices, in three namespaces with the same numbers. */
static void check(size_t count)
{
	struct devtable_probe *probes = calloc(2 * count, sizeof(*probes));
	struct devtable table;

	for (size_t i = 0; i < count; i++) {
		const struct vnt_device device = {.ifindex = 1 + i / 3,
						  .netns = 4026531840u + i % 3};

		probes[2 * i] = (struct devtable_probe){device, VNT_RX};
		probes[2 * i + 1] = (struct devtable_probe){device, VNT_TX};
	}
	cr_assert_eq(devtable_build(&table, probes, 2 * count), 0, "%zu devices", count);
	for (size_t i = 0; i < count; i++) {
		const struct vnt_device_entry *entry =
			look_up(&table, 1 + i / 3, 4026531840u + i % 3);

		cr_assert_not_null(entry);
		cr_assert_eq(entry->probe[VNT_RX], 2 * i);
		cr_assert_eq(entry->probe[VNT_TX], 2 * i + 1);
		cr_assert_null(look_up(&table, 1 + i / 3, 17));
	}
	cr_assert_null(look_up(&table, 100000, 4026531840u));
	devtable_release(&table);
	free(probes);
}

Test(devtable, every_device_has_its_entry)
{
	static const size_t counts[] = {1, 2, 3, 64, 500, 2000};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		check(counts[i]);
}

Test(devtable, a_direction_that_nobody_asked_for_has_no_probe)
{
	const struct devtable_probe probe = {{.ifindex = 7, .netns = 1}, VNT_TX};
	struct devtable table;

	cr_assert_eq(devtable_build(&table, &probe, 1), 0);
	cr_assert_eq(look_up(&table, 7, 1)->probe[VNT_RX], VNT_NO_PROBE);
	cr_assert_eq(look_up(&table, 7, 1)->probe[VNT_TX], 0);
	devtable_release(&table);
}
