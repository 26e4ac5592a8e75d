/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sample.h - which packets a sampling rate keeps: the same ones at all probes and in all domains.
 *
 * Hash-based selection as in trajectory sampling (Duffield and Grossglauser 2001; RFC 5475, 6.2):
 * every packet has a level, uniform in 0 to 2^32 - 1, and a probe keeps those at or below its
 * threshold. So the sample of a low rate is part of the sample of any higher one.
 *
 * The level of TCP data is that of the windows of 64 KiB of sequence space that its bytes touch, the
 * lowest if there are two. So a super-packet and the segments it is cut into are all there for each
 * byte of a window that is kept: `level <= threshold` of a window implies it of all that touch it. More
 * than 64 KiB are always kept. The level of anything else is a hash of its ID (packet.h).
 *
 * One header for both sides of the kernel boundary: no loop, no division, no access to memory.
 */
#ifndef VNT_SAMPLE_H
#define VNT_SAMPLE_H

#include "event.h"

#define VNT_SAMPLE_ALL        0xffffffffu /* the threshold that keeps everything */
#define VNT_SAMPLE_WINDOW     65536
#define VNT_SAMPLE_WINDOW_LOG 16

/*
 * Two rounds of multiply and xorshift: neighbouring windows must be kept independently. Not the
 * constant of vnt_mix(): hash tables of kept packets must fill as evenly as of all of them.
 */
static __always_inline __u32 vnt_sample_hash(__u64 flow, __u64 unit)
{
	__u64 hash = (flow ^ unit) * 0xd6e8feb86659fd93ull;

	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
	return hash >> 32;
}

/*
 * The arguments are a packet's or an event's. With payload 1: the level by the first byte alone,
 * which no other segmentation of the same bytes changes, and which is not below the real one.
 */
static __always_inline __u32 vnt_sample_level(__u64 flow, __u64 key, __u32 payload, __u32 flags)
{
	__u32 sequence = key, first, last, level, other;

	if (!(flags & VNT_PACKET_TCP_DATA))
		return vnt_sample_hash(flow, key);
	if (payload > VNT_SAMPLE_WINDOW)
		return 0;
	first = sequence >> VNT_SAMPLE_WINDOW_LOG;
	last = (sequence + payload - 1) >> VNT_SAMPLE_WINDOW_LOG;
	level = vnt_sample_hash(flow, first);
	if (first == last)
		return level;
	other = vnt_sample_hash(flow, last);
	return other < level ? other : level;
}

/* The threshold of the rate 1/n, n from 1 to 2^32. For user space: it divides. */
static inline __u32 vnt_sample_threshold(__u64 n)
{
	return (VNT_SAMPLE_ALL + n) / n - 1;
}

#endif
