// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet IDs of real packets. tests/data/routed-{before,after}.pcap are the two sides of one router:
 * ping, TCP and UDP over IPv4 and IPv6, with fragments, ARP and neighbour discovery.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pcap/pcap.h>
#include <string.h>

#include "lib/packet.h"
#include "lib/tuple.h"

#define ETHERNET    14
#define MAX_PACKETS 256

struct sample {
	struct vnt_view view;
	struct vnt_view plain; /* with all that a router may rewrite set to zero */
	struct vnt_packet packet;
};

struct capture {
	struct sample samples[MAX_PACKETS];
	size_t count;
};

static struct capture before, after;

/* What a router changes, by the RFCs and not by what packet.h leaves out. */
static void clear_rewritten(struct vnt_view *view)
{
	if (view->ethertype == VNT_ETHERTYPE_IPV4) {
		view->header[8] = 0;                     /* TTL */
		view->header[10] = view->header[11] = 0; /* checksum */
	} else if (view->ethertype == VNT_ETHERTYPE_IPV6) {
		view->header[7] = 0; /* hop limit */
	}
}

static void make_view(struct vnt_view *view, const unsigned char *frame, size_t captured,
		      size_t length)
{
	memset(view, 0, sizeof(*view));
	view->available = captured - ETHERNET;
	if (view->available > VNT_HEADER_MAX)
		view->available = VNT_HEADER_MAX;
	memcpy(view->header, frame + ETHERNET, view->available);
	view->length = length - ETHERNET;
	view->ethertype = frame[12] << 8 | frame[13];
}

static void load(struct capture *capture, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const unsigned char *frame;

	cr_assert_not_null(pcap, "%s", error);
	while (pcap_next_ex(pcap, &header, &frame) == 1) {
		struct sample *sample = &capture->samples[capture->count++];

		cr_assert(capture->count <= MAX_PACKETS);
		make_view(&sample->view, frame, header->caplen, header->len);
		sample->plain = sample->view;
		clear_rewritten(&sample->plain);
		vnt_packet_parse(&sample->view, 0, &sample->packet);
	}
	pcap_close(pcap);
}

static void load_both(void)
{
	load(&before, TEST_DATA "/routed-before.pcap");
	load(&after, TEST_DATA "/routed-after.pcap");
	cr_assert(before.count > 100 && after.count > 100);
}

static bool same_id(const struct sample *a, const struct sample *b)
{
	return a->packet.flow == b->packet.flow && a->packet.key == b->packet.key;
}

static bool same_packet(const struct sample *a, const struct sample *b)
{
	return memcmp(&a->plain, &b->plain, sizeof(a->plain)) == 0;
}

TestSuite(packet, .init = load_both);

Test(packet, id_is_the_same_on_both_sides_of_a_router_and_different_between_packets)
{
	size_t pairs = 0;

	for (size_t i = 0; i < before.count; i++) {
		for (size_t j = 0; j < after.count; j++) {
			bool same = same_packet(&before.samples[i], &after.samples[j]);

			cr_assert_eq(same_id(&before.samples[i], &after.samples[j]), same,
				     "packets %zu and %zu", i, j);
			pairs += same;
		}
	}
	cr_assert(pairs > 100, "only %zu pairs", pairs);
}

