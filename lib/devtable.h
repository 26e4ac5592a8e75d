/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * devtable.h - which probes observe a network device: a table without collisions.
 *
 * Every packet of the host asks it, traced or not, so one look must do: user space chooses a
 * multiplier under which no two traced devices share an entry (multiply-shift hashing, Dietzfelbinger
 * et al. 1997), the BPF programs compare one entry.
 */
#ifndef VNT_DEVTABLE_H
#define VNT_DEVTABLE_H

#include <linux/types.h>

#define VNT_NO_PROBE      0xffff
#define VNT_DEVTABLE_BITS 20 /* at most */

enum vnt_direction {
	VNT_RX,
	VNT_TX,
	VNT_DIRECTIONS
};

/* A network device, whatever namespace it is in. */
struct vnt_device {
	__u32 ifindex; /* never 0: that marks a free entry */
	__u32 netns;   /* inode */
};

struct vnt_device_entry {
	struct vnt_device device;
	__u16 probe[VNT_DIRECTIONS]; /* or VNT_NO_PROBE */
	__u32 pad;
};
_Static_assert(sizeof(struct vnt_device_entry) == 16, "four to a cache line");

/* The device's entry in a table of 2^(64 - shift). */
static __always_inline __u32 vnt_device_index(const struct vnt_device *device, __u64 multiplier,
					      __u32 shift)
{
	return ((__u64)device->netns << 32 | device->ifindex) * multiplier >> shift;
}

#ifndef __bpf__
#include <stddef.h>

/* One probe: a device and a direction. */
struct devtable_probe {
	struct vnt_device device;
	enum vnt_direction direction;
};

struct devtable {
	__u64 multiplier;
	__u32 shift;
	size_t size; /* a power of two */
	struct vnt_device_entry *entries;
};

/*
 * Entry `probe` of `probes` becomes probe number `probe` of its device and direction; of two equal
 * ones the last counts. 0, -ENOMEM, or -E2BIG if the devices are too many for VNT_DEVTABLE_BITS.
 */
int devtable_build(struct devtable *table, const struct devtable_probe *probes, size_t count);
void devtable_release(struct devtable *table);
#endif

#endif
