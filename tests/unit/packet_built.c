// SPDX-License-Identifier: GPL-2.0-only
/* One packet that is several elsewhere has the ID of the first of them. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/packet.h"

/* A packet that was built here: IPv4 or IPv6, then the transport header and payload. */
struct built {
	struct vnt_view view;
	__u32 at; /* of the transport header */
};

static void put16(struct built *built, __u32 at, __u32 value)
{
	built->view.header[at] = value >> 8;
	built->view.header[at + 1] = value;
}

static void set_length(struct built *built, __u32 rest)
{
	bool four = built->view.ethertype == VNT_ETHERTYPE_IPV4;

	put16(built, four ? 2 : 4, four ? 20 + rest : built->at - 40 + rest);
	built->view.length = built->at + rest;
	built->view.available = built->view.length < VNT_HEADER_MAX ? built->view.length
								    : VNT_HEADER_MAX;
}

/* `rest` bytes of the protocol. */
static struct built build(__u32 ethertype, __u8 proto, __u32 rest)
{
	bool four = ethertype == VNT_ETHERTYPE_IPV4;
	struct built built = {.view.ethertype = ethertype, .at = four ? 20 : 40};

	for (__u32 i = 0; i < VNT_HEADER_MAX; i++)
		built.view.header[i] = 3 * i + 1;
	built.view.header[0] = four ? 0x45 : 0x60;
	built.view.header[four ? 9 : 6] = proto;
	if (four)
		put16(&built, 6, 0);
	if (proto == VNT_PROTO_UDP)
		put16(&built, built.at + 4, rest);
	if (proto == VNT_PROTO_TCP)
		put16(&built, built.at + 12, 0x5010);
	set_length(&built, rest);
	return built;
}

/* Its first fragment, with `rest` bytes. */
static struct built first_fragment(struct built whole, __u32 rest)
{
	__u8 *header = whole.view.header;

	if (whole.view.ethertype == VNT_ETHERTYPE_IPV4) {
		put16(&whole, 6, 0x2000);
	} else {
		memmove(header + 48, header + 40, VNT_HEADER_MAX - 48);
		memcpy(header + 40, (const __u8[]){header[6], 0, 0, 1, 9, 8, 7, 6}, 8);
		header[6] = VNT_PROTO_FRAGMENT;
		whole.at = 48;
	}
	set_length(&whole, rest);
	return whole;
}

static struct vnt_packet parse(const struct built *built, __u32 segment)
{
	struct vnt_packet packet;

	vnt_packet_parse(&built->view, segment, &packet);
	return packet;
}

Test(packet, a_first_fragment_is_its_datagram)
{
	static const __u8 protos[] = {VNT_PROTO_UDP, VNT_PROTO_ICMP, VNT_PROTO_ICMPV6,
				      VNT_PROTO_TCP, VNT_PROTO_SCTP};
	static const __u32 ethertypes[] = {VNT_ETHERTYPE_IPV4, VNT_ETHERTYPE_IPV6};

	for (size_t i = 0; i < 2 * sizeof(protos); i++) {
		struct built built = build(ethertypes[i % 2], protos[i / 2], 4000), other = built;
		struct built fragment = first_fragment(built, 1200);
		struct vnt_packet whole = parse(&built, 0), first = parse(&fragment, 0);

		cr_assert_eq(first.flow, whole.flow, "protocol %d", protos[i / 2]);
		cr_assert_eq(first.key, whole.key, "protocol %d", protos[i / 2]);
		cr_assert_eq(first.id, whole.id);
		cr_assert_eq(first.flags, whole.flags | VNT_PACKET_FRAGMENT);
		cr_assert_lt(first.length, whole.length);
		other.view.header[other.at +
				  5]++; /* UDP: another length; else its ID or sequence number */
		cr_assert_neq(parse(&other, 0).key, whole.key, "protocol %d", protos[i / 2]);
	}
}

Test(packet, a_super_packet_is_its_first_segment)
{
	static const __u32 ethertypes[] = {VNT_ETHERTYPE_IPV4, VNT_ETHERTYPE_IPV6};

	for (size_t i = 0; i < 2; i++) {
		for (__u32 size = 1; size < 1400; size = size * 3 / 2 + 1) {
			struct built super = build(ethertypes[i], VNT_PROTO_UDP, 8 + 9 * size);
			struct built first = build(ethertypes[i], VNT_PROTO_UDP, 8 + size);
			struct vnt_packet whole = parse(&super, size), part = parse(&first, 0);

			cr_assert_eq(whole.flow, part.flow);
			cr_assert_eq(whole.key, part.key, "segments of %u bytes", size);
			cr_assert_eq(whole.payload, part.payload);
			cr_assert_eq(whole.length, part.length);
			cr_assert_neq(parse(&super, 0).key, part.key);
			first.view.header[first.at + 8]++;
			cr_assert_neq(parse(&first, 0).key, whole.key);
			cr_assert_eq(parse(&first, 9000).key, parse(&first, 0).key, "one segment");
		}
	}
}
