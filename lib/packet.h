/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * packet.h - the packet ID of a packet, from its header bytes alone.
 *
 * One header for both sides of the kernel boundary: BPF programs run it on the header bytes they
 * copied, unit tests on captured packets. The ID is built from fields that no hop changes (a digest
 * as in trajectory sampling, Duffield and Grossglauser 2001, and RFC 5475, 6.2): never TTL, TOS or
 * checksums, which hops and offloads rewrite.
 *
 *   flow  hash of protocol, addresses and ports (ICMP echo: its identifier; fragments but the first: no
 *         ports)
 *   key   TCP with payload: IP ID << 48 | (TSval & 0xffff) << 32 | sequence number;
 *                         stamped: stamp << 32 | sequence number
 *         TCP without:      digest of IP ID, sequence, acknowledgement, flags, window, options
 *         UDP, UDP-Lite:    digest of length and the first payload bytes, in the last 16 bits the IP ID
 *         anything else:    digest of IP ID and the first bytes, without ICMP's and SCTP's checksum
 *         later fragments:  digest of IP ID, offset, length and the first bytes; of IPv4 in the last 32 bits
 *                           IP ID << 16 | more fragments << 13 | offset / 8 (VNT_PACKET_LATER)
 *
 * One packet that is several elsewhere has the ID of the first of them: of a super-packet (GSO, GRO),
 * that of its first segment (for the others of UDP, see datagrams.h); of a datagram, that of its first
 * fragment. So no length is part of the ID but UDP's own, which fragments leave as it is.
 *
 * What address translation changes is in the flow, never in the key. A key that must name the packet
 * on its own (VNT_ID_PAYLOAD) is that of TCP without payload for all TCP.
 *
 * A stamp (stamp.h) goes into the digest. Whether a datagram may have one is known from its length
 * fields alone, so all probes agree on that, but the stamp itself may lie where a probe cannot look: such
 * a packet must not be an event, for it would look like another one (`stamp_at` below).
 */
#ifndef VNT_PACKET_H
#define VNT_PACKET_H

#include "event.h"
#include "stamp.h"
#include "view.h"

#define VNT_EXTENSIONS_MAX 4  /* IPv6 extension headers a probe looks behind */
#define VNT_DIGEST_MAX     32 /* bytes above the transport header that go into a digest */

struct vnt_packet {
	__u64 flow;
	__u64 key;
	__u32 length;  /* of the IP packet as its header says, else of the view */
	__u32 payload; /* bytes above the TCP or UDP header, else above those of IP */
	__u32 ports;   /* source << 16 | destination */
	__u16 flags;   /* VNT_PACKET_* */
	__u16 id;      /* IPv4: identification */
	__u8 proto;
	__u8 pad[3];
	/* Byte from the network header on where a UDP stamp may be, or 0. The ID is complete once
	 * vnt_packet_stamp() has seen the VNT_STAMP_BYTES there. */
	__u32 stamp_at;
};

#define VNT_IPV4_WORDS     5 /* of the header without options */
#define VNT_IPV6_WORDS     10
#define VNT_ETHERTYPE_IPV4 0x0800
#define VNT_ETHERTYPE_ARP  0x0806
#define VNT_ETHERTYPE_IPV6 0x86dd

enum vnt_proto {
	VNT_PROTO_HOP_BY_HOP = 0,
	VNT_PROTO_ICMP = 1,
	VNT_PROTO_IPV4 = 4,
	VNT_PROTO_TCP = 6,
	VNT_PROTO_UDP = 17,
	VNT_PROTO_IPV6 = 41,
	VNT_PROTO_ROUTING = 43,
	VNT_PROTO_FRAGMENT = 44,
	VNT_PROTO_GRE = 47,
	VNT_PROTO_AH = 51,
	VNT_PROTO_ICMPV6 = 58,
	VNT_PROTO_DESTINATION = 60,
	VNT_PROTO_SCTP = 132,
	VNT_PROTO_UDPLITE = 136,
};

/* Which bytes name a packet that no header field names: `bytes` from word `first` on. */
struct vnt_digest {
	__u64 seed;
	__u32 first;
	__u32 bytes;
	__u32 behind; /* bits at the end of the key that are those of vnt_transport's `id` */
};

