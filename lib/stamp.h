/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stamp.h - what a packet ID looks like that is written into the packet.
 *
 * TCP: an experimental option (RFC 6994) of 8 bytes: kind 253, length, ExID, ID.
 * UDP: the same with kind 127 among the options of RFC 9868, which lie between the end of UDP and the
 * end of IP, where a receiver who knows nothing of them does not look. There they are always 12 bytes:
 * a zero if the UDP length is odd, the checksum of all this (OCS), the option, and zeros, which end it.
 *
 * One header for who writes stamps and who reads them, on both sides of the kernel boundary. Words are
 * in host order.
 */
#ifndef VNT_STAMP_H
#define VNT_STAMP_H

#include <linux/types.h>

#define VNT_STAMP_BYTES   8           /* of the option */
#define VNT_STAMP_TRAILER 12          /* of all that follows UDP */
#define VNT_STAMP_TCP     0xfd08564eu /* first word of the option: kind, length, ExID */
#define VNT_STAMP_UDP     0x7f08564eu /* the second one is the ID */

/* Byte of the trailer where the option starts. */
static __always_inline __u32 vnt_stamp_offset(__u32 udp_length)
{
	return 2 + (udp_length & 1);
}

/*
 * RFC 9868, 9: the sum of the options and of their length is zero. A sum over all bytes of IP with the
 * length of IP in the pseudo-header is then that of UDP alone: whoever sums too much is right still.
 */
static __always_inline __u32 vnt_stamp_checksum(__u32 id)
{
	__u32 sum = (VNT_STAMP_UDP >> 16) + (VNT_STAMP_UDP & 0xffff) + (id >> 16) + (id & 0xffff) +
		    VNT_STAMP_TRAILER;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : ~sum & 0xffff; /* 0 would say that there is none */
}

/* The words of the trailer behind a datagram of this length. */
static __always_inline void vnt_stamp_trailer(__u32 trailer[3], __u32 udp_length, __u32 id)
{
	__u32 first = vnt_stamp_checksum(id) << 16 | VNT_STAMP_UDP >> 16;
	__u32 second = VNT_STAMP_UDP << 16 | id >> 16, third = id << 16;

	trailer[0] = udp_length & 1 ? first >> 8 : first;
	trailer[1] = udp_length & 1 ? first << 24 | second >> 8 : second;
	trailer[2] = udp_length & 1 ? second << 24 | third >> 8 : third;
}

#endif
