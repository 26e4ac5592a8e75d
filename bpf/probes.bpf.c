// SPDX-License-Identifier: GPL-2.0-only
/*
 * probes.bpf.c - the programs that observe packets.
 *
 * Every attach point is a shim that says which device and direction it stands for and where the
 * network header is; the rest is the same everywhere, in this order: is it a device we were asked for,
 * does the filter match, is there room, what time is it, which packet is it. What is known late is
 * looked up late: reading the clock waits for all that was begun before.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "announce.bpf.h"
#include "datagrams.bpf.h"
#include "kernel.h"
#include "layers.bpf.h"
#include "shared.h"
#include "lib/devtable.h"
#include "lib/sample.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 count_stride = 1;      /* lib/layout.h */
const volatile __u32 named = VNT_ID_AUTO;   /* enum vnt_id */
const volatile bool sampling = false;       /* what follows may be less than all */
__u32 threshold = VNT_SAMPLE_ALL;           /* lib/sample.h */
const volatile __u64 device_multiplier = 1; /* lib/devtable.h */
const volatile __u32 device_shift = 63;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct vnt_device_entry);
	__uint(max_entries, 1);
} devices SEC(".maps");

/* Per CPU and probe. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct vnt_count);
	__uint(max_entries, 1);
} counts SEC(".maps");

static __always_inline struct vnt_count *find_count(__u32 cpu, __u32 probe)
{
	__u32 index = vnt_count_index(cpu, count_stride, probe);

	return bpf_map_lookup_elem(&counts, &index);
}

static __always_inline void count_dropped(__u32 cpu, __u32 probe, __u32 packets)
{
	struct vnt_count *count = find_count(cpu, probe);

	if (count)
		__sync_fetch_and_add(&count->dropped, packets);
}

static __always_inline void count_unread(__u32 cpu, __u32 probe, __u32 packets)
{
	struct vnt_count *count = find_count(cpu, probe);

	if (count)
		__sync_fetch_and_add(&count->unread, packets);
}

static __always_inline void count_sampled(__u32 cpu, __u32 probe, __u32 length)
{
	struct vnt_count *count = find_count(cpu, probe);

	if (!count)
		return;
	__sync_fetch_and_add(&count->sampled, 1);
	__sync_fetch_and_add(&count->sampled_bytes, length);
}

static __always_inline void record_around(__u32 cpu, struct vnt_view *view, struct around *around,
					  struct vnt_slot *slot, bool direct)
{
	slot->event.flags |= around->flags;
	slot->event.outer = around->outer;
	if (around->outer && find_untold(cpu, around->outer))
		call_unwrap(view, around, true, direct);
}

static __always_inline const struct skb_shared_info *shared_info(struct sk_buff *skb, bool direct)
{
	const void *address = skb->head + skb->end;

	if (!direct)
		return address;
	return bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct skb_shared_info));
}

/* struct vnt_event says what, here of packets of the given types only. The kernel has looked at this line just
 * before. */
static __always_inline __u16 read_segment(struct sk_buff *skb, unsigned int types, bool direct)
{
	const struct skb_shared_info *shared = shared_info(skb, direct);
	unsigned short size = 0;
	unsigned int type = 0;

	if (direct)
		size = shared->gso_size;
	else
		bpf_core_read(&size, sizeof(size), &shared->gso_size);
	if (LIKELY(!size))
		return 0;
	if (direct)
		type = shared->gso_type;
	else
		bpf_core_read(&type, sizeof(type), &shared->gso_type);
	return type & types ? size : 0;
}

/* How many events it is: a super-packet of UDP is all of its datagrams, see lib/datagrams.h. */
static __always_inline __u32 count_events(struct sk_buff *skb, const struct vnt_view *view,
					  __u32 segment, bool direct)
{
	if (LIKELY(!segment) || !read_segment(skb, SKB_GSO_UDP_L4, direct))
		return 1;
	return vnt_datagrams(view->ethertype, view->length, segment);
}

/* False if the packet may have a stamp that is out of reach: its ID is not known. What is read of it takes
 * the end of the view: the stack is full, and after the ID only addresses are looked up there. */
