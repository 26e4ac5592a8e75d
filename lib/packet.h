/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * packet.h - the packet ID of a packet, from its header bytes alone.
 *
 * One header for both sides of the kernel boundary: BPF programs run it on the header bytes they
 * copied, unit tests on captured packets. The ID is built from fields that no hop changes (a digest
 * as in trajectory sampling, Duffield and Grossglauser 2001, and RFC 5475, 6.2): never TTL, TOS or
 * checksums, which hops and offloads rewrite.
 *
 *   flow  hash of protocol, addresses and ports (fragments: no ports)
 *   key   TCP with payload: IP ID << 48 | (TSval & 0xffff) << 32 | sequence number
 *         TCP without:      digest of IP ID, sequence, acknowledgement, flags, window, options
 *         UDP, UDP-Lite:    digest of IP ID, length and the first payload bytes
 *         anything else:    digest of IP ID and the first bytes, without ICMP's and SCTP's checksum
 *
 * Everything is read as 32-bit words: every header here starts on a multiple of four bytes from the
 * network header, and the BPF verifier wants aligned stack reads.
 */
#ifndef VNT_PACKET_H
#define VNT_PACKET_H

#include "event.h"

#define VNT_HEADER_MAX 128 /* bytes a probe copies from the network header on */
#define VNT_DIGEST_MAX 32  /* bytes above the transport header that go into a digest */

/* What a probe sees of a packet before anything is decided. Lives on the BPF stack. */
struct vnt_view {
	union {
		__u8 header[VNT_HEADER_MAX]; /* garbage from `available` on */
		__u32 words[VNT_HEADER_MAX / 4];
	};
	__u32 available; /* valid bytes in `header` */
	__u32 length;	 /* bytes of the packet from the network header on */
	__u32 ethertype; /* host order */
	__u32 pad;
};
_Static_assert(sizeof(struct vnt_view) == 144, "the filter's loads rely on it");

struct vnt_packet {
	__u64 flow;
	__u64 key;
	__u32 length;  /* of the IP packet as its header says, else of the view */
	__u32 payload; /* bytes above the TCP or UDP header, else 0 */
	__u32 ports;   /* source << 16 | destination */
	__u16 flags;   /* VNT_PACKET_* */
	__u8 proto;
	__u8 pad;
};

#define VNT_ETHERTYPE_IPV4 0x0800
#define VNT_ETHERTYPE_ARP  0x0806
#define VNT_ETHERTYPE_IPV6 0x86dd

enum vnt_proto {
	VNT_PROTO_HOP_BY_HOP = 0,
	VNT_PROTO_ICMP = 1,
	VNT_PROTO_TCP = 6,
	VNT_PROTO_UDP = 17,
	VNT_PROTO_ROUTING = 43,
	VNT_PROTO_FRAGMENT = 44,
	VNT_PROTO_AH = 51,
	VNT_PROTO_ICMPV6 = 58,
	VNT_PROTO_DESTINATION = 60,
	VNT_PROTO_SCTP = 132,
	VNT_PROTO_UDPLITE = 136,
};

#ifdef __clang__
#define VNT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VNT_UNROLL
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vnt_ntohl(x) __builtin_bswap32(x)
#else
#define vnt_ntohl(x) (x)
#endif

/* Word `index` in host order. The mask is for the verifier; callers stay below `available`. */
static __always_inline __u32 vnt_word(const struct vnt_view *view, __u32 index)
{
	return vnt_ntohl(view->words[index & (VNT_HEADER_MAX / 4 - 1)]);
}

static __always_inline int vnt_reaches(const struct vnt_view *view, __u32 words)
{
	return words * 4 <= view->available;
}

