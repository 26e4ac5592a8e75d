// SPDX-License-Identifier: GPL-2.0-only
/* Stamps: written by the rules of RFC 768, 791, 6994 and 9868, which are checked here byte by byte. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "lib/packet.h"

#define ROOM 256

struct datagram {
	uint8_t bytes[ROOM]; /* from the IP header on */
	uint32_t ethertype;
	uint32_t udp;    /* where UDP starts */
	uint32_t length; /* of all */
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint32_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* IP ID 0 and always the same bytes: nothing tells two of these apart. */
static struct datagram make_datagram(uint32_t ethertype, uint32_t payload)
{
	struct datagram d = {.ethertype = ethertype,
			     .udp = ethertype == VNT_ETHERTYPE_IPV4 ? 20 : 40};

	d.length = d.udp + 8 + payload;
	memset(d.bytes + d.udp + 8, 'x', payload);
	if (ethertype == VNT_ETHERTYPE_IPV4) {
		d.bytes[0] = 0x45;
		put16(d.bytes + 2, d.length);
		d.bytes[9] = VNT_PROTO_UDP;
		d.bytes[15] = 1;
		d.bytes[19] = 2;
	} else {
		d.bytes[0] = 0x60;
		put16(d.bytes + 4, d.length - 40);
		d.bytes[6] = VNT_PROTO_UDP;
		d.bytes[23] = 1;
		d.bytes[39] = 2;
	}
	put16(d.bytes + d.udp, 4711);
	put16(d.bytes + d.udp + 2, 5001);
	put16(d.bytes + d.udp + 4, 8 + payload);
	return d;
}

static void add_trailer(struct datagram *d, uint32_t id)
{
	uint32_t trailer[3];

	vnt_stamp_trailer(trailer, d->length - d->udp, id);
	for (int i = 0; i < 3; i++)
		trailer[i] = htonl(trailer[i]);
	memcpy(d->bytes + d->length, trailer, sizeof(trailer));
	d->length += sizeof(trailer);
	if (d->ethertype == VNT_ETHERTYPE_IPV4)
		put16(d->bytes + 2, d->length);
	else
		put16(d->bytes + 4, d->length - 40);
}

static struct vnt_packet identify(const struct datagram *d)
{
	struct vnt_view view = {.ethertype = d->ethertype, .length = d->length};
	struct vnt_packet packet;
	__u32 option[2];

	view.available = d->length < VNT_HEADER_MAX ? d->length : VNT_HEADER_MAX;
	memcpy(view.header, d->bytes, view.available);
	vnt_packet_parse(&view, 0, &packet);
	if (packet.stamp_at) {
		cr_assert_leq(packet.stamp_at + sizeof(option), d->length);
		memcpy(option, d->bytes + packet.stamp_at, sizeof(option));
		vnt_packet_stamp(&packet, option);
	}
	return packet;
}