static __always_inline bool identify(struct vnt_view *view, const struct around *around,
				     __u32 segment, struct vnt_packet *packet, bool usual)
{
	__u32 *option = &view->words[(VNT_HEADER_MAX - VNT_STAMP_BYTES) / 4];

	if (usual)
		vnt_packet_parse_usual(view, segment, packet, &named);
	else
		vnt_packet_parse_as(view, segment, packet, &named);
	if (LIKELY(!packet->stamp_at))
		return true;
	if (packet->stamp_at + VNT_STAMP_BYTES > view->linear ||
	    bpf_probe_read_kernel(option, VNT_STAMP_BYTES,
				  (const void *)(around->inner + packet->stamp_at)))
		return false;
	vnt_packet_stamp(packet, option);
	return true;
}

/* What the event says of the packet itself; user space is told of its flow before it can read that. False if
 * its ID is not known. */
static __always_inline bool fill(struct vnt_slot *slot, struct vnt_view *view,
				 const struct around *around, bool usual)
{
	struct vnt_packet packet;
	bool known = identify(view, around, slot->event.segment, &packet, usual);

	announce_flow(slot->event.cpu, view, &packet);
	slot->event.flow = packet.flow;
	slot->event.key = packet.key;
	slot->event.length = packet.length;
	slot->event.payload = packet.payload;
	slot->event.flags = packet.flags;
	slot->event.id = packet.id;
	return known;
}

/* Global, so that the verifier goes through the parser once, and not on each of the ways that lead here: there
 * are too many. */
__noinline int fill_apart(struct vnt_slot *slot, struct vnt_view *view, struct around *around)
{
	if (!slot || !view || !around)
		return 0;
	return fill(slot, view, around, false);
}

/* Whether it is one of the sample; counts it if not. */
__noinline int sample_apart(struct vnt_view *view, struct around *around, __u32 segment,
			    __u32 probe)
{
	struct vnt_packet packet;

	if (!view || !around)
		return 0;
	identify(view, around, segment, &packet, false);
	if (vnt_sample_level(named == VNT_ID_PAYLOAD ? 0 : packet.flow, packet.key, packet.payload,
			     packet.flags) <= threshold)
		return 1;
	count_sampled(bpf_get_smp_processor_id(), probe, packet.length);
	return 0;
}

/* `leaves`: this host may have translated it (nat.bpf.h). */
static __always_inline void record(struct sk_buff *skb, struct __sk_buff *context,
				   struct vnt_view *view, __u16 probe, struct around *around,
				   bool leaves, bool direct)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u32 segment = read_segment(skb, SKB_GSO_CUT, direct);
	__u32 events = count_events(skb, view, segment, direct);
	__u32 follow = LIKELY(events == 1) ? 0 : vnt_datagrams_slots(events);
	struct vnt_slot *slot;
	__u64 position;
	bool known;

	if (direct) {
		if (UNLIKELY(is_paged(view)))
			read_pages(context, view, around->inner - (__u64)skb->data);
		VNT_FORGET(view->available, view->words[0]);
	}
	if (sampling && !follow && /* else each of them is sampled later */
	    !sample_apart(view, around, segment, probe))
		return;
	slot = reserve(cpu, 1 + follow, &position);
	if (!slot) {
		count_dropped(cpu, probe, events);
		return;
	}
	slot->event.time_ns = bpf_ktime_get_ns();
	slot->event.cpu = cpu; /* what is needed later: the stack is small */
	slot->event.segment = segment;
	slot->follow = follow;
	if (direct && LIKELY(vnt_is_usual(view)))
		known = fill(slot, view, around, true);
	else
		known = fill_apart(slot, view, around);
	slot->event.probe = probe;
	slot->event.outer = 0;
	slot->event.pad = 0;
	slot->kind = VNT_SLOT_EVENT;
	if (UNLIKELY(slot->event.flags & VNT_PACKET_SHORT) && is_paged(view))
		known = false;
	if (UNLIKELY(slot->follow))
		known = known && direct &&
			put_datagrams(context, (union datagrams *)view, slot,
				      around->inner - (__u64)skb->data, position + 1);
	if (UNLIKELY(!known)) {
		slot->kind = VNT_SLOT_NOTHING;
		count_unread(slot->event.cpu, probe,
			     count_events(skb, view, slot->event.segment, direct));
	}
	if (UNLIKELY(around->found))
		record_around(slot->event.cpu, view, around, slot, direct);
	if (leaves && UNLIKELY(connection_of(skb)))
		announce_translation(connection_of(skb), &slot->event, direct);
	vnt_slot_publish(slot, position);
}

/*
 * Where the network header of a frame with VLAN tags is depends on who put them there: behind them, if
 * it was the kernel on behalf of a device. Behind the Ethernet header they are always.
 */
