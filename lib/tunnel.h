/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tunnel.h - the packet inside the packet.
 *
 * A packet is named by its innermost headers (packet.h), which is what all devices on its way see of
 * it. From a view of the outer packet this says where the carried one begins, and the caller copies a new
 * view from there: an IP header behind an Ethernet header is not on a word of the outer view. So one
 * goes on from layer to layer, until there is none or VNT_LAYERS_MAX are gone through:
 *
 *   while vnt_glance() says so        cheap, for the packets that carry nothing
 *     if !vnt_find_carried()  break
 *     if layer.framed
 *       vnt_pass_ethernet()           with a word from behind the view
 *     vnt_enter()                     and copy the header bytes from layer.offset on
 *     if !vnt_is_sound()              vnt_leave(), copy those from before again, and stop
 *
 * VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC 2784, 2890) and NVGRE (RFC 7637), IP in IP, VLAN tags
 * that are in the packet, MPLS. What lies, is cut off, or is a fragment carries nothing.
 */
#ifndef VNT_TUNNEL_H
#define VNT_TUNNEL_H

#include <stddef.h>

#include "packet.h"

#define VNT_LAYERS_MAX      6 /* tunnels, tags and labels that are gone through */
#define VNT_VXLAN_PORTS_MAX 8
#define VNT_GENEVE_PORT     6081

#define VNT_ETHERTYPE_802_2    0x0004 /* Linux: for a frame with a length in place of the type */
#define VNT_ETHERTYPE_TYPE_MIN 0x0600
#define VNT_ETHERTYPE_ETHERNET 0x6558
#define VNT_ETHERTYPE_VLAN     0x8100
#define VNT_ETHERTYPE_MPLS     0x8847
#define VNT_ETHERTYPE_MPLS_ALL 0x8848 /* RFC 5332: multicast */
#define VNT_ETHERTYPE_QINQ     0x88a8

/* Which UDP destination ports are those of a tunnel. */
struct vnt_ports {
	__u64 mask;                       /* bit `port & 63` of every one of them */
	__u16 vxlan[VNT_VXLAN_PORTS_MAX]; /* the last one repeated */
};

#define VNT_PORT_BIT(port) (1ull << ((port)&63))

/* Where the packet is that another one carries. */
struct vnt_layer {
	struct vnt_tunnel tunnel; /* all but `outer` */
	__u32 offset;             /* from the network header of what carries it */
	__u32 end;                /* of what carries it */
	__u32 ethertype;
	__u32 framed; /* there is an Ethernet header at `offset`, which is still to be passed */
	/* What vnt_enter() changed. */
	__u32 outer_ethertype;
	__u32 outer_length;
	__u32 outer_linear;
};

/* VXLAN's are these, 1 to VNT_VXLAN_PORTS_MAX; if there are none, its own and the one of old Linux. */
static inline void vnt_ports_set(struct vnt_ports *ports, const __u16 *vxlan, size_t count)
{
	static const __u16 usual[] = {4789, 8472};

	if (!count) {
		vxlan = usual;
		count = sizeof(usual) / sizeof(usual[0]);
	}
	ports->mask = VNT_PORT_BIT(VNT_GENEVE_PORT);
	for (size_t i = 0; i < VNT_VXLAN_PORTS_MAX; i++) {
		ports->vxlan[i] = vxlan[i < count ? i : count - 1];
		ports->mask |= VNT_PORT_BIT(ports->vxlan[i]);
	}
}

static __always_inline int vnt_is_tag(__u32 ethertype)
{
	return ethertype == VNT_ETHERTYPE_VLAN || ethertype == VNT_ETHERTYPE_QINQ;
}

static __always_inline int vnt_is_mpls(__u32 ethertype)
{
	return ethertype == VNT_ETHERTYPE_MPLS || ethertype == VNT_ETHERTYPE_MPLS_ALL;
}

