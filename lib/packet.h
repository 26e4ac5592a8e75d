/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * packet.h - the packet ID of a packet, from its header bytes alone.
 *
 * One header for both sides of the kernel boundary: the BPF programs run it on the header bytes they
 * copied, unit tests run it on captured packets. The ID is built from fields that no hop changes
 * (digest; trajectory sampling, Duffield and Grossglauser 2001; RFC 5475, 6.2): never TTL, TOS or
 * checksums.
 *
 *   flow  hash of protocol, addresses and ports
 *   key   TCP with payload: IP ID << 48 | TSval & 0xffff << 32 | sequence number
 *         TCP without:      digest of IP ID, sequence, acknowledgement, flags, window, options
 *         anything else:    digest of IP ID, fragment offset, length and the first bytes above
 *                           the transport header
 */
#ifndef VNT_PACKET_H
#define VNT_PACKET_H

#include "event.h"

#define VNT_HEADER_MAX 128 /* bytes a probe copies from the network header on */

/* What a probe sees of a packet before anything is decided. Lives on the BPF stack. */
struct vnt_view {
	__u8 header[VNT_HEADER_MAX]; /* from the network header on; garbage from `available` on */
	__u32 available;	     /* valid bytes in `header` */
	__u32 length;		     /* bytes of the packet from the network header on */
	__u32 ethertype;	     /* host order */
	__u32 pad;
};
_Static_assert(sizeof(struct vnt_view) == 144, "the filter's loads rely on it");

