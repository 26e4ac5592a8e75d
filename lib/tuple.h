/* SPDX-License-Identifier: GPL-2.0-only */
/* tuple.h - the 5-tuple of a packet (struct vnt_flow), and the hash that names it (packet.h). */
#ifndef VNT_TUPLE_H
#define VNT_TUPLE_H

#include "packet.h"

/* The 5-tuple behind packet->flow, from the view that *packet was parsed from. */
static __always_inline void vnt_packet_flow(const struct vnt_view *view,
					    const struct vnt_packet *packet, struct vnt_flow *flow)
{
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->ethertype = view->ethertype;
	flow->proto = packet->proto;
	flow->sport = packet->ports >> 16;
	flow->dport = packet->ports;
	if (view->ethertype == VNT_ETHERTYPE_IPV4 && vnt_reaches(view, 5)) {
		vnt_copy_words(flow->saddr, view, 3, 1);
		vnt_copy_words(flow->daddr, view, 4, 1);
	} else if (view->ethertype == VNT_ETHERTYPE_IPV6 && vnt_reaches(view, 10)) {
		vnt_copy_words(flow->saddr, view, 2, 4);
		vnt_copy_words(flow->daddr, view, 6, 4);
	} else if (view->ethertype == VNT_ETHERTYPE_ARP && vnt_reaches(view, 7)) {
		for (int i = 0; i < 4; i++) {
			flow->saddr[i] = view->header[14 + i];
			flow->daddr[i] = view->header[24 + i];
		}
	}
}

static __always_inline __u64 vnt_address_words(const __u8 *address, __u32 first)
{
	const __u32 *words = (const __u32 *)address;

	return (__u64)vnt_ntohl(words[first]) << 32 | vnt_ntohl(words[first + 1]);
}

/* packet->flow of packets with these addresses and ports, IPv4 or IPv6. */
static __always_inline __u64 vnt_flow_hash(const struct vnt_flow *flow)
{
	__u32 ports = (__u32)flow->sport << 16 | flow->dport;
	const __u64 values[] = {
		vnt_address_words(flow->saddr, 0),
		vnt_address_words(flow->saddr, 2),
		vnt_address_words(flow->daddr, 0),
		vnt_address_words(flow->daddr, 2),
	};
	__u64 hash = 0, sum = 0;

	if (flow->ethertype == VNT_ETHERTYPE_IPV4)
		return vnt_seal_flow((values[0] & ~0xffffffffull) | values[2] >> 32,
				     flow->ethertype, ports, flow->proto);
	VNT_UNROLL
	for (int i = 0; i < 4; i++) {
		hash = vnt_mix(hash, values[i]);
		sum += values[i];
	}
	return vnt_seal_flow(vnt_seal(hash, sum), flow->ethertype, ports, flow->proto);
}

#endif