/* The Internet checksum's sum, of words that start at even places of the datagram. */
static uint32_t sum(const struct datagram *d, uint32_t from)
{
	uint32_t total = 0;

	for (uint32_t i = from; i < d->length; i++)
		total += (i - d->udp) & 1 ? d->bytes[i] : d->bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static void check_trailer(const struct datagram *d, uint32_t id)
{
	uint32_t length = get16(d->bytes + d->udp + 4), end = d->udp + length;
	const uint8_t *option = d->bytes + end + 2 + (length & 1);

	cr_assert_eq(d->length, end + 12);
	if (length & 1)
		cr_assert_eq(d->bytes[end], 0);
	cr_assert_eq(option[0], 127);
	cr_assert_eq(option[1], 8);
	cr_assert_eq(get16(option + 2), 0x564e);
	cr_assert_eq(get16(option + 4) << 16 | get16(option + 6), id);
	for (const uint8_t *at = option + 8; at < d->bytes + d->length; at++)
		cr_assert_eq(*at, 0);
	cr_assert_neq(get16(option - 2), 0, "an OCS of 0 says that there is none");
	cr_assert_eq((sum(d, end) + 12) % 0xffff, 0, "OCS of a datagram of %u", length);
}

static const uint32_t ethertypes[] = {VNT_ETHERTYPE_IPV4, VNT_ETHERTYPE_IPV6};
static const uint32_t ids[] = {0, 1, 0xffff, 0x10000, 0x12345678, 0x80000000, 0xffffffff};

#define IDS (sizeof(ids) / sizeof(ids[0]))

Test(stamp, trailers_are_options_with_a_valid_checksum)
{
	for (uint32_t id = 0; id < 0x20000; id++) { /* an OCS that would be 0 is among them */
		struct datagram d = make_datagram(VNT_ETHERTYPE_IPV4, id % 7);

		add_trailer(&d, id * 0x10001);
		check_trailer(&d, id * 0x10001);
	}
	for (size_t i = 0; i < IDS; i++) {
		struct datagram d = make_datagram(VNT_ETHERTYPE_IPV6, i);

		add_trailer(&d, ids[i]);
		check_trailer(&d, ids[i]);
	}
}

Test(stamp, equal_datagrams_are_told_apart_by_their_stamps_alone)
{
	for (size_t e = 0; e < 2; e++) {
		for (uint32_t payload = 0; payload < 180; payload++) {
			struct datagram plain = make_datagram(ethertypes[e], payload);
			struct vnt_packet bare = identify(&plain), seen[IDS];

			cr_assert_eq(bare.stamp_at, 0);
			for (size_t i = 0; i < IDS; i++) {
				struct datagram d = plain;

				add_trailer(&d, ids[i]);
				seen[i] = identify(&d);
				cr_assert_eq(seen[i].flow, bare.flow);
				cr_assert_eq(seen[i].payload, payload);
				cr_assert_eq(seen[i].length, d.length);
				cr_assert_eq(seen[i].flags, bare.flags | VNT_PACKET_STAMPED);
				cr_assert_neq(seen[i].key, bare.key);
				for (size_t j = 0; j < i; j++)
					cr_assert_neq(seen[i].key, seen[j].key);
			}
		}
	}
}

Test(stamp, what_follows_udp_and_is_no_stamp_is_none)
{
	struct datagram d = make_datagram(VNT_ETHERTYPE_IPV4, 50), other;
	struct vnt_packet bare = identify(&d), packet;

	add_trailer(&d, 1);
	for (uint32_t at = 0; at < 4; at++) {
		other = d;
		other.bytes[other.length - 10 + at] ^= 1;
		packet = identify(&other);
		cr_assert_eq(packet.flags & VNT_PACKET_STAMPED, 0);
		cr_assert_eq(packet.key, bare.key);
	}
	for (uint32_t longer = 1; longer < 20; longer++) {
		other = d;
		other.length += longer;
		put16(other.bytes + 2, other.length);
		cr_assert_eq(identify(&other).stamp_at, 0);
	}
}

Test(stamp, fragments_and_lying_lengths_have_none)
{
	struct datagram d = make_datagram(VNT_ETHERTYPE_IPV4, 50), other;

	add_trailer(&d, 1);
	other = d;
	put16(other.bytes + 6, 0x2000);
	cr_assert_eq(identify(&other).stamp_at, 0);
	for (uint32_t length = 0; length < 8; length++) { /* of UDP: less than its header */
		other = d;
		put16(other.bytes + other.udp + 4, length);
		other.length = other.udp + length + VNT_STAMP_TRAILER;
		put16(other.bytes + 2, other.length);
		cr_assert_eq(identify(&other).stamp_at, 0);
	}
	other = d;
	other.bytes[9] = VNT_PROTO_UDPLITE; /* there it is the checksum's coverage */
	cr_assert_eq(identify(&other).stamp_at, 0);
}

/* A segment with the timestamps option, and a stamp if the ID is not 0. */
static struct vnt_packet identify_segment(uint32_t sequence, uint32_t payload, uint32_t id,
					  bool timestamps)
{
	struct vnt_view view = {.ethertype = VNT_ETHERTYPE_IPV4};
	uint32_t words = 5 + (timestamps ? 3 : 0) + (id ? 2 : 0), at = 10;
	struct vnt_packet packet;

	view.words[2] = htonl(VNT_PROTO_TCP << 16);
	view.words[6] = htonl(sequence);
	view.words[8] = htonl(words << 28 | 0x100000);
	if (timestamps) {
		view.words[at] = htonl(0x0101080a);
		view.words[at + 1] = htonl(sequence / 1000);
		at += 3;
	}
	if (id) {
		view.words[at] = htonl(0xfd08564e);
		view.words[at + 1] = htonl(id);
	}
	view.length = view.available = 20 + words * 4;
	view.length += payload;
	view.words[0] = htonl(0x45u << 24 | view.length);
	vnt_packet_parse(&view, 0, &packet);
	return packet;
}

Test(stamp, a_stamped_segment_keeps_its_place_in_the_stream)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		struct vnt_packet first = identify_segment(1000, 100, 7, timestamps);
		struct vnt_packet again = identify_segment(1000, 100, 8, timestamps);
		struct vnt_packet next = identify_segment(1100, 100, 7, timestamps);

		cr_assert_eq(first.flags, VNT_PACKET_TCP_DATA | VNT_PACKET_STAMPED);
		cr_assert_eq(first.payload, 100);
		cr_assert_eq(first.key, 7ull << 32 | 1000);
		cr_assert_eq(again.key, 8ull << 32 | 1000, "a retransmission");
		cr_assert_eq(next.key, first.key + 100, "the next part of a super-packet");
		cr_assert_eq(identify_segment(1000, 100, 0, timestamps).flags, VNT_PACKET_TCP_DATA);
	}
}

Test(stamp, equal_acknowledgements_are_told_apart)
{
	struct vnt_packet first = identify_segment(1000, 0, 7, true);
	struct vnt_packet again = identify_segment(1000, 0, 8, true);
	struct vnt_packet bare = identify_segment(1000, 0, 0, true);

	cr_assert_eq(first.flags, VNT_PACKET_STAMPED);
	cr_assert_eq(bare.flags, 0);
	cr_assert_neq(first.key, again.key);
	cr_assert_neq(first.key, bare.key);
}