/* Where the network header ends and what it says about the rest. */
struct vnt_transport {
	__u32 at;      /* word where the transport header starts */
	__u32 end;     /* byte where the IP packet ends */
	__u64 id;      /* what tells packets of one flow apart: IP ID, fragment offset */
	__u32 segment; /* payload of each packet of a super-packet, or 0 */
	__u32 later;   /* a fragment that does not begin with the transport header */
	const volatile __u32 *named; /* enum vnt_id; read where it matters, to keep no register */
};

/* What goes into the hash before the bytes do: the ID and the length often count up together. */
static __always_inline __u64 vnt_digest_seed(__u64 id, __u32 length)
{
	return vnt_mix(VNT_SEED, id << 16 ^ length);
}

/* `bytes` is at most VNT_DIGEST_MAX. */
static __always_inline __u64 vnt_digest_bytes(const struct vnt_view *view, __u32 first, __u32 bytes,
					      __u64 seed)
{
	__u64 hash = seed, sum = bytes; /* so that bytes that are not there differ from zeros */

	VNT_UNROLL
	for (__u32 done = 0; done < VNT_DIGEST_MAX; done += 8) {
		__u32 at = first + done / 4;
		__u64 value;

		if (done >= bytes)
			break;
		value = (__u64)vnt_word(view, at) << 32 | vnt_word(view, at + 1);
		if (bytes - done < 8)
			value &= ~0ull << (64 - 8 * (bytes - done));
		hash = vnt_mix(hash, value);
		sum += value;
	}
	return vnt_seal(hash, sum);
}

/* At most VNT_DIGEST_MAX bytes; what is out of reach counts as absent and sets VNT_PACKET_SHORT. */
static __always_inline __u64 vnt_digest(const struct vnt_view *view, struct vnt_packet *packet,
					const struct vnt_digest *digest)
{
	__u32 first = digest->first, bytes = digest->bytes;
	__u32 reach = first * 4 < view->available ? view->available - first * 4 : 0;

	if (bytes > VNT_DIGEST_MAX)
		bytes = VNT_DIGEST_MAX;
	if (bytes > reach) {
		bytes = reach;
		packet->flags |= VNT_PACKET_SHORT;
	}
	return vnt_digest_bytes(view, first, bytes, digest->seed);
}

/* Sets the key if the segment carries data, else what its key is a digest of. */
static __always_inline void vnt_parse_tcp(const struct vnt_view *view, struct vnt_packet *packet,
					  const struct vnt_transport *transport,
					  struct vnt_digest *digest)
{
	__u32 at = transport->at, control = vnt_word(view, at + 3);
	__u32 header = control >> 28, id = transport->id << 16;
	__u32 data = (at + header) * 4;

	if (header >= 8 && vnt_reaches(view, at + 7) && vnt_word(view, at + 5) == 0x0101080a)
		id |= vnt_word(view, at + 6) & 0xffff; /* TSval */
	/* Linux puts the options of BPF programs last. What looks like one by chance does so at every
	 * probe: there is no need to walk from option to option. */
	if (header >= 7 && vnt_reaches(view, at + header) &&
	    vnt_word(view, at + header - 2) == VNT_STAMP_TCP) {
		id = vnt_word(view, at + header - 1);
		packet->flags |= VNT_PACKET_STAMPED;
	}
	packet->payload = transport->end > data ? transport->end - data : 0;
	if (packet->payload && !(control & 0x20000) && /* not SYN */
	    *transport->named == VNT_ID_AUTO) {
		packet->flags |= VNT_PACKET_TCP_DATA;
		packet->key = (__u64)id << 32 | vnt_word(view, at + 1);
		return;
	}
	if (packet->flags & VNT_PACKET_STAMPED) /* the digest may end before it */
		digest->seed = vnt_mix(digest->seed, id);
	digest->seed =
		vnt_mix(digest->seed, (__u64)vnt_word(view, at + 1) << 32 | vnt_word(view, at + 2));
	digest->seed = vnt_mix(digest->seed, control);
	digest->first = at + 5;
	digest->bytes = header > 5 ? (header - 5) * 4 : 0;
}