/* Of the protocols below 64: tunnels, and IPv6 extension headers, which may precede one. */
#define VNT_CARRIERS                                                                      \
	(1ull << VNT_PROTO_HOP_BY_HOP | 1ull << VNT_PROTO_IPV4 | 1ull << VNT_PROTO_IPV6 | \
	 1ull << VNT_PROTO_ROUTING | 1ull << VNT_PROTO_FRAGMENT | 1ull << VNT_PROTO_GRE | \
	 1ull << VNT_PROTO_AH | 1ull << VNT_PROTO_DESTINATION)

/* What the first VNT_HEADER_USUAL bytes of a view say about the rest. */
enum vnt_glance {
	VNT_GLANCE_SHORT = 1,  /* vnt_packet_parse() and vnt_find_carried() look at no others */
	VNT_GLANCE_INSIDE = 2, /* vnt_find_carried() may find something */
};

/* Of TCP behind an IPv4 header without options. */
static __always_inline int vnt_has_few_options(const struct vnt_view *view)
{
	return vnt_word(view, 8) >> 28 <= VNT_HEADER_USUAL / 4 - VNT_IPV4_WORDS;
}

static __always_inline __u32 vnt_glance_proto(__u32 proto)
{
	return proto < 64 && VNT_CARRIERS >> proto & 1 ? (__u32)VNT_GLANCE_INSIDE : 0;
}

static __always_inline __u32 vnt_glance_port(const struct vnt_view *view, __u32 at,
					     const volatile struct vnt_ports *ports)
{
	return ports->mask >> (vnt_word(view, at) & 63) & 1 ? VNT_GLANCE_INSIDE : 0;
}

/* May look at garbage. */
static __always_inline __u32 vnt_glance(const struct vnt_view *view,
					const volatile struct vnt_ports *ports)
{
	__u32 ethertype = view->ethertype, proto;

	if (ethertype == VNT_ETHERTYPE_IPV4) {
		proto = vnt_word(view, 2) >> 16 & 0xff;
		if (vnt_word(view, 0) >> 24 != 0x45) /* options: the port is somewhere else */
			return proto == VNT_PROTO_UDP ? VNT_GLANCE_INSIDE : vnt_glance_proto(proto);
		if (proto == VNT_PROTO_TCP)
			return vnt_has_few_options(view) ? VNT_GLANCE_SHORT : 0;
		if (proto == VNT_PROTO_UDP)
			return VNT_GLANCE_SHORT | vnt_glance_port(view, VNT_IPV4_WORDS, ports);
		return VNT_GLANCE_SHORT | vnt_glance_proto(proto);
	}
	if (ethertype == VNT_ETHERTYPE_IPV6) {
		proto = vnt_word(view, 1) >> 8 & 0xff;
		if (proto == VNT_PROTO_UDP)
			return vnt_glance_port(view, VNT_IPV6_WORDS, ports);
		return vnt_glance_proto(proto);
	}
	if (vnt_is_tag(ethertype) || vnt_is_mpls(ethertype))
		return VNT_GLANCE_SHORT | VNT_GLANCE_INSIDE;
	return VNT_GLANCE_SHORT;
}

/* The same as vnt_glance() == VNT_GLANCE_SHORT for the most frequent packets; quick. */
static __always_inline int vnt_is_plain(const struct vnt_view *view,
					const volatile struct vnt_ports *ports)
{
	__u32 proto = vnt_word(view, 2) >> 16 & 0xff;

	if (view->ethertype != VNT_ETHERTYPE_IPV4 || vnt_word(view, 0) >> 24 != 0x45)
		return 0;
	if (proto == VNT_PROTO_UDP)
		return !vnt_glance_port(view, VNT_IPV4_WORDS, ports);
	return proto == VNT_PROTO_TCP && vnt_has_few_options(view);
}

static __always_inline int vnt_is_vxlan_port(__u32 port, const volatile struct vnt_ports *ports)
{
	VNT_UNROLL
	for (int i = 0; i < VNT_VXLAN_PORTS_MAX; i++)
		if (ports->vxlan[i] == port)
			return 1;
	return 0;
}

