// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of the record of a super-packet: each datagram as a probe has it that sees it on its own. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/datagrams.h"

#define PAYLOAD_MAX 1000

struct super {
	struct vnt_view view;
	__u8 payload[PAYLOAD_MAX];
	__u32 bytes;
	__u32 segment;
};

static void put16(__u8 *at, __u32 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* `bytes` of payload from `from` on, in one packet. */
static struct vnt_view cut(const struct super *super, __u32 from, __u32 bytes)
{
	bool four = super->view.ethertype == VNT_ETHERTYPE_IPV4;
	struct vnt_view view = super->view;
	__u32 headers = four ? 28 : 48;

	put16(view.header + (four ? 2 : 4), four ? headers + bytes : bytes + 8);
	if (four)
		put16(view.header + 4, 65534 + from / super->segment);
	put16(view.header + headers - 4, bytes + 8);
	view.length = view.linear = headers + bytes;
	view.available = view.length < VNT_HEADER_MAX ? view.length : VNT_HEADER_MAX;
	memcpy(view.header + headers, super->payload + from, view.available - headers);
	return view;
}

static struct vnt_packet parse(const struct super *super, __u32 from, __u32 bytes, __u32 segment)
{
	const struct vnt_view view = cut(super, from, bytes);
	struct vnt_packet packet;

	vnt_packet_parse(&view, segment, &packet);
	return packet;
}

static struct super make(__u32 ethertype, __u32 bytes, __u32 segment)
{
	struct super super = {.view.ethertype = ethertype, .bytes = bytes, .segment = segment};
	bool four = ethertype == VNT_ETHERTYPE_IPV4;

	for (__u32 i = 0; i < VNT_HEADER_MAX; i++)
		super.view.header[i] = 5 * i + 1;
	for (__u32 i = 0; i < bytes; i++)
		super.payload[i] = i * i / 7;
	super.view.header[0] = four ? 0x45 : 0x60;
	super.view.header[four ? 9 : 6] = VNT_PROTO_UDP;
	if (four)
		put16(super.view.header + 6, 0);
	return super;
}

static __u64 word(const struct super *super, __u32 index, __u32 payload)
{
	struct vnt_view view;

	memset(&view, 0xaa, sizeof(view));
	memcpy(view.header, super->payload + index * super->segment,
	       payload < VNT_DIGEST_MAX ? payload : VNT_DIGEST_MAX);
	return vnt_datagram_digest(&view, payload);
}

/* Returns how many it is. */
static __u32 check(const struct super *super)
{
	struct vnt_packet packet = parse(super, 0, super->bytes, super->segment);
	bool four = super->view.ethertype == VNT_ETHERTYPE_IPV4;
	struct vnt_event event, first = {
					.time_ns = 5,
					.flow = packet.flow,
					.key = packet.key,
					.length = packet.length,
					.payload = packet.payload,
					.segment = super->segment,
					.id = packet.id,
				};
	__u64 all = super->bytes | (four ? VNT_DATAGRAMS_NUMBERED : 0);
	__u32 from = 0, i;

	for (i = 0; from < super->bytes; i++, from += super->segment) {
		__u32 rest = super->bytes - from;
		__u32 bytes = rest < super->segment ? rest : super->segment;
		struct vnt_packet alone = parse(super, from, bytes, 0);

		cr_assert(vnt_datagram_event(&first, i, all, word(super, i, bytes), &event));
		cr_assert_eq(event.key, alone.key, "%u of %u bytes", i, bytes);
		cr_assert_eq(event.flow, alone.flow);
		cr_assert(event.length == alone.length && event.payload == alone.payload);
		cr_assert_eq(event.id, alone.id);
		cr_assert_eq(event.segment, i && four ? super->segment : 0);
		cr_assert_eq(event.time_ns, 5);
	}
	cr_assert_not(vnt_datagram_event(&first, i, all, 0, &event));
	return i;
}

Test(datagrams, each_has_the_id_that_it_has_on_its_own)
{
	for (__u32 segment = 9; segment < 400; segment = segment * 3 / 2) {
		for (__u32 bytes = segment + 1; bytes < PAYLOAD_MAX; bytes += segment / 3) {
			struct super four = make(VNT_ETHERTYPE_IPV4, bytes, segment);
			struct super six = make(VNT_ETHERTYPE_IPV6, bytes, segment);
			__u32 count = (bytes + segment - 1) / segment;

			cr_assert_eq(check(&four), count);
			cr_assert_eq(check(&six), count);
			cr_assert_eq(vnt_datagrams(VNT_ETHERTYPE_IPV4, 28 + bytes, segment), count);
			cr_assert_eq(vnt_datagrams(VNT_ETHERTYPE_IPV6, 48 + bytes, segment), count);
			cr_assert_geq(vnt_datagrams_slots(count) * VNT_SLOT_WORDS, count);
		}
	}
}

Test(datagrams, a_record_that_is_no_sound_one_is_no_more_than_it_may_be)
{
	const struct vnt_event first = {.payload = 1, .length = 29, .segment = 1};
	struct vnt_event event;

	cr_assert(vnt_datagram_event(&first, VNT_DATAGRAMS_MAX - 1, ~0ull, 0, &event));
	cr_assert_not(vnt_datagram_event(&first, VNT_DATAGRAMS_MAX, ~0ull, 0, &event));
	cr_assert_eq(vnt_datagrams(VNT_ETHERTYPE_IPV4, 3, 1), 1);
}