/*
 * By the length of the header, which the first fragment has of the whole, and without the stamp behind it:
 * so the digest is the same before and after stamping. Other options of the same length are left out of
 * it too.
 */
static __always_inline void vnt_parse_udp(const struct vnt_view *view, struct vnt_packet *packet,
					  const struct vnt_transport *transport,
					  struct vnt_digest *digest)
{
	__u32 at = transport->at, rest = transport->end - at * 4;
	__u32 length = vnt_word(view, at + 1) >> 16;

	if (packet->proto == VNT_PROTO_UDP && length >= 8 && length + VNT_STAMP_TRAILER == rest &&
	    !(packet->flags & VNT_PACKET_FRAGMENT)) {
		packet->stamp_at = at * 4 + length + vnt_stamp_offset(length);
		rest = length;
	}
	if (transport->segment && transport->segment + 8 < rest) {
		length = transport->segment + 8;
		packet->length -= rest - length;
		rest = length;
	}
	packet->payload = rest - 8;
	digest->first = at + 2;
	digest->bytes = rest - 8;
	digest->seed = vnt_digest_seed(0, length);
	digest->behind = 0xffff;
}

/* The key that ends with the IP ID, and its first bits are the same whatever that is. */
static __always_inline __u64 vnt_datagram_key(__u64 digest, __u16 id)
{
	return (digest & ~0xffffull) | id;
}

/* `option` is what lies at packet->stamp_at: if it is a stamp, the key becomes the stamped packet's. */
static __always_inline void vnt_packet_stamp(struct vnt_packet *packet, const __u32 option[2])
{
	const __u32 id = vnt_ntohl(option[1]);

	if (vnt_ntohl(option[0]) != VNT_STAMP_UDP)
		return;
	packet->key = vnt_seal(vnt_mix(packet->key, id), id);
	packet->flags |= VNT_PACKET_STAMPED;
}

static __always_inline int vnt_has_ports(__u32 proto)
{
	return proto == VNT_PROTO_TCP || proto == VNT_PROTO_UDP || proto == VNT_PROTO_UDPLITE ||
	       proto == VNT_PROTO_SCTP;
}

/* Of ICMP, by its first word: does the second one start with what stands for the ports? */
static __always_inline int vnt_has_identifier(__u32 proto, __u32 word)
{
	const __u32 asked = 1u << 0 | 1u << 8 | 0x3fu << 13; /* echo, timestamp, and older ones */
	__u32 type = word >> 24;

	if (proto == VNT_PROTO_ICMP)
		return type < 32 && asked >> type & 1;
	return proto == VNT_PROTO_ICMPV6 && (type == 128 || type == 129);
}

/* All but TCP and UDP. */
static __always_inline void vnt_parse_message(const struct vnt_view *view,
					      struct vnt_packet *packet, __u32 at, __u32 rest,
					      struct vnt_digest *digest)
{
	__u32 proto = packet->proto, word = vnt_word(view, at), next = vnt_word(view, at + 1);

	if (vnt_has_identifier(proto, word)) {
		packet->ports = next & 0xffff0000;
		next &= 0xffff;
	}
	/* Word 0 of ICMP ends with its checksum; word 2 of SCTP is one, and word 2 of an inner IPv4
	 * header is TTL and checksum. */
	if (proto == VNT_PROTO_ICMP || proto == VNT_PROTO_ICMPV6)
		word &= 0xffff0000;
	else if (vnt_has_ports(proto))
		word = 0;
	digest->seed = vnt_mix(digest->seed, (__u64)word << 32 | next);
	digest->first = at + 3;
	digest->bytes = rest > 12 ? rest - 12 : 0;
}

static __always_inline void vnt_parse_transport(const struct vnt_view *view,
						struct vnt_packet *packet,
						const struct vnt_transport *transport,
						struct vnt_digest *digest)
{
	__u32 proto = packet->proto, at = transport->at;
	__u32 rest = transport->end > at * 4 ? transport->end - at * 4 : 0;