/* The following look at the header from word `at` on and set kind, id, offset and ethertype. At least
 * four words are there: no tunnel's header with a packet in it is shorter. */
static __always_inline int vnt_find_in_udp(const struct vnt_view *view, __u32 at,
					   const volatile struct vnt_ports *ports,
					   struct vnt_layer *layer)
{
	__u32 port = vnt_word(view, at) & 0xffff, word = vnt_word(view, at + 2);

	layer->tunnel.id = vnt_word(view, at + 3) >> 8;
	layer->offset = at * 4 + 16;
	if (vnt_is_vxlan_port(port, ports)) {
		layer->tunnel.kind = VNT_TUNNEL_VXLAN;
		layer->ethertype = VNT_ETHERTYPE_ETHERNET;
		return (word & 0x0c000000) == 0x08000000; /* it has a VNI, and is not VXLAN-GPE */
	}
	layer->tunnel.kind = VNT_TUNNEL_GENEVE;
	layer->ethertype = word & 0xffff;
	layer->offset += (word >> 24 & 0x3f) * 4;
	return port == VNT_GENEVE_PORT && word >> 30 == 0;
}

static __always_inline int vnt_find_in_gre(const struct vnt_view *view, __u32 at,
					   struct vnt_layer *layer)
{
	__u32 word = vnt_word(view, at);
	__u32 next = at + 1 + (word >> 31); /* behind the checksum */

	layer->tunnel.kind = VNT_TUNNEL_GRE;
	layer->tunnel.id = 0;
	if (word & 0x20000000)
		layer->tunnel.id = vnt_word(view, next++);
	if (word & 0x10000000)
		next++;
	layer->offset = next * 4;
	layer->ethertype = word & 0xffff;
	return !(word & 0x40070000); /* source routing, or PPTP's version */
}

static __always_inline int vnt_find_in_ip(__u32 at, __u32 ethertype, struct vnt_layer *layer)
{
	layer->tunnel.kind = VNT_TUNNEL_IP;
	layer->tunnel.id = 0;
	layer->offset = at * 4;
	layer->ethertype = ethertype;
	return 1;
}

/* What tunnels can carry here. Not GRE's keep-alives, WCCP and the like. */
static __always_inline int vnt_is_carried(__u32 ethertype)
{
	return ethertype == VNT_ETHERTYPE_IPV4 || ethertype == VNT_ETHERTYPE_IPV6 ||
	       ethertype == VNT_ETHERTYPE_ETHERNET || vnt_is_tag(ethertype) ||
	       vnt_is_mpls(ethertype);
}

static __always_inline int vnt_find_in_transport(const struct vnt_view *view, __u32 proto, __u32 at,
						 const volatile struct vnt_ports *ports,
						 struct vnt_layer *layer)
{
	int found = 0;

	if (!vnt_reaches(view, at + 4))
		return 0;
	if (proto == VNT_PROTO_UDP)
		found = vnt_find_in_udp(view, at, ports, layer);
	else if (proto == VNT_PROTO_GRE)
		found = vnt_find_in_gre(view, at, layer);
	else if (proto == VNT_PROTO_IPV4)
		found = vnt_find_in_ip(at, VNT_ETHERTYPE_IPV4, layer);
	else if (proto == VNT_PROTO_IPV6)
		found = vnt_find_in_ip(at, VNT_ETHERTYPE_IPV6, layer);
	layer->framed = layer->ethertype == VNT_ETHERTYPE_ETHERNET;
	return found && vnt_is_carried(layer->ethertype);
}

static __always_inline int vnt_find_in_ipv4(const struct vnt_view *view,
					    const volatile struct vnt_ports *ports,
					    struct vnt_layer *layer)
{
	__u32 word = vnt_word(view, 0), at = word >> 24 & 0xf;

	if (!vnt_reaches(view, VNT_IPV4_WORDS) || at < VNT_IPV4_WORDS ||
	    vnt_word(view, 1) & 0x3fff) /* a fragment */
		return 0;
	layer->end = word & 0xffff;
	vnt_copy_words(layer->tunnel.saddr, view, 3, 1);
	vnt_copy_words(layer->tunnel.daddr, view, 4, 1);
	return vnt_find_in_transport(view, vnt_word(view, 2) >> 16 & 0xff, at, ports, layer);
}

