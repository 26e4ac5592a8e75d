/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * layout.h - where each CPU's part of the shared maps lies, for BPF and for user space.
 *
 * Maps hold all CPUs side by side. No two CPUs' parts touch a common cache line, nor two lines that
 * are fetched together: the cost of an event stays the same however many CPUs there are. That needs
 * a map whose memory starts on a page, which only those with BPF_F_MMAPABLE do.
 */
#ifndef VNT_LAYOUT_H
#define VNT_LAYOUT_H

#include <linux/types.h>

#define VNT_LINE       128   /* bytes: x86 fetches pairs of 64, and some CPUs have lines of 128 */
#define VNT_FLOW_SLOTS 4096  /* per CPU: flows whose 5-tuple was sent lately */
#define VNT_NAT_SLOTS  16384 /* of all CPUs: flows whose translation was sent lately */
#define VNT_SLOTS_MIN  2     /* of a ring: one line */

/* A ring is one element of its map: index it by CPU. */

/* `slots` per ring: a power of two, VNT_SLOTS_MIN or more. */
static __always_inline __u32 vnt_slot_index(__u32 cpu, __u32 slots, __u64 position)
{
	return cpu * slots + (position & (slots - 1));
}

static __always_inline __u32 vnt_flow_index(__u32 cpu, __u64 flow)
{
	return cpu * VNT_FLOW_SLOTS + (flow & (VNT_FLOW_SLOTS - 1));
}

/* What a probe did not keep on one CPU; only that CPU writes. */
struct vnt_count {
	__u64 dropped; /* events that found the ring full */
	__u64 sampled; /* packets that the sampling rate left out */
	__u64 sampled_bytes;
	__u64 unread; /* packets whose payload or stamp is out of reach */
};
_Static_assert(VNT_LINE % sizeof(struct vnt_count) == 0, "a line holds whole counts");

/* Counts of each CPU, of which the first `probes` are used. */
static __always_inline __u32 vnt_count_stride(__u32 probes)
{
	const __u32 line = VNT_LINE / sizeof(struct vnt_count);

	return (probes + line - 1) / line * line;
}

static __always_inline __u32 vnt_count_index(__u32 cpu, __u32 stride, __u32 probe)
{
	return cpu * stride + probe;
}

#endif
