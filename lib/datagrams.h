/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * datagrams.h - a super-packet of UDP (GSO, GRO): on a ring one record, from there on as many events.
 *
 * The first slot is the event of the first datagram. What the others do not have in common with it follows,
 * VNT_SLOT_WORDS 64-bit words to a slot:
 *
 *   word 0  bytes of payload of all | VNT_DATAGRAMS_NUMBERED
 *   word k  what vnt_datagram_key() makes the key of the k-th of, counted from 0
 *
 * There may be more slots than that takes. The IP ID counts up from datagram to datagram where a super-packet
 * is cut, but what a receiver put together may have had any: that of all but the first is a guess, and the
 * event's `segment` says so.
 */
#ifndef VNT_DATAGRAMS_H
#define VNT_DATAGRAMS_H

#include "packet.h"
#include "ring.h"

#define VNT_DATAGRAMS_MAX 128 /* in a super-packet; Linux goes as far */
#define VNT_SLOT_WORDS    (VNT_SLOT_BYTES / 8)

#define VNT_DATAGRAMS_NUMBERED (1ull << 32) /* they have IP IDs: it is IPv4 */

/* Of a super-packet of `length` bytes from the network header on; a few more with IP options. `segment` is
 * not 0. */
static __always_inline __u32 vnt_datagrams(__u32 ethertype, __u32 length, __u32 segment)
{
	__u32 headers = ethertype == VNT_ETHERTYPE_IPV6 ? 48 : 28;

	return length > headers ? (length - headers + segment - 1) / segment : 1;
}

/* That follow the first. */
static __always_inline __u32 vnt_datagrams_slots(__u32 datagrams)
{
	return (datagrams + VNT_SLOT_WORDS - 1) / VNT_SLOT_WORDS;
}

/* The digest of one with `payload` bytes, which begin the view. */
static __always_inline __u64 vnt_datagram_digest(const struct vnt_view *view, __u32 payload)
{
	return vnt_digest_bytes(view, 0, payload < VNT_DIGEST_MAX ? payload : VNT_DIGEST_MAX,
				vnt_digest_seed(0, payload + 8));
}

#ifndef __bpf__
/*
 * False if the record has no datagram `index`, from 0 on, else sets *event to that of it. `first` is the event
 * in the record, and the words are numbers 0 and `index` of it.
 */
static inline int vnt_datagram_event(const struct vnt_event *first, __u32 index, __u64 all,
				     __u64 word, struct vnt_event *event)
{
	__u32 payload = all, segment = first->segment, before = index * segment;

	*event = *first;
	event->segment = 0;
	if (!index)
		return 1;
	if (index >= VNT_DATAGRAMS_MAX || before >= payload)
		return 0;
	event->payload = payload - before < segment ? payload - before : segment;
	event->length = first->length - first->payload + event->payload;
	if (all & VNT_DATAGRAMS_NUMBERED) {
		event->id = first->id + index;
		event->segment = segment;
	}
	event->key = vnt_datagram_key(word, event->id);
	return 1;
}
#endif

#endif