static __always_inline int vnt_find_in_ipv6(const struct vnt_view *view,
					    const volatile struct vnt_ports *ports,
					    struct vnt_layer *layer)
{
	__u32 word = vnt_word(view, 1), proto = word >> 8 & 0xff, at = VNT_IPV6_WORDS;

	if (!vnt_reaches(view, VNT_IPV6_WORDS))
		return 0;
	layer->end = word >> 16 ? (word >> 16) + VNT_IPV6_WORDS * 4 : 0;
	vnt_copy_words(layer->tunnel.saddr, view, 2, 4);
	vnt_copy_words(layer->tunnel.daddr, view, 6, 4);
	for (int i = 0; i < VNT_EXTENSIONS_MAX; i++) {
		if (!vnt_is_extension(proto) || proto == VNT_PROTO_FRAGMENT ||
		    !vnt_reaches(view, at + 2))
			break;
		word = vnt_word(view, at);
		at += vnt_extension_words(proto, word);
		proto = word >> 24;
	}
	return vnt_find_in_transport(view, proto, at, ports, layer);
}

/* In place of a type it may be a length. */
static __always_inline __u32 vnt_type_of_frame(__u32 type)
{
	return type < VNT_ETHERTYPE_TYPE_MIN ? VNT_ETHERTYPE_802_2 : type;
}

#define VNT_ETHERNET_BYTES 14
#define VNT_ETHERNET_REACH \
	16 /* bytes of an Ethernet header on, up to the end of the word of its type */

/* `word` is the one of the type. */
static __always_inline void vnt_pass_ethernet(struct vnt_layer *layer, __u32 word)
{
	layer->ethertype = vnt_type_of_frame(word >> 16);
	layer->offset += VNT_ETHERNET_BYTES;
	layer->framed = 0;
}

static __always_inline int vnt_find_in_tag(const struct vnt_view *view, struct vnt_layer *layer)
{
	__u32 word = vnt_word(view, 0);

	layer->tunnel.kind = VNT_TUNNEL_VLAN;
	layer->tunnel.id = word >> 16 & 0xfff;
	layer->offset = 4;
	layer->ethertype = vnt_type_of_frame(word & 0xffff);
	return vnt_reaches(view, 1);
}

static __always_inline int vnt_find_in_mpls(const struct vnt_view *view, struct vnt_layer *layer)
{
	__u32 word = vnt_word(view, 0), version = vnt_word(view, 1) >> 28;

	layer->tunnel.kind = VNT_TUNNEL_MPLS;
	layer->tunnel.id = word >> 12;
	layer->offset = 4;
	if (!(word & 0x100)) /* not the last label */
		layer->ethertype = view->ethertype;
	else
		layer->ethertype = version == 4 ? VNT_ETHERTYPE_IPV4 : VNT_ETHERTYPE_IPV6;
	return vnt_reaches(view, 2) && (!(word & 0x100) || version == 4 || version == 6);
}

/* Whether the packet of the view carries another one; *layer says which. */
static __always_inline int vnt_find_carried(const struct vnt_view *view,
					    const volatile struct vnt_ports *ports,
					    struct vnt_layer *layer)
{
	int found;

	__builtin_memset(layer, 0, sizeof(*layer));
	layer->tunnel.ethertype = view->ethertype;
	if (view->ethertype == VNT_ETHERTYPE_IPV4)
		found = vnt_find_in_ipv4(view, ports, layer);
	else if (view->ethertype == VNT_ETHERTYPE_IPV6)
		found = vnt_find_in_ipv6(view, ports, layer);
	else if (vnt_is_tag(view->ethertype))
		found = vnt_find_in_tag(view, layer);
	else
		found = vnt_find_in_mpls(view, layer);
	/* Mostly it lies in the part of the view that is always copied. */
	if (found && layer->framed && layer->offset + VNT_ETHERNET_REACH <= VNT_HEADER_USUAL &&
	    layer->offset + VNT_ETHERNET_REACH <= view->available)
		vnt_pass_ethernet(layer, vnt_word(view, layer->offset / 4 + 3));
	return found;
}

