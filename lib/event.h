/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * event.h - what one probe says about one packet.
 *
 * Shared by the BPF programs and by every stage in user space; compiled on both
 * sides, so it holds plain data only.
 */
#ifndef VNT_EVENT_H
#define VNT_EVENT_H

#include <linux/types.h>

/*
 * One observation of one packet at one probe.
 *
 * (flow, key) names the packet; see packet.h for how both are computed. `probe`
 * indexes the probe table of the trace the event is in, which also says the
 * domain.
 */
struct vnt_event {
	__u64 time_ns; /* CLOCK_MONOTONIC of the domain; after merge, the reference domain's */
	__u64 flow;    /* hash of the 5-tuple */
	__u64 key;     /* names the packet within its flow */
	__u32 length;  /* bytes of the packet from its network header on */
	__u32 payload; /* bytes behind the TCP or UDP header, else behind those of IP */
	__u64 outer;   /* hash of the tunnel that the packet was in; 0 if in none */
	__u16 probe;
	__u16 cpu;
	__u16 flags; /* VNT_PACKET_* */
	/* Payload of each packet of a super-packet (GSO, GRO); 0 if it is none. A datagram that was in one
	 * is an event of its own: 0 if its IP ID is known, not only where it was in there (datagrams.h). */
	__u16 segment;
	__u16 id; /* IPv4: identification; of a super-packet that of its first packet */
	__u16 pad;
	__u32 slot; /* of what a ring holds it in (ring.h) */
};
_Static_assert(sizeof(struct vnt_event) == 56, "struct vnt_event is an ABI");

enum vnt_packet_flags {
	VNT_PACKET_TCP_DATA = 1 << 0, /* key is a byte range: sequence number, TSval, IP ID */
	VNT_PACKET_FRAGMENT = 1 << 1, /* IP fragment; its flow has no ports, but for the first */
	VNT_PACKET_SHORT = 1 << 2,    /* not all bytes the key is made of were in reach */
	VNT_PACKET_STAMPED = 1 << 3,  /* key is made of a stamp (stamp.h) */
	VNT_PACKET_LATER = 1 << 4,    /* later fragment of IPv4: the key says which (packet.h) */
};

/* What names a packet. Numbers are on disk and never change. */
enum vnt_id {
	VNT_ID_AUTO,    /* flow and key */
	VNT_ID_PAYLOAD, /* the key alone, whatever happens to addresses and ports */
};

/* The 5-tuple. Addresses in network order, IPv4 in the first four bytes, unused bytes 0. */
struct vnt_flow {
	__u8 saddr[16] __attribute__((aligned(8)));
	__u8 daddr[16];
	__u16 sport; /* host order; ICMP: identifier; 0 where the protocol has no ports */
	__u16 dport;
	__u16 ethertype; /* host order: 0x0800, 0x86dd, or what else the frame carries */
	__u8 proto;      /* IP protocol number; 0 if not IP */
	__u8 pad;
};
_Static_assert(sizeof(struct vnt_flow) == 40, "struct vnt_flow is an ABI");

/*
 * A host changed addresses or ports of the packets of a flow: until then, from where they come, it was
 * another flow. In force from `time_ns` on, until the next one of the same flow.
 */
struct vnt_translation {
	__u64 time_ns; /* as that of an event, here of the first one */
	__u64 flow;    /* hash of the 5-tuple, of events at this probe */
	__u64 before;
	__u16 probe;
	__u16 pad[3];
};
_Static_assert(sizeof(struct vnt_translation) == 32, "struct vnt_translation is an ABI");

/* Numbers are on disk and never change. */
enum vnt_tunnel_kind {
	VNT_TUNNEL_NONE,
	VNT_TUNNEL_VXLAN,
	VNT_TUNNEL_GENEVE,
	VNT_TUNNEL_GRE,
	VNT_TUNNEL_IP, /* IPv4 or IPv6 in IPv4 or IPv6 */
	VNT_TUNNEL_VLAN,
	VNT_TUNNEL_MPLS,
	VNT_TUNNEL_KINDS
};

/* What a packet was carried in. Addresses as in struct vnt_flow. */
struct vnt_tunnel {
	__u64 outer; /* hash of the tunnel around this one; 0 if there is none */
	__u8 saddr[16] __attribute__((aligned(8)));
	__u8 daddr[16] __attribute__((aligned(8)));
	__u32 id;        /* VNI, GRE key, VLAN ID or MPLS label; 0 if it has none */
	__u16 ethertype; /* of the addresses; else of the tag or label */
	__u8 kind;       /* VNT_TUNNEL_* */
	__u8 pad;
};
_Static_assert(sizeof(struct vnt_tunnel) == 48, "struct vnt_tunnel is an ABI");

#endif
