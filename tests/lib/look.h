/* SPDX-License-Identifier: GPL-2.0-only */
/* look.h - what a probe does with a packet (bpf/probes.bpf.c), on one in user space. */
#ifndef TESTS_LOOK_H
#define TESTS_LOOK_H

#include <stdbool.h>
#include <string.h>

#include "lib/tunnel.h"

struct look {
	struct vnt_view view; /* of the innermost packet */
	struct vnt_packet packet;
	struct vnt_tunnel tunnels[VNT_LAYERS_MAX]; /* from the outside in */
	size_t ntunnels;
	__u64 outer;
	size_t offset; /* of the innermost packet */
	bool unread;   /* there may be a stamp, out of reach: it is no event */
	__u8 garbage;  /* what is behind the bytes in reach */
	__u32 reach;   /* of a filter */
	__u32 segment; /* of a super-packet */
};

/* As for a kernel with bpf_rdonly_cast(): only what somebody will look at. */
static inline __u32 look_copy(struct look *look, const __u8 *bytes, const struct vnt_ports *ports)
{
	struct vnt_view *view = &look->view;
	__u32 glance;

	memset(view->header, look->garbage, sizeof(view->header));
	memcpy(view->header, bytes + look->offset, view->available);
	glance = vnt_is_plain(view, ports) ? VNT_GLANCE_SHORT : vnt_glance(view, ports);
	if (glance & VNT_GLANCE_SHORT && look->reach <= VNT_HEADER_USUAL)
		memset(view->header + VNT_HEADER_USUAL, 0, VNT_HEADER_MAX - VNT_HEADER_USUAL);
	return glance;
}

static inline __u32 look_type(const __u8 *ethernet)
{
	__u32 word;

	memcpy(&word, ethernet + 12, sizeof(word));
	return vnt_ntohl(word);
}

/* `bytes` are the packet's of the view. */
static inline void look_stamp(struct look *look, const __u8 *bytes)
{
	__u32 at = look->packet.stamp_at, option[VNT_STAMP_BYTES / 4];

	look->unread = at && at + VNT_STAMP_BYTES > look->view.linear;
	if (!at || look->unread)
		return;
	memcpy(option, bytes + at, sizeof(option));
	vnt_packet_stamp(&look->packet, option);
}

/* `linear` of `size` bytes are in reach. Sets all of *look but garbage, reach and segment. */
static inline void look_at(struct look *look, const __u8 *bytes, __u32 linear, __u32 size,
			   __u32 ethertype, const struct vnt_ports *ports)
{
	struct vnt_view *view = &look->view;
	struct vnt_layer layer;
	__u16 flags = 0;
	__u32 glance;

	*look = (struct look){
		.garbage = look->garbage, .reach = look->reach, .segment = look->segment};
	vnt_set_extent(view, ethertype, size, linear);
	glance = look_copy(look, bytes, ports);
	while (look->ntunnels < VNT_LAYERS_MAX && glance & VNT_GLANCE_INSIDE &&
	       vnt_find_carried(view, ports, &layer)) {
		if (layer.framed) {
			flags |= vnt_out_of_reach(view, layer.offset + VNT_ETHERNET_REACH);
			if (view->linear < layer.offset + VNT_ETHERNET_REACH)
				break;
			vnt_pass_ethernet(&layer, look_type(bytes + look->offset + layer.offset));
		}
		vnt_enter(view, &layer);
		look->offset += layer.offset;
		glance = look_copy(look, bytes, ports);
		if (!vnt_is_sound(view)) {
			flags |= vnt_out_of_reach(view, vnt_least(view->ethertype));
			look->offset -= layer.offset;
			vnt_leave(view, &layer);
			look_copy(look, bytes, ports);
			break;
		}
		layer.tunnel.outer = look->outer;
		look->outer = vnt_tunnel_hash(&layer.tunnel);
		look->tunnels[look->ntunnels++] = layer.tunnel;
	}
	vnt_packet_parse(view, look->segment, &look->packet);
	look_stamp(look, bytes + look->offset);
	look->packet.flags |= flags;
}

#endif
