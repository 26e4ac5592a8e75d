/* SPDX-License-Identifier: GPL-2.0-only */
/* datagrams.bpf.h - payload of UDP that is in pages: what names a datagram, and those of a super-packet. */
#ifndef VNT_DATAGRAMS_BPF_H
#define VNT_DATAGRAMS_BPF_H

#include <stdbool.h>
#include "announce.bpf.h"
#include "kernel.h"
#include "lib/datagrams.h"

const volatile bool reads_pages = false; /* this kernel lets read_pages() read */

/* Of the header: of IPv6 that of the first extension, if there are any. */
static __always_inline __u8 protocol_of(const struct vnt_view *view)
{
	return view->header[view->ethertype == VNT_ETHERTYPE_IPV6 ? 6 : 9];
}

/* Whether some of the payload that a UDP packet is named by is in pages: in what UDP_SEGMENT is to cut, and
 * what it was cut into. Behind an extension header there may be one. */
static __always_inline bool is_paged(const struct vnt_view *view)
{
	__u8 protocol = protocol_of(view);

	return view->linear < view->length &&
	       (protocol == VNT_PROTO_UDP || vnt_is_extension(protocol));
}

/* Appends to the view as much from there as a digest may lack. `offset` is where the view begins. Not inline:
 * the stack of its callers is full. */
static __noinline int read_pages(struct __sk_buff *context, struct vnt_view *view, __u32 offset)
{
	__u32 at = view->available, bytes = view->length - at;
	struct bpf_dynptr dynptr;

	if (!reads_pages || at > VNT_HEADER_MAX - VNT_DIGEST_MAX)
		return 0;
	if (bytes > VNT_DIGEST_MAX)
		bytes = VNT_DIGEST_MAX;
	if (!bpf_dynptr_from_skb(context, 0, &dynptr) &&
	    !bpf_dynptr_read(view->header + at, bytes, &dynptr, offset + at, 0))
		view->available = at + bytes;
	return 0;
}

/* What is left to do of a super-packet. Takes the place of its view, which is of no more use by then: the
 * stack is full. */
union datagrams {
	struct vnt_view view;
	struct {
		__u8 bytes[VNT_DIGEST_MAX]; /* the first of one's payload */
		__u64 position;             /* in the ring, of what follows the event */
	};
};

static __always_inline void put_word(const union datagrams *all, __u32 index, __u64 word)
{
	__u32 number = index % VNT_SLOT_WORDS, cpu = bpf_get_smp_processor_id();
	__u32 at = vnt_slot_index(cpu, ring_slots, all->position + index / VNT_SLOT_WORDS);
	struct vnt_slot *slot = bpf_map_lookup_elem(&slots, &at);

	barrier_var(number); /* else the verifier is not shown that it is small */
	if (slot && number < VNT_SLOT_WORDS)
		slot->words[number] = word;
}

/* Global, so that the verifier looks at it once, and not for each of them. */
__noinline int put_datagram(union datagrams *all, __u32 index, __u32 payload)
{
	if (all)
		put_word(all, index, vnt_datagram_digest(&all->view, payload));
	return 0;
}

/*
 * What follows the event of the first datagram, from that position on. `offset` is where the view begins. Returns
 * whether the payload of all could be read: not if the headers tell of other datagrams than there is room for.
 */
static __noinline int put_datagrams(struct __sk_buff *context, union datagrams *all,
				    const struct vnt_slot *slot, __u32 offset, __u64 position)
{
	const struct vnt_event *first = &slot->event;
	__u32 room = slot->follow * VNT_SLOT_WORDS;
	__u32 headers = first->length - first->payload, rest = all->view.length - headers;
	__u32 at = offset + headers + first->payload;
	struct bpf_dynptr dynptr;

	if (first->payload != first->segment || !reads_pages ||
	    bpf_dynptr_from_skb(context, 0, &dynptr))
		return 0;
	all->position = position;
	put_word(all, 0,
		 all->view.ethertype == VNT_ETHERTYPE_IPV4 ? rest | VNT_DATAGRAMS_NUMBERED : rest);
	for (__u32 i = 1; i < VNT_DATAGRAMS_MAX; i++) {
		__u32 payload = first->payload, bytes;

		if (rest <= payload)
			return 1;
		if (i >= room)
			return 0;
		rest -= payload;
		if (payload > rest)
			payload = rest;
		bytes = payload < VNT_DIGEST_MAX ? payload : VNT_DIGEST_MAX;
		if (bpf_dynptr_read(all->bytes, bytes, &dynptr, at, 0))
			return 0;
		put_datagram(all, i, payload);
		at += payload;
	}
	return rest <= first->payload;
}

#endif