static __always_inline void go_back_to_tags(struct around *around, struct sk_buff *skb)
{
	__u32 back = around->network - (__u64)skb->data - VNT_ETHERNET_BYTES;

	if (!vnt_is_tag(around->ethertype) || back > VNT_HEADER_USUAL)
		return; /* not even that is what it should be */
	around->network -= back;
	around->length += back;
	around->linear += back;
}

static __always_inline void look_inside(struct sk_buff *skb, struct vnt_view *view,
					struct around *around, __u64 network, bool direct)
{
	/* Nothing is to be kept at hand for this on the way of the packets that carry nothing. */
	asm volatile("" : "+r"(skb) : "r"(view) : "memory");
	around->found = 1;
	around->flags = 0;
	around->outer = 0;
	around->network = network;
	around->ethertype = view->ethertype;
	around->length = view->length;
	around->linear = view->linear;
	go_back_to_tags(around, skb);
	call_unwrap(view, around, false, direct);
}

/* `network` is the address of the network header, in the linear part of the buffer; `context` is the buffer
 * too, as the kernel takes it back from such a program. */
static __always_inline void observe(struct sk_buff *skb, struct __sk_buff *context, __u16 probe,
				    const unsigned char *network, bool leaves, bool direct)
{
	__u32 linear = skb->len - skb->data_len, link_header = network - skb->data;
	struct around around;
	struct vnt_view view;

	if (link_header > linear) /* nobody said where the network header is */
		link_header = linear;
	vnt_set_extent(&view, bpf_ntohs(skb->protocol), skb->len - link_header,
		       linear - link_header);
	around.inner = (__u64)network;
	around.found = 0;
	if (UNLIKELY(copy_header(&view, (__u64)network, direct) & VNT_GLANCE_INSIDE))
		look_inside(skb, &view, &around, (__u64)network, direct);
	if (filter(&view))
		record(skb, context, &view, probe, &around, leaves, direct);
}

/* Most packets of a host are of no device that is traced: they end here. */
static __always_inline __u32 find_probe(struct net_device *dev, enum vnt_direction direction)
{
	struct vnt_device device = {.ifindex = dev->ifindex, .netns = dev->nd_net.net->ns.inum};
	__u32 index = vnt_device_index(&device, device_multiplier, device_shift);
	struct vnt_device_entry *entry = bpf_map_lookup_elem(&devices, &index);

	if (!entry || entry->device.ifindex != device.ifindex ||
	    entry->device.netns != device.netns)
		return VNT_NO_PROBE;
	return entry->probe[direction];
}

static __always_inline int observe_tx(struct sk_buff *skb, struct net_device *dev, bool direct)
{
	__u32 probe = find_probe(dev, VNT_TX);

	if (probe != VNT_NO_PROBE)
		observe(skb, (struct __sk_buff *)skb, probe, skb->head + skb->network_header, true,
			direct);
	return 0;
}

static __always_inline int observe_rx(struct sk_buff *skb, bool direct)
{
	__u32 probe = find_probe(skb->dev, VNT_RX);

	if (probe != VNT_NO_PROBE)
		observe(skb, (struct __sk_buff *)skb, probe, skb->data, false, direct);
	return 0;
}

/*
 * tx: just before the driver gets the frame; data is the link-layer header.
 * rx: as the stack takes the packet from the driver; data is the network header already.
 * The loader takes either the direct programs or the others.
 */
SEC("vnt_tp_btf")
int BPF_PROG(dev_tx_direct, struct sk_buff *skb, struct net_device *dev)
{
	return observe_tx(skb, dev, true);
}

SEC("vnt_tp_btf")
int BPF_PROG(dev_tx, struct sk_buff *skb, struct net_device *dev)
{
	return observe_tx(skb, dev, false);
}

SEC("vnt_tp_btf")
int BPF_PROG(dev_rx_direct, struct sk_buff *skb)
{
	return observe_rx(skb, true);
}

SEC("vnt_tp_btf")
int BPF_PROG(dev_rx, struct sk_buff *skb)
{
	return observe_rx(skb, false);
}

/* On one device, which the kernel has found already. Not a probe of the command line yet. */
SEC("vnt_tc")
int tc_direct(struct __sk_buff *context)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(context);

	observe(skb, context, 0, skb->head + skb->network_header, true, true);
	return 0; /* TC_ACT_OK */
}
