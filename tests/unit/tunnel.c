// SPDX-License-Identifier: GPL-2.0-only
/* Packets in tunnels: the ID is that of the packet inside, or of the tunnel's, never a third one. */
#include <criterion/criterion.h>

#include "tests/lib/layers.h"
#include "tests/lib/look.h"

#define INNERS 4

static struct vnt_ports ports;

static void set_up(void)
{
	vnt_ports_set(&ports, NULL, 0);
}

TestSuite(tunnel, .init = set_up);

static void make_inner(struct layers *p, int which, __u8 number)
{
	layers_payload(p, number, 40 + which);
	if (which % 2)
		layers_udp(p, 40000, 5001);
	else
		layers_tcp(p, number);
	if (which / 2)
		layers_ipv6(p, which % 2 ? VNT_PROTO_UDP : VNT_PROTO_TCP, 9);
	else
		layers_ipv4(p, which % 2 ? VNT_PROTO_UDP : VNT_PROTO_TCP, 9);
}

static void in_vxlan(struct layers *p)
{
	layers_vxlan(p, 0x123456);
	layers_udp(p, 50000, 4789);
	layers_ipv4(p, VNT_PROTO_UDP, 1);
}

static void in_vxlan6(struct layers *p)
{
	layers_vxlan(p, 42);
	layers_udp(p, 50000, 8472);
	layers_ipv6(p, VNT_PROTO_UDP, 1);
}

static void in_geneve(struct layers *p)
{
	layers_geneve(p, 7, 0);
	layers_udp(p, 50000, VNT_GENEVE_PORT);
	layers_ipv4(p, VNT_PROTO_UDP, 1);
}

static void in_geneve_with_options(struct layers *p)
{
	layers_ethernet(p);
	layers_geneve(p, 7, 63);
	layers_udp(p, 50000, VNT_GENEVE_PORT);
	layers_ipv6(p, VNT_PROTO_UDP, 1);
}

static void in_gre(struct layers *p)
{
	layers_gre(p, 0, 0);
	layers_ipv4(p, VNT_PROTO_GRE, 1);
}

static void in_full_gre(struct layers *p)
{
	layers_ethernet(p);
	layers_gre(p, 0xb0, 0x99887766);
	layers_ipv6(p, VNT_PROTO_GRE, 1);
}

static void in_nvgre(struct layers *p)
{
	layers_ethernet(p);
	layers_gre(p, 0x20, 0x00123405);
	layers_ipv4(p, VNT_PROTO_GRE, 1);
}

static void in_ipv4(struct layers *p)
{
	layers_ipv4(p, layers_proto(p), 1);
}

/* As Linux does: with an encapsulation limit. */
static void in_ipv6(struct layers *p)
{
	const __u8 limit[8] = {layers_proto(p), 0, 4, 1, 4, 1, 1, 0};

	layers_push(p, limit, sizeof(limit));
	layers_ipv6(p, VNT_PROTO_DESTINATION, 1);
}

static void in_vlan(struct layers *p)
{
	layers_tag(p, VNT_ETHERTYPE_VLAN, 100);
}

static void in_qinq(struct layers *p)
{
	layers_tag(p, VNT_ETHERTYPE_VLAN, 100);
	layers_tag(p, VNT_ETHERTYPE_QINQ, 200);
}

static void in_label(struct layers *p)
{
	layers_mpls(p, 16);
}

static void in_mpls(struct layers *p)
{
	layers_mpls(p, 0x54321);
	layers_mpls(p, 16);
}

static const struct wrap {
	void (*wrap)(struct layers *p);
	size_t tunnels;
	struct vnt_tunnel last; /* kind and id */
	bool framed;            /* is only found where an EtherType says so */
	bool carries_ip;        /* and nothing else */
} wraps[] = {
	{in_vxlan, 1, {.kind = VNT_TUNNEL_VXLAN, .id = 0x123456}, false},
	{in_vxlan6, 1, {.kind = VNT_TUNNEL_VXLAN, .id = 42}, false},
	{in_geneve, 1, {.kind = VNT_TUNNEL_GENEVE, .id = 7}, false},
	{in_geneve_with_options, 1, {.kind = VNT_TUNNEL_GENEVE, .id = 7}, false},
	{in_gre, 1, {.kind = VNT_TUNNEL_GRE}, false},
	{in_full_gre, 1, {.kind = VNT_TUNNEL_GRE, .id = 0x99887766}, false},
	{in_nvgre, 1, {.kind = VNT_TUNNEL_GRE, .id = 0x00123405}, false},
	{in_ipv4, 1, {.kind = VNT_TUNNEL_IP}, false, true},
	{in_ipv6, 1, {.kind = VNT_TUNNEL_IP}, false, true},
	{in_vlan, 1, {.kind = VNT_TUNNEL_VLAN, .id = 100}, true},
	{in_qinq, 2, {.kind = VNT_TUNNEL_VLAN, .id = 100}, true},
	{in_mpls, 2, {.kind = VNT_TUNNEL_MPLS, .id = 0x54321}, true, true},
};