	packet->payload = rest;
	digest->first = at;
	digest->bytes = rest;
	if (transport->later || rest < 8 || !vnt_reaches(view, at + 2)) {
		digest->seed = vnt_digest_seed(transport->id, rest);
		if (!transport->later)
			packet->flags |= VNT_PACKET_SHORT;
		return;
	}
	if (vnt_has_ports(proto))
		packet->ports = vnt_word(view, at);
	if (proto == VNT_PROTO_UDP || proto == VNT_PROTO_UDPLITE) {
		vnt_parse_udp(view, packet, transport, digest);
		return;
	}
	digest->seed = vnt_digest_seed(transport->id, 0);
	if (proto == VNT_PROTO_TCP && rest >= 20 && vnt_reaches(view, at + 5)) {
		vnt_parse_tcp(view, packet, transport, digest);
	} else {
		vnt_parse_message(view, packet, at, rest, digest);
	}
}

static __always_inline void vnt_parse_ipv4(const struct vnt_view *view, struct vnt_packet *packet,
					   struct vnt_transport *transport)
{
	__u32 word = vnt_word(view, 0), fragment = vnt_word(view, 1);

	packet->length = word & 0xffff;
	packet->proto = vnt_word(view, 2) >> 16;
	packet->flow = (__u64)vnt_word(view, 3) << 32 | vnt_word(view, 4);
	transport->at = word >> 24 & 0xf;
	transport->id = packet->id = fragment >> 16;
	if (fragment & 0x3fff) { /* offset or more fragments */
		packet->flags |= VNT_PACKET_FRAGMENT;
		transport->later = fragment & 0x1fff;
		if (transport->later) {
			transport->id = transport->id << 16 | (fragment & 0x3fff);
			if (*transport->named == VNT_ID_AUTO)
				packet->flags |= VNT_PACKET_LATER;
		}
	}
}

static __always_inline int vnt_is_extension(__u32 proto)
{
	return proto == VNT_PROTO_HOP_BY_HOP || proto == VNT_PROTO_ROUTING ||
	       proto == VNT_PROTO_FRAGMENT || proto == VNT_PROTO_AH ||
	       proto == VNT_PROTO_DESTINATION;
}

/* Of an extension header that starts with `word`, but for the fragment header. */
static __always_inline __u32 vnt_extension_words(__u32 proto, __u32 word)
{
	__u32 length = word >> 16 & 0xff;

	return proto == VNT_PROTO_AH ? length + 2 : (length + 1) * 2;
}

static __always_inline void vnt_parse_ipv6(const struct vnt_view *view, struct vnt_packet *packet,
					   struct vnt_transport *transport)
{
	__u32 word = vnt_word(view, 1), at = VNT_IPV6_WORDS;
	__u64 sum = 0;

	packet->length = word >> 16 ? (word >> 16) + 40 : 0;
	packet->proto = word >> 8;
	for (__u32 i = 2; i < 10; i += 2) {
		__u64 value = (__u64)vnt_word(view, i) << 32 | vnt_word(view, i + 1);

		packet->flow = vnt_mix(packet->flow, value);
		sum += value;
	}
	packet->flow = vnt_seal(packet->flow, sum);
	transport->id = 0;
	for (int i = 0; i < VNT_EXTENSIONS_MAX; i++) {
		__u32 proto = packet->proto;

		if (!vnt_is_extension(proto) || !vnt_reaches(view, at + 2))
			break;
		VNT_FORGET(at, view->words[0]);
		VNT_FORGET(transport->later, view->words[0]);
		VNT_FORGET(packet->flags, view->words[0]);
		word = vnt_word(view, at);
		packet->proto = word >> 24;
		if (proto != VNT_PROTO_FRAGMENT) {
			at += vnt_extension_words(proto, word);
			continue;
		}
		if (word & 0xfff9) /* an atomic fragment (RFC 6946) is none */
			packet->flags |= VNT_PACKET_FRAGMENT;
		if (word & 0xfff8) {
			transport->id = (__u64)vnt_word(view, at + 1) << 16 | (word & 0xfff9);
			transport->later = 1;
		}
		at += 2;
	}
	transport->at = at;
}