static __always_inline void vnt_set_extent(struct vnt_view *view, __u32 ethertype, __u32 length,
					   __u32 linear)
{
	view->ethertype = ethertype;
	view->length = length;
	view->linear = linear;
	view->available = linear < VNT_HEADER_MAX ? linear : VNT_HEADER_MAX;
}

static __always_inline void vnt_forget_extent(struct vnt_view *view)
{
	VNT_FORGET(view->ethertype, view->words[0]);
	VNT_FORGET(view->length, view->words[0]);
	VNT_FORGET(view->linear, view->words[0]);
	VNT_FORGET(view->available, view->words[0]);
}

/* The view is that of the carried packet from here on, but for its header bytes. */
static __always_inline void vnt_enter(struct vnt_view *view, struct vnt_layer *layer)
{
	__u32 length = view->length, linear = view->linear, offset = layer->offset;

	layer->outer_ethertype = view->ethertype;
	layer->outer_length = length;
	layer->outer_linear = linear;
	if (layer->end && layer->end < length) /* the rest is padding of the link layer */
		length = layer->end;
	if (linear > length)
		linear = length;
	vnt_set_extent(view, layer->ethertype, length > offset ? length - offset : 0,
		       linear > offset ? linear - offset : 0);
	vnt_forget_extent(view);
}

static __always_inline void vnt_leave(struct vnt_view *view, const struct vnt_layer *layer)
{
	vnt_set_extent(view, layer->outer_ethertype, layer->outer_length, layer->outer_linear);
}

/* Bytes that must be there of a packet that is carried. */
static __always_inline __u32 vnt_least(__u32 ethertype)
{
	if (ethertype == VNT_ETHERTYPE_IPV4)
		return VNT_IPV4_WORDS * 4;
	return ethertype == VNT_ETHERTYPE_IPV6 ? VNT_IPV6_WORDS * 4 : 4;
}

/* Whether the view, just entered and copied, is one of what its EtherType says. */
static __always_inline int vnt_is_sound(const struct vnt_view *view)
{
	__u32 first = vnt_word(view, 0) >> 24;

	if (view->available < vnt_least(view->ethertype))
		return 0;
	if (view->ethertype == VNT_ETHERTYPE_IPV4)
		return first >= 0x45 && first <= 0x4f;
	return view->ethertype != VNT_ETHERTYPE_IPV6 || first >> 4 == 6;
}

/* Flags of a packet that is not looked into, because the first `bytes` of the view are not there: no
 * fault of its own if they are somewhere else than in reach. */
static __always_inline __u16 vnt_out_of_reach(const struct vnt_view *view, __u32 bytes)
{
	return view->linear < bytes && view->linear < view->length ? VNT_PACKET_SHORT : 0;
}

/* Names the tunnel and all that are around it; never 0. */
static __always_inline __u64 vnt_tunnel_hash(const struct vnt_tunnel *tunnel)
{
	__u64 hash = vnt_mix(tunnel->outer, (__u64)tunnel->id << 32 | (__u64)tunnel->kind << 16 |
						    tunnel->ethertype);
	__u64 saddr[2], daddr[2];

	__builtin_memcpy(saddr, tunnel->saddr, sizeof(saddr));
	__builtin_memcpy(daddr, tunnel->daddr, sizeof(daddr));
	hash = vnt_mix(hash, saddr[0] << 32 | (__u32)daddr[0]);
	if (tunnel->ethertype == VNT_ETHERTYPE_IPV6) {
		hash = vnt_mix(hash, saddr[0]);
		hash = vnt_mix(hash, saddr[1]);
		hash = vnt_mix(hash, daddr[0]);
		hash = vnt_mix(hash, daddr[1]);
	}
	return hash ? hash : 1;
}

#endif