#define WRAPS (sizeof(wraps) / sizeof(wraps[0]))

static void look(struct look *look, const struct layers *p)
{
	*look = (struct look){.garbage = 0xa5};
	look_at(look, p->bytes + p->at, p->size, p->size, p->ethertype, &ports);
}

static bool same_packet(const struct look *a, const struct look *b)
{
	return memcmp(&a->packet, &b->packet, sizeof(a->packet)) == 0 &&
	       a->view.ethertype == b->view.ethertype && a->view.length == b->view.length;
}

Test(tunnel, the_packet_inside_is_the_same)
{
	for (int inner = 0; inner < INNERS; inner++) {
		for (size_t i = 0; i < WRAPS; i++) {
			struct look bare, wrapped;
			struct layers p;

			make_inner(&p, inner, 1);
			look(&bare, &p);
			cr_assert_eq(bare.outer, 0);
			wraps[i].wrap(&p);
			look(&wrapped, &p);
			cr_assert(same_packet(&bare, &wrapped), "%d in %zu", inner, i);
			cr_assert_eq(wrapped.ntunnels, wraps[i].tunnels);
			cr_assert_eq(wrapped.tunnels[wraps[i].tunnels - 1].kind,
				     wraps[i].last.kind);
			cr_assert_eq(wrapped.tunnels[wraps[i].tunnels - 1].id, wraps[i].last.id);
			cr_assert_neq(wrapped.outer, 0);
		}
	}
}

Test(tunnel, tunnels_in_tunnels)
{
	for (size_t inside = 0; inside < WRAPS; inside++) {
		for (size_t outside = 0; outside < WRAPS; outside++) {
			struct look bare, once, twice;
			struct layers p;

			if (wraps[inside].framed && wraps[outside].carries_ip)
				continue;
			make_inner(&p, 1, 1);
			look(&bare, &p);
			wraps[inside].wrap(&p);
			look(&once, &p);
			wraps[outside].wrap(&p);
			look(&twice, &p);
			cr_assert(same_packet(&bare, &twice), "%zu in %zu", inside, outside);
			cr_assert_eq(twice.ntunnels,
				     wraps[inside].tunnels + wraps[outside].tunnels);
			cr_assert_neq(once.outer, twice.outer);
			cr_assert_eq(twice.tunnels[wraps[outside].tunnels].outer,
				     vnt_tunnel_hash(&twice.tunnels[wraps[outside].tunnels - 1]));
		}
	}
}

Test(tunnel, end_points_are_those_of_the_outer_header)
{
	static const __u8 from[16] = {10, 1, 0, 1}, to[16] = {10, 1, 0, 2};
	struct look seen, again;
	struct layers p;

	make_inner(&p, 1, 1);
	in_vxlan(&p);
	look(&seen, &p);
	cr_assert_eq(seen.tunnels[0].ethertype, VNT_ETHERTYPE_IPV4);
	cr_assert(memcmp(seen.tunnels[0].saddr, from, 16) == 0);
	cr_assert(memcmp(seen.tunnels[0].daddr, to, 16) == 0);
	/* Another packet, and another source port: the same tunnel. */
	make_inner(&p, 2, 2);
	layers_vxlan(&p, 0x123456);
	layers_udp(&p, 50001, 4789);
	layers_ipv4(&p, VNT_PROTO_UDP, 1);
	look(&again, &p);
	cr_assert_eq(again.outer, seen.outer);
	p.bytes[p.at + 15]++;
	look(&again, &p);
	cr_assert_neq(again.outer, seen.outer);
}

static void refuse(const char *what, struct layers *p)
{
	struct look seen;

	look(&seen, p);
	cr_assert_eq(seen.ntunnels, 0, "%s", what);
	cr_assert_eq(seen.offset, 0, "%s", what);
	cr_assert(!(seen.packet.flags & VNT_PACKET_SHORT), "%s", what);
}