Test(packet, no_two_packets_of_a_capture_share_an_id)
{
	for (size_t i = 0; i < before.count; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_eq(same_id(&before.samples[i], &before.samples[j]),
				     same_packet(&before.samples[i], &before.samples[j]),
				     "packets %zu and %zu", i, j);
}

Test(packet, flow_hash_is_equal_exactly_for_equal_tuples)
{
	for (size_t i = 0; i < before.count; i++) {
		for (size_t j = 0; j < i; j++) {
			struct vnt_flow a, b;

			vnt_packet_flow(&before.samples[i].view, &before.samples[i].packet, &a);
			vnt_packet_flow(&before.samples[j].view, &before.samples[j].packet, &b);
			cr_assert_eq(before.samples[i].packet.flow == before.samples[j].packet.flow,
				     memcmp(&a, &b, sizeof(a)) == 0, "packets %zu and %zu", i, j);
		}
	}
}

Test(packet, flow_hash_is_that_of_its_tuple)
{
	size_t hashed = 0;

	for (size_t i = 0; i < before.count; i++) {
		const struct sample *sample = &before.samples[i];
		struct vnt_flow flow;

		vnt_packet_flow(&sample->view, &sample->packet, &flow);
		if (flow.ethertype == VNT_ETHERTYPE_ARP)
			continue;
		cr_assert_eq(vnt_flow_hash(&flow), sample->packet.flow, "packet %zu", i);
		hashed++;
	}
	cr_assert(hashed > 100);
}

/* Word of the transport header behind an IPv4 header of 20 bytes. */
static void set_word(struct vnt_view *view, int word, uint32_t value)
{
	view->words[5 + word] = htonl(value);
}

static void make_message(struct vnt_view *view, uint8_t proto, uint32_t address)
{
	*view = (struct vnt_view){.ethertype = VNT_ETHERTYPE_IPV4};
	view->available = view->linear = view->length = 60;
	view->words[0] = htonl(0x45000000 | 60);
	view->words[1] = htonl(0x12340000);
	view->words[2] = htonl(64u << 24 | (uint32_t)proto << 16);
	view->words[3] = htonl(address);
	view->words[4] = htonl(0x0a000201);
	for (int i = 0; i < 10; i++)
		set_word(view, i, 0x01010101u * (i + 1));
}

/* What a translation rewrites, as words of the transport header. */
static const struct {
	uint8_t proto;
	uint32_t type;         /* first byte of the first word, where it matters */
	uint32_t rewritten[3]; /* bits of each word */
} translated[] = {
	{VNT_PROTO_TCP, 0, {0xffffffff}},
	{VNT_PROTO_UDP, 0, {0xffffffff, 0xffff}},
	{VNT_PROTO_UDPLITE, 0, {0xffffffff, 0xffff}},
	{VNT_PROTO_SCTP, 0, {0xffffffff, 0, 0xffffffff}},
	{VNT_PROTO_ICMP, 8, {0xffff, 0xffff0000}},
	{VNT_PROTO_ICMP, 0, {0xffff, 0xffff0000}},
	{VNT_PROTO_ICMP, 13, {0xffff, 0xffff0000}},
};

Test(packet, translation_changes_the_flow_and_not_the_key)
{
	for (size_t i = 0; i < sizeof(translated) / sizeof(translated[0]); i++) {
		struct vnt_packet packets[2];
		struct vnt_view view;

		for (int after = 0; after < 2; after++) {
			make_message(&view, translated[i].proto, 0x0a000101 + after);
			if (translated[i].proto == VNT_PROTO_ICMP)
				set_word(&view, 0, translated[i].type << 24);
			if (translated[i].proto == VNT_PROTO_TCP)
				set_word(&view, 3, 0x50100100);
			for (int word = 0; after && word < 3; word++)
				view.words[5 + word] ^= htonl(translated[i].rewritten[word]);
			vnt_packet_parse(&view, 0, &packets[after]);
		}
		cr_assert_neq(packets[0].flow, packets[1].flow, "row %zu", i);
		cr_assert_eq(packets[0].key, packets[1].key, "row %zu", i);
	}
}

Test(packet, only_who_asks_has_an_identifier)
{
	const struct {
		uint8_t proto;
		uint8_t type;
		bool asks;
	} rows[] = {
		{VNT_PROTO_ICMP, 0, true},     {VNT_PROTO_ICMP, 3, false},
		{VNT_PROTO_ICMP, 8, true},     {VNT_PROTO_ICMP, 11, false},
		{VNT_PROTO_ICMP, 18, true},    {VNT_PROTO_ICMP, 19, false},
		{VNT_PROTO_ICMP, 40, false},   {VNT_PROTO_ICMPV6, 1, false},
		{VNT_PROTO_ICMPV6, 8, false},  {VNT_PROTO_ICMPV6, 128, true},
		{VNT_PROTO_ICMPV6, 129, true}, {VNT_PROTO_ICMPV6, 135, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vnt_packet a, b;
		struct vnt_view view;

		make_message(&view, rows[i].proto, 0x0a000101);
		set_word(&view, 0, (uint32_t)rows[i].type << 24);
		vnt_packet_parse(&view, 0, &a);
		set_word(&view, 1, 0x99990202);
		vnt_packet_parse(&view, 0, &b);
		cr_assert_eq(a.flow != b.flow, rows[i].asks, "row %zu", i);
		cr_assert_eq(a.key == b.key, rows[i].asks, "row %zu", i);
		cr_assert_eq(b.ports, rows[i].asks ? 0x99990000 : 0, "row %zu", i);
	}
}

/* A key that has to do without the flow is one of all that the header says of the packet. */
Test(packet, key_alone_names_tcp_data)
{
	const int words[] = {1, 2, 3}; /* sequence, acknowledgement, window */
	const uint32_t named = VNT_ID_PAYLOAD;
	struct vnt_packet whole, other;
	struct vnt_view view;

	make_message(&view, VNT_PROTO_TCP, 0x0a000101);
	set_word(&view, 3, 0x50100100);
	vnt_packet_parse_as(&view, 0, &whole, &named);
	cr_assert_eq(whole.flags, 0);
	cr_assert_eq(whole.payload, 20);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct vnt_view changed = view;

		changed.words[5 + words[i]] ^= htonl(1);
		vnt_packet_parse_as(&changed, 0, &other, &named);
		cr_assert_neq(whole.key, other.key, "word %d", words[i]);
	}
	view.words[3] = htonl(0x0a000909);
	set_word(&view, 0, 0x1234abcd);
	set_word(&view, 5, 0x99999999); /* payload: not everywhere in reach */
	vnt_packet_parse_as(&view, 0, &other, &named);
	cr_assert_eq(whole.key, other.key);
	cr_assert_neq(whole.flow, other.flow);
}

/* What lies behind the available bytes is not the packet's. */
Test(packet, garbage_behind_the_available_bytes_changes_nothing)
{
	for (size_t i = 0; i < before.count; i++) {
		for (__u32 cut = 0; cut <= before.samples[i].view.available; cut++) {
			struct vnt_view view = before.samples[i].view, garbage;
			struct vnt_packet a, b;

			view.available = cut;
			memset(view.header + cut, 0, VNT_HEADER_MAX - cut);
			garbage = view;
			memset(garbage.header + cut, 0xa5, VNT_HEADER_MAX - cut);
			vnt_packet_parse(&view, 0, &a);
			vnt_packet_parse(&garbage, 0, &b);
			cr_assert(memcmp(&a, &b, sizeof(a)) == 0, "packet %zu cut at %u", i, cut);
		}
	}
}

Test(packet, tcp_data_is_named_by_its_first_byte)
{
	size_t segments = 0;

	for (size_t i = 0; i < before.count; i++) {
		const struct vnt_packet *packet = &before.samples[i].packet;

		if (packet->proto != VNT_PROTO_TCP || !(packet->flags & VNT_PACKET_TCP_DATA))
			continue;
		cr_assert(packet->payload > 0);
		for (size_t j = 0; j < before.count; j++) { /* the segment that follows, if any */
			const struct vnt_packet *next = &before.samples[j].packet;

			if (next->flow == packet->flow && next->flags & VNT_PACKET_TCP_DATA &&
			    (__u32)next->key == (__u32)packet->key + packet->payload)
				segments++;
		}
	}
	cr_assert(segments >= 10, "only %zu segments follow another one", segments);
}

static bool is_later_fragment(const struct vnt_view *view)
{
	if (view->ethertype == VNT_ETHERTYPE_IPV4)
		return view->header[6] & 0x1f || view->header[7];
	return view->header[6] == VNT_PROTO_FRAGMENT &&
	       (view->header[42] || view->header[43] & 0xf8);
}

/* Of IPv4 the key says which one it is, unless it has to name it on its own. */
static void check_later(const struct vnt_view *view, const struct vnt_packet *packet)
{
	static const __u32 named = VNT_ID_PAYLOAD;
	struct vnt_packet alone;

	vnt_packet_parse_as(view, 0, &alone, &named);
	cr_assert(!(alone.flags & VNT_PACKET_LATER));
	cr_assert_eq(!(packet->flags & VNT_PACKET_LATER), view->ethertype != VNT_ETHERTYPE_IPV4);
	if (!(packet->flags & VNT_PACKET_LATER))
		return;
	cr_assert_neq(packet->key, alone.key);
	cr_assert_eq((__u32)packet->key, vnt_word(view, 1) & 0xffff3fff);
	cr_assert_eq(packet->payload, packet->length - 20);
}

Test(packet, fragments_have_a_flow_without_ports_but_for_the_first)
{
	size_t first = 0, later = 0;

	for (size_t i = 0; i < before.count; i++) {
		const struct vnt_packet *packet = &before.samples[i].packet;

		if (!(packet->flags & VNT_PACKET_FRAGMENT))
			continue;
		if (is_later_fragment(&before.samples[i].view)) {
			cr_assert_eq(packet->ports, 0);
			check_later(&before.samples[i].view, packet);
			later++;
		} else {
			cr_assert_neq(packet->ports, 0); /* of ICMP echo, its identifier */
			first++;
		}
	}
	cr_assert(first >= 4 && later >= 4, "only %zu and %zu fragments", first, later);
}

Test(packet, lengths_are_those_of_the_headers)
{
	for (size_t i = 0; i < before.count; i++) {
		const struct sample *sample = &before.samples[i];

		if (sample->packet.proto == VNT_PROTO_UDP && sample->packet.ports &&
		    !(sample->packet.flags & VNT_PACKET_FRAGMENT))
			cr_assert_eq(
				sample->packet.payload,
				sample->packet.length -
					(sample->view.ethertype == VNT_ETHERTYPE_IPV4 ? 28 : 48));
		if (sample->view.ethertype != VNT_ETHERTYPE_ARP)
			cr_assert(sample->packet.length <= sample->view.length);
	}
}

Test(packet, link_layer_padding_changes_nothing)
{
	struct vnt_view view = {.ethertype = VNT_ETHERTYPE_ARP, .available = 28, .length = 28};
	struct vnt_view padded;
	struct vnt_packet a, b;

	for (int i = 0; i < 28; i++)
		view.header[i] = i;
	padded = view;
	padded.available = padded.length = 46;
	vnt_packet_parse(&view, 0, &a);
	vnt_packet_parse(&padded, 0, &b);
	cr_assert_eq(a.flow, b.flow);
	cr_assert_eq(a.key, b.key);
}

Test(packet, arp_flow_is_sender_and_target)
{
	struct vnt_view view = {.ethertype = VNT_ETHERTYPE_ARP, .available = 28, .length = 28};
	struct vnt_packet a, b;
	struct vnt_flow flow;

	for (int i = 0; i < 28; i++)
		view.header[i] = i;
	vnt_packet_parse(&view, 0, &a);
	vnt_packet_flow(&view, &a, &flow);
	cr_assert(memcmp(flow.saddr, view.header + 14, 4) == 0);
	cr_assert(memcmp(flow.daddr, view.header + 24, 4) == 0);
	view.header[15]++;
	vnt_packet_parse(&view, 0, &b);
	cr_assert_neq(a.flow, b.flow);
}
