/* SPDX-License-Identifier: GPL-2.0-only */
/* layers.bpf.h - the header bytes of a packet, and the way to those of the innermost packet in it. */
#ifndef VNT_LAYERS_BPF_H
#define VNT_LAYERS_BPF_H

#include <stdbool.h>
#include "announce.bpf.h"
#include "kernel.h"
#include "memory.bpf.h"
#include "lib/tunnel.h"

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

const volatile __u32 filter_reach = VNT_HEADER_MAX; /* bytes that the filter may look at */
const volatile struct vnt_ports ports = {0};        /* lib/tunnel.h */

static __always_inline void copy_words(struct vnt_view *view, int first,
				       const struct rtnl_link_stats64 *memory)
{
	VNT_UNROLL
	for (int i = first; i < first + VNT_HEADER_USUAL / 8; i++)
		view->long_words[i] = memory->words[i];
}

static __always_inline void clear_words(struct vnt_view *view, int first)
{
	VNT_UNROLL
	for (int i = first; i < VNT_HEADER_MAX / 8; i++)
		view->long_words[i] = 0;
}

/*
 * Copies the header bytes: by plain loads where the kernel lets us call any memory one of its types
 * (`direct`, Linux 6.2), a third cheaper than by the helper, and only as many as somebody will look
 * at. May read on behind the packet: what follows the linear data in its allocation (struct
 * skb_shared_info) is longer, and garbage is allowed. Returns what they look like (vnt_glance()).
 */
static __always_inline __u32 copy_header(struct vnt_view *view, __u64 network, bool direct)
{
	const struct rtnl_link_stats64 *memory;
	__u32 glance;

	if (!direct) {
		if (bpf_probe_read_kernel(view->header, sizeof(view->header),
					  (const void *)network))
			view->available = 0;
		return vnt_glance(view, &ports);
	}
	memory = any_memory(network);
	copy_words(view, 0, memory);
	if (LIKELY(vnt_is_plain(view, &ports)) && filter_reach <= VNT_HEADER_USUAL) {
		clear_words(view, VNT_HEADER_USUAL / 8);
		return 0;
	}
	glance = vnt_glance(view, &ports);
	if (filter_reach > VNT_HEADER_USUAL || !(glance & VNT_GLANCE_SHORT))
		copy_words(view, VNT_HEADER_USUAL / 8, memory);
	else
		clear_words(view, VNT_HEADER_USUAL / 8);
	return glance;
}

/* The word of an Ethernet header that its type is in. */
static __always_inline __u32 read_type(__u64 ethernet, bool direct)
{
	union {
		__u64 long_word;
		__u32 words[2];
	} bytes = {0};

	if (direct)
		bytes.long_word = any_memory(ethernet)->words[1];
	else
		bpf_probe_read_kernel(&bytes, sizeof(bytes), (const void *)(ethernet + 8));
	return vnt_ntohl(bytes.words[1]);
}

/* The outermost packet, and what was found behind its headers. */
struct around {
	__u64 inner;   /* address of the network header of the innermost packet */
	__u64 network; /* address of its own */
	__u64 outer;   /* hash of the innermost tunnel, 0 if there is none */
	__u32 ethertype;
	__u32 length;
	__u32 linear;
	__u16 flags; /* of the event: VNT_PACKET_SHORT */
	__u16 found; /* 0: it carries nothing, and all else here but `inner` is garbage */
};

/* From the packet of the view, the innermost one so far, to the one it carries, if it does. *glance becomes
 * what the header of that one looks like. */
static __always_inline bool enter(struct vnt_view *view, struct vnt_layer *layer, __u32 *glance,
				  struct around *around, bool direct)
{
	if (!vnt_find_carried(view, &ports, layer))
		return false;
	if (layer->framed) {
		around->flags |= vnt_out_of_reach(view, layer->offset + VNT_ETHERNET_REACH);
		if (view->linear < layer->offset + VNT_ETHERNET_REACH)
			return false;
		vnt_pass_ethernet(layer, read_type(around->inner + layer->offset, direct));
	}
	vnt_enter(view, layer);
	*glance = copy_header(view, around->inner + layer->offset, direct);
	if (vnt_is_sound(view))
		return true;
	around->flags |= vnt_out_of_reach(view, vnt_least(view->ethertype));
	vnt_leave(view, layer);
	copy_header(view, around->inner, direct);
	return false;
}

/* Makes the view that of the packet it carries, and tells user space of the tunnel, or not. Returns whether that
 * may carry another one. */
static __always_inline int unwrap_one(struct vnt_view *view, struct around *around, int announce,
				      bool direct)
{
	struct vnt_layer layer;
	__u32 glance;

	if (!view || !around || !enter(view, &layer, &glance, around, direct))
		return 0;
	around->inner += layer.offset;
	layer.tunnel.outer = around->outer;
	around->outer = vnt_tunnel_hash(&layer.tunnel);
	if (announce)
		announce_tunnel(bpf_get_smp_processor_id(), around->outer, &layer.tunnel);
	return glance & VNT_GLANCE_INSIDE;
}

/* Global, so that the verifier looks at it once, and not for each packet in a packet. */
__noinline int unwrap_one_direct(struct vnt_view *view, struct around *around, int announce)
{
	return unwrap_one(view, around, announce, true);
}

__noinline int unwrap_one_portable(struct vnt_view *view, struct around *around, int announce)
{
	return unwrap_one(view, around, announce, false);
}

/* Makes the view that of the innermost packet. */
static __always_inline int unwrap(struct vnt_view *view, struct around *around, int announce,
				  bool direct)
{
	if (!view || !around)
		return 0;
	around->inner = around->network;
	around->outer = 0;
	around->flags = 0;
	vnt_set_extent(view, around->ethertype, around->length, around->linear);
	if (announce || vnt_is_tag(view->ethertype)) /* else it is there already */
		copy_header(view, around->inner, direct);
	for (int i = 0; i < VNT_LAYERS_MAX; i++)
		if (!(direct ? unwrap_one_direct(view, around, announce)
			     : unwrap_one_portable(view, around, announce)))
			break;
	return 0;
}

__noinline int unwrap_direct(struct vnt_view *view, struct around *around, int announce)
{
	return unwrap(view, around, announce, true);
}

__noinline int unwrap_portable(struct vnt_view *view, struct around *around, int announce)
{
	return unwrap(view, around, announce, false);
}

static __always_inline void call_unwrap(struct vnt_view *view, struct around *around, int announce,
					bool direct)
{
	if (direct)
		unwrap_direct(view, around, announce);
	else
		unwrap_portable(view, around, announce);
}

#endif