/* Link-layer padding makes the length useless here. 28 bytes are an ARP packet. */
static __always_inline void vnt_parse_other(const struct vnt_view *view, struct vnt_packet *packet,
					    struct vnt_digest *digest)
{
	if (view->ethertype == VNT_ETHERTYPE_ARP && vnt_reaches(view, 7))
		packet->flow = (__u64)vnt_word(view, 3) << 48 |
			       (__u64)vnt_word(view, 4) >> 16 << 32 | vnt_word(view, 6);
	if (view->ethertype == VNT_ETHERTYPE_IPV4 || view->ethertype == VNT_ETHERTYPE_IPV6)
		packet->flags |= VNT_PACKET_SHORT; /* not even its header is there */
	digest->seed = 1;
	digest->first = 0;
	digest->bytes = 28;
}

static __always_inline __u64 vnt_seal_flow(__u64 addresses, __u32 ethertype, __u32 ports,
					   __u32 proto)
{
	return vnt_mix(vnt_mix(ethertype, addresses), (__u64)ports << 32 | proto);
}

/* What lies behind the network header, and the key. */
static __always_inline void vnt_parse_rest(const struct vnt_view *view, struct vnt_packet *packet,
					   struct vnt_transport *transport)
{
	struct vnt_digest digest;

	digest.behind = packet->flags & VNT_PACKET_LATER ? 0xffffffff : 0;
	/* No length in the header: a super-packet beyond 64 KiB, a jumbogram, or not IP. */
	if (!packet->length)
		packet->length = view->length;
	transport->end = packet->length;
	if (transport->at)
		vnt_parse_transport(view, packet, transport, &digest);
	else
		vnt_parse_other(view, packet, &digest);
	VNT_FORGET(digest.first, view->words[0]);
	VNT_FORGET(digest.behind, view->words[0]);
	VNT_FORGET(packet->flags, view->words[0]);
	if (!(packet->flags & VNT_PACKET_TCP_DATA))
		packet->key = vnt_digest(view, packet, &digest);
	packet->key = (packet->key & ~(__u64)digest.behind) | (transport->id & digest.behind);
	packet->flow = vnt_seal_flow(packet->flow, view->ethertype, packet->ports, packet->proto);
}

/* IPv4 without options: then all places are constants. */
static __always_inline int vnt_is_usual(const struct vnt_view *view)
{
	return view->ethertype == VNT_ETHERTYPE_IPV4 && vnt_reaches(view, VNT_IPV4_WORDS) &&
	       vnt_word(view, 0) >> 24 == 0x45;
}

/* As vnt_packet_parse_as(), of a usual packet only. */
static __always_inline void vnt_packet_parse_usual(const struct vnt_view *view, __u32 segment,
						   struct vnt_packet *packet,
						   const volatile __u32 *named)
{
	struct vnt_transport transport = {.segment = segment, .named = named};

	__builtin_memset(packet, 0, sizeof(*packet));
	vnt_parse_ipv4(view, packet, &transport);
	transport.at = VNT_IPV4_WORDS;
	vnt_parse_rest(view, packet, &transport);
}

/*
 * Fills *packet from *view, with the key of a packet that is named as *named says (enum vnt_id). Never
 * fails: what cannot be parsed still gets a deterministic ID. `segment` as in struct vnt_event.
 */
static __always_inline void vnt_packet_parse_as(const struct vnt_view *view, __u32 segment,
						struct vnt_packet *packet,
						const volatile __u32 *named)
{
	struct vnt_transport transport = {.segment = segment, .named = named};

	__builtin_memset(packet, 0, sizeof(*packet));
	if (view->ethertype == VNT_ETHERTYPE_IPV4 && vnt_reaches(view, VNT_IPV4_WORDS))
		vnt_parse_ipv4(view, packet, &transport);
	else if (view->ethertype == VNT_ETHERTYPE_IPV6 && vnt_reaches(view, VNT_IPV6_WORDS))
		vnt_parse_ipv6(view, packet, &transport);
	else
		transport.at = 0;
	/* By which of many ways it came here. */
	VNT_FORGET(transport.at, view->words[0]);
	VNT_FORGET(packet->flags, view->words[0]);
	VNT_FORGET(packet->proto, view->words[0]);
	vnt_parse_rest(view, packet, &transport);
}

static __always_inline void vnt_packet_parse(const struct vnt_view *view, __u32 segment,
					     struct vnt_packet *packet)
{
	static const __u32 named = VNT_ID_AUTO;

	vnt_packet_parse_as(view, segment, packet, &named);
}

#endif
