/* SPDX-License-Identifier: GPL-2.0-only */
/* shared.h - maps and constants that the BPF programs and their loader agree on. */
#ifndef VNT_SHARED_H
#define VNT_SHARED_H

#include <linux/types.h>

#define VNT_NO_PROBE   0xffff
#define VNT_FLOW_SLOTS 4096 /* per CPU: flows whose 5-tuple was sent lately */

/* Immediate of the first instruction that the translated filter replaces. */
#define VNT_FILTER_MARKER 0x564e5446

enum vnt_direction {
	VNT_RX,
	VNT_TX,
	VNT_DIRECTIONS
};

/* A network device, whatever namespace it is in. */
struct vnt_device {
	__u32 ifindex;
	__u32 netns; /* inode */
};

/* Which probe observes each direction, or VNT_NO_PROBE. */
struct vnt_device_probes {
	__u16 probe[VNT_DIRECTIONS];
};

#endif