/* A byte that makes it something else. */
Test(tunnel, what_is_no_tunnel)
{
	static const struct {
		const char *what;
		void (*wrap)(struct layers *p);
		size_t at;
		__u8 byte;
	} lies[] = {
		{"VXLAN without a VNI", in_vxlan, 28, 0},
		{"VXLAN-GPE", in_vxlan, 28, 0x0c},
		{"another port", in_vxlan, 23, 0xb6},
		{"first fragment", in_vxlan, 6, 0x20},
		{"last fragment", in_vxlan, 7, 1},
		{"header length", in_vxlan, 0, 0x44},
		{"nothing inside", in_vxlan, 3, 28},
		{"inner header cut off", in_vxlan, 3, 69},
		{"Geneve version", in_geneve, 28, 0x40},
		{"Geneve protocol", in_geneve, 30, 0x88},
		{"options beyond the end", in_geneve, 28, 0x3f},
		{"PPTP", in_gre, 21, 1},
		{"source routing", in_gre, 20, 0x40},
		{"keep-alive", in_gre, 22, 0},
		{"inner version", in_ipv4, 20, 0x65},
		{"inner header length", in_ipv4, 20, 0x44},
		{"ESP", in_ipv4, 9, 50},
		{"an IPv6 fragment", in_ipv6, 6, VNT_PROTO_FRAGMENT},
		{"behind the last label no IP", in_label, 4, 0x05},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct layers p;

		make_inner(&p, 1, 1);
		lies[i].wrap(&p);
		p.bytes[p.at + lies[i].at] = lies[i].byte;
		refuse(lies[i].what, &p);
	}
}

Test(tunnel, ports_are_those_given)
{
	static const __u16 given[] = {4790, 1, 65535};
	struct look seen;
	struct layers p;

	vnt_ports_set(&ports, given, 3);
	make_inner(&p, 1, 1);
	in_vxlan(&p);
	refuse("the usual port", &p);
	for (size_t i = 0; i < 3; i++) {
		make_inner(&p, 1, 1);
		layers_vxlan(&p, 5);
		layers_udp(&p, 50000, given[i]);
		layers_ipv4(&p, VNT_PROTO_UDP, 1);
		look(&seen, &p);
		cr_assert_eq(seen.ntunnels, 1, "port %u", given[i]);
	}
}

Test(tunnel, padding_of_the_link_layer_is_not_inside)
{
	struct look bare, padded;
	struct layers p;

	make_inner(&p, 1, 1);
	look(&bare, &p);
	in_vxlan(&p);
	padded.garbage = 0;
	look_at(&padded, p.bytes + p.at - 10, p.size + 10, p.size + 10, 0, &ports);
	memmove(p.bytes + p.at - 10, p.bytes + p.at, p.size);
	look_at(&padded, p.bytes + p.at - 10, p.size + 10, p.size + 10, VNT_ETHERTYPE_IPV4, &ports);
	cr_assert(same_packet(&bare, &padded));
}

Test(tunnel, not_deeper_than_the_limit)
{
	struct look seen;
	struct layers p;

	make_inner(&p, 1, 1);
	for (int i = 0; i < VNT_LAYERS_MAX + 3; i++)
		in_ipv4(&p);
	look(&seen, &p);
	cr_assert_eq(seen.ntunnels, VNT_LAYERS_MAX);
	cr_assert_eq(seen.packet.proto, VNT_PROTO_IPV4);
}

/* What is not in reach: the packet goes by what is outside, says so, and garbage changes nothing. */
static void cut(const struct layers *p, __u32 linear, const struct look *bare)
{
	struct look seen = {.garbage = 0xa5}, other = {.garbage = 0x45};

	look_at(&seen, p->bytes + p->at, linear, p->size, p->ethertype, &ports);
	look_at(&other, p->bytes + p->at, linear, p->size, p->ethertype, &ports);
	cr_assert(memcmp(&seen.packet, &other.packet, sizeof(seen.packet)) == 0, "%u", linear);
	cr_assert_eq(seen.outer, other.outer);
	if (seen.offset != p->size - bare->view.length) {
		cr_assert(seen.packet.flags & VNT_PACKET_SHORT, "%u", linear);
		cr_assert(seen.packet.flow != bare->packet.flow ||
			  seen.packet.key != bare->packet.key);
	} else if (!(seen.packet.flags & VNT_PACKET_SHORT)) {
		cr_assert_eq(seen.packet.key, bare->packet.key);
		cr_assert_eq(seen.packet.flow, bare->packet.flow);
	}
}

Test(tunnel, out_of_reach)
{
	for (int inner = 0; inner < INNERS; inner++) {
		for (size_t i = 0; i < WRAPS; i++) {
			struct look bare;
			struct layers p;

			make_inner(&p, inner, 1);
			look(&bare, &p);
			wraps[i].wrap(&p);
			for (size_t linear = 0; linear < p.size; linear++)
				cut(&p, linear, &bare);
		}
	}
}

Test(tunnel, plain_packets_are_seen_as_such_at_a_glance)
{
	for (int inner = 0; inner < INNERS; inner++) {
		struct look bare;
		struct layers p;

		make_inner(&p, inner, 1);
		look(&bare, &p);
		cr_assert_eq(vnt_is_plain(&bare.view, &ports), inner < 2);
		cr_assert(!(vnt_glance(&bare.view, &ports) & VNT_GLANCE_INSIDE));
	}
}
