/* SPDX-License-Identifier: GPL-2.0-only */
/* device.h - network devices, in this and in other network namespaces. */
#ifndef VNT_DEVICE_H
#define VNT_DEVICE_H

#include <stdint.h>

#include "media.h"

#include "lib/spec.h"

#define DEVICE_REASON_MAX 512

struct device {
	char netns[SPEC_NETNS_MAX]; /* as in struct spec */
	char name[SPEC_DEVICE_MAX];
	uint32_t ifindex;
	uint32_t netns_inode;
	int32_t netns_id; /* as in netns.h */
	struct media media;
	bool gone;
};

struct device_list {
	struct device *devices;
	size_t count;
};

/*
 * Appends the devices that `spec` means: one, or a bridge's ports (Linux bridge, Open vSwitch by
 * ovs-vsctl(8)). 0, with an empty `reason` (DEVICE_REASON_MAX bytes), or one line in it if it is the
 * device but not its ports; -ENODEV, -EPERM, -ENOENT (namespace) and others with one line in `reason`.
 * The list is unchanged on error.
 */
int device_resolve(struct device_list *list, const struct spec *spec, char *reason);

/*
 * Marks devices that no longer exist as gone; returns how many became so. Does not keep network
 * namespaces alive, nor takes one for gone whose name is removed or whose process has ended.
 */
size_t device_check(struct device_list *list);

void device_list_release(struct device_list *list);

#endif