/* One round of a multiply-xorshift hash: bijective in `hash` for any value, and the other way round. */
static __always_inline __u64 vnt_mix(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* The 64-bit packet ID: flow and key in one number. */
static __always_inline __u64 vnt_packet_id(__u64 flow, __u64 key)
{
	return vnt_mix(vnt_mix(0, flow), key);
}

/* Digest of `bytes` (at most VNT_DIGEST_MAX) from word `first` on; what is out of reach counts as
 * absent and sets VNT_PACKET_SHORT. */
static __always_inline __u64 vnt_digest(const struct vnt_view *view, struct vnt_packet *packet,
					__u64 hash, __u32 first, __u32 bytes)
{
	__u32 reach = first * 4 < view->available ? view->available - first * 4 : 0;

	if (bytes > VNT_DIGEST_MAX)
		bytes = VNT_DIGEST_MAX;
	if (bytes > reach) {
		bytes = reach;
		packet->flags |= VNT_PACKET_SHORT;
	}
	VNT_UNROLL
	for (__u32 i = 0; i < VNT_DIGEST_MAX / 8; i++) {
		__u32 done = i * 8;
		__u64 value;

		if (done >= bytes)
			break;
		value = (__u64)vnt_word(view, first + 2 * i) << 32 | vnt_word(view, first + 2 * i + 1);
		if (bytes - done < 8)
			value &= ~0ull << (64 - 8 * (bytes - done));
		hash = vnt_mix(hash, value);
	}
	return vnt_mix(hash, bytes);
}

static __always_inline void vnt_parse_tcp(const struct vnt_view *view, struct vnt_packet *packet,
					  __u32 at, __u32 end, __u32 id)
{
	__u32 control, header, tsval = 0;

	control = vnt_word(view, at + 3);
	header = control >> 28;
	packet->payload = end > (at + header) * 4 ? end - (at + header) * 4 : 0;

	if (packet->payload && !(control & 0x20000)) { /* not SYN */
		if (header >= 8 && vnt_reaches(view, at + 7) && vnt_word(view, at + 5) == 0x0101080a)
			tsval = vnt_word(view, at + 6);
		packet->flags |= VNT_PACKET_TCP_DATA;
		packet->key = (__u64)id << 48 | (__u64)(tsval & 0xffff) << 32 | vnt_word(view, at + 1);
		return;
	}
	packet->key = vnt_mix(id, (__u64)vnt_word(view, at + 1) << 32 | vnt_word(view, at + 2));
	packet->key = vnt_mix(packet->key, control);
	packet->key = vnt_digest(view, packet, packet->key, at + 5, header > 5 ? (header - 5) * 4 : 0);
}

static __always_inline int vnt_has_ports(__u32 proto)
{
	return proto == VNT_PROTO_TCP || proto == VNT_PROTO_UDP || proto == VNT_PROTO_UDPLITE ||
	       proto == VNT_PROTO_SCTP;
}

/* From the transport header (word `at`) to the end of the IP packet (byte `end`). `id` is what the IP
 * header tells packets of one flow apart by. */
static __always_inline void vnt_parse_transport(const struct vnt_view *view,
						struct vnt_packet *packet, __u32 at, __u32 end,
						__u64 id)
{
	__u32 proto = packet->proto;
	__u32 rest = end > at * 4 ? end - at * 4 : 0;

	if (packet->flags & VNT_PACKET_FRAGMENT) {
		packet->key = vnt_digest(view, packet, vnt_mix(id, rest), at, rest);
		return;
	}
	if (vnt_has_ports(proto) && rest >= 8 && vnt_reaches(view, at + 2)) {
		packet->ports = vnt_word(view, at);
		if (proto == VNT_PROTO_TCP && rest >= 20 && vnt_reaches(view, at + 5)) {
			vnt_parse_tcp(view, packet, at, end, id);
			return;
		}
		if (proto == VNT_PROTO_UDP || proto == VNT_PROTO_UDPLITE) {
			packet->payload = rest - 8;
			packet->key = vnt_digest(view, packet, vnt_mix(id, rest), at + 2, rest - 8);
			return;
		}
	}
	/* Word 0 of ICMP ends with its checksum, word 2 of SCTP is one, and word 2 of an inner IPv4
	 * header holds TTL and checksum. */
	packet->key = vnt_mix(id, rest);
	if (rest >= 8 && vnt_reaches(view, at + 2)) {
		__u32 word = vnt_word(view, at);

		if (proto == VNT_PROTO_ICMP || proto == VNT_PROTO_ICMPV6)
			word &= 0xffff0000;
		packet->key = vnt_mix(packet->key, (__u64)word << 32 | vnt_word(view, at + 1));
		packet->key = vnt_digest(view, packet, packet->key, at + 3, rest > 12 ? rest - 12 : 0);
	} else {
		packet->flags |= VNT_PACKET_SHORT;
	}
}

static __always_inline void vnt_parse_ipv4(const struct vnt_view *view, struct vnt_packet *packet)
{
	__u32 word = vnt_word(view, 0), fragment = vnt_word(view, 1);
	__u32 at = word >> 24 & 0xf;
	__u64 id = fragment >> 16;

	packet->length = word & 0xffff;
	if (!packet->length) /* a super-packet beyond 64 KiB */
		packet->length = view->length;
	packet->proto = vnt_word(view, 2) >> 16;
	packet->flow = (__u64)vnt_word(view, 3) << 32 | vnt_word(view, 4);
	packet->flow = vnt_mix(VNT_ETHERTYPE_IPV4, packet->flow);
	if (fragment & 0x3fff) { /* offset or more fragments */
		packet->flags |= VNT_PACKET_FRAGMENT;
		id = id << 16 | (fragment & 0x3fff);
	}
	vnt_parse_transport(view, packet, at, packet->length, id);
}

/* Walks at most six extension headers; returns the word where the transport header starts. */
static __always_inline __u32 vnt_skip_extensions(const struct vnt_view *view,
						 struct vnt_packet *packet, __u64 *id)
{
	__u32 at = 10;

	VNT_UNROLL
	for (int i = 0; i < 6; i++) {
		__u32 proto = packet->proto, word;

		if (proto != VNT_PROTO_HOP_BY_HOP && proto != VNT_PROTO_ROUTING &&
		    proto != VNT_PROTO_FRAGMENT && proto != VNT_PROTO_AH &&
		    proto != VNT_PROTO_DESTINATION)
			break;
		if (!vnt_reaches(view, at + 2))
			break;
		word = vnt_word(view, at);
		if (proto == VNT_PROTO_FRAGMENT) {
			*id = (__u64)vnt_word(view, at + 1) << 16 | (word & 0xfff9);
			if (word & 0xfff9) /* an atomic fragment (RFC 6946) is none */
				packet->flags |= VNT_PACKET_FRAGMENT;
			at += 2;
		} else if (proto == VNT_PROTO_AH) {
			at += (word >> 16 & 0xff) + 2;
		} else {
			at += ((word >> 16 & 0xff) + 1) * 2;
		}
		packet->proto = word >> 24;
	}
	return at;
}

static __always_inline void vnt_parse_ipv6(const struct vnt_view *view, struct vnt_packet *packet)
{
	__u32 word = vnt_word(view, 1), at;
	__u64 hash = VNT_ETHERTYPE_IPV6, id = 0;

	packet->length = (word >> 16) + 40;
	if (packet->length == 40) /* jumbogram or a super-packet beyond 64 KiB */
		packet->length = view->length;
	packet->proto = word >> 8;
	VNT_UNROLL
	for (int i = 2; i < 10; i += 2)
		hash = vnt_mix(hash, (__u64)vnt_word(view, i) << 32 | vnt_word(view, i + 1));
	packet->flow = hash;
	at = vnt_skip_extensions(view, packet, &id);
	vnt_parse_transport(view, packet, at, packet->length, id);
}

/* Fills *packet from *view. Never fails: what cannot be parsed still gets a deterministic ID. */
static __always_inline void vnt_packet_parse(const struct vnt_view *view, struct vnt_packet *packet)
{
	__builtin_memset(packet, 0, sizeof(*packet));
	if (view->ethertype == VNT_ETHERTYPE_IPV4 && vnt_reaches(view, 5)) {
		vnt_parse_ipv4(view, packet);
	} else if (view->ethertype == VNT_ETHERTYPE_IPV6 && vnt_reaches(view, 10)) {
		vnt_parse_ipv6(view, packet);
	} else {
		/* Link-layer padding makes the length useless. 28 bytes are an ARP packet. */
		packet->length = view->length;
		packet->flow = view->ethertype;
		if (view->ethertype == VNT_ETHERTYPE_ARP && vnt_reaches(view, 7)) {
			__u64 addresses = (__u64)vnt_word(view, 3) << 48 | (__u64)vnt_word(view, 4) >> 16 << 32;

			packet->flow = vnt_mix(packet->flow, addresses | vnt_word(view, 6));
		}
		packet->key = vnt_digest(view, packet, 0, 0, 28);
	}
	packet->flow = vnt_mix(packet->flow, (__u64)packet->ports << 32 | packet->proto);
}

static __always_inline void vnt_copy_words(__u8 *to, const struct vnt_view *view, __u32 first,
					   __u32 words)
{
	for (__u32 i = 0; i < words; i++)
		((__u32 *)to)[i] = view->words[first + i];
}

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

#endif
