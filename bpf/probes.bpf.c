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
#include "kernel.h"
#include "shared.h"
#include "lib/devtable.h"
#include "lib/packet.h"
#include "lib/ring.h"
#include "lib/sample.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 ring_slots = 1;                /* power of two */
const volatile __u32 count_stride = 1;              /* lib/layout.h */
const volatile bool sampling = false;               /* what follows may be less than all */
__u32 threshold = VNT_SAMPLE_ALL;                   /* lib/sample.h */
const volatile __u32 filter_reach = VNT_HEADER_MAX; /* bytes that the filter may look at */
const volatile __u64 device_multiplier = 1;         /* lib/devtable.h */
const volatile __u32 device_shift = 63;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct vnt_device_entry);
	__uint(max_entries, 1);
} devices SEC(".maps");

/* Per CPU, side by side: array maps of the per-CPU kind cannot be mapped into user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct vnt_ring);
	__uint(max_entries, 1);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct vnt_slot);
	__uint(max_entries, 1);
} slots SEC(".maps");

/* Per CPU and probe. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct vnt_count);
	__uint(max_entries, 1);
} counts SEC(".maps");

/* Direct-mapped, per CPU: the flows whose 5-tuple user space has been told. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* for lib/layout.h: else it does not start on a line */
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} known_flows SEC(".maps");

/* The loader puts the translated filter in place of the instructions from the marker on. The only
 * subprogram, hence last in each program: it can grow and move nothing else. */
static __noinline int filter(const struct vnt_view *view)
{
	int match = VNT_FILTER_MARKER;

	asm volatile("" : "+r"(match) : "r"(view));
	return match;
}

static __always_inline struct vnt_slot *reserve(__u32 cpu, __u64 *position)
{
	struct vnt_ring *ring = bpf_map_lookup_elem(&rings, &cpu);
	__u32 index;

	if (!ring || !vnt_ring_reserve(ring, ring_slots, 1, position))
		return NULL;
	index = vnt_slot_index(cpu, ring_slots, *position);
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline struct vnt_count *find_count(__u32 cpu, __u32 probe)
{
	__u32 index = vnt_count_index(cpu, count_stride, probe);

	return bpf_map_lookup_elem(&counts, &index);
}

static __always_inline void count_dropped(__u32 cpu, __u32 probe)
{
	struct vnt_count *count = find_count(cpu, probe);

	if (count)
		__sync_fetch_and_add(&count->dropped, 1);
}

static __always_inline void count_sampled(__u32 cpu, __u32 probe, __u32 length)
{
	struct vnt_count *count = find_count(cpu, probe);

	if (!count)
		return;
	__sync_fetch_and_add(&count->sampled, 1);
	__sync_fetch_and_add(&count->sampled_bytes, length);
}

/* Tells user space the 5-tuple of a flow this CPU has not seen lately. */
static __always_inline void announce_flow(__u32 cpu, const struct vnt_view *view,
					  const struct vnt_packet *packet)
{
	__u32 index = vnt_flow_index(cpu, packet->flow);
	__u64 *known = bpf_map_lookup_elem(&known_flows, &index), position;
	struct vnt_slot *slot;

	if (!known || *known == packet->flow)
		return;
	slot = reserve(cpu, &position);
	if (!slot)
		return;
	slot->kind = VNT_SLOT_FLOW;
	slot->follow = 0;
	slot->flow_hash = packet->flow;
	vnt_packet_flow(view, packet, &slot->flow);
	vnt_slot_publish(slot, position);
	*known = packet->flow;
}

static __always_inline void record(const struct vnt_view *view, __u16 probe)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct vnt_packet packet = {};
	struct vnt_slot *slot;
	__u64 position;

	if (sampling) {
		vnt_packet_parse(view, &packet);
		if (vnt_sample_level(packet.flow, packet.key, packet.payload, packet.flags) >
		    threshold) {
			count_sampled(cpu, probe, packet.length);
			return;
		}
	}
	slot = reserve(cpu, &position);
	if (!slot) {
		count_dropped(cpu, probe);
		return;
	}
	slot->event.time_ns = bpf_ktime_get_ns();
	if (!sampling)
		vnt_packet_parse(view, &packet);
	announce_flow(cpu, view, &packet); /* before the event can be read */
	slot->kind = VNT_SLOT_EVENT;
	slot->follow = 0;
	slot->event.flow = packet.flow;
	slot->event.key = packet.key;
	slot->event.length = packet.length;
	slot->event.payload = packet.payload;
	slot->event.probe = probe;
	slot->event.cpu = cpu;
	slot->event.flags = packet.flags;
	slot->event.pad = 0;
	vnt_slot_publish(slot, position);
}

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
 * skb_shared_info) is longer, and garbage is allowed.
 */
static __always_inline bool copy_header(struct vnt_view *view, const unsigned char *network,
					bool direct)
{
	const struct rtnl_link_stats64 *memory;

	if (!direct)
		return !bpf_probe_read_kernel(view->header, sizeof(view->header), network);
	memory = bpf_rdonly_cast(network, bpf_core_type_id_kernel(struct rtnl_link_stats64));
	copy_words(view, 0, memory);
	if (filter_reach > VNT_HEADER_USUAL || !vnt_is_usual(view))
		copy_words(view, VNT_HEADER_USUAL / 8, memory);
	else
		clear_words(view, VNT_HEADER_USUAL / 8);
	return true;
}

/* `network` is the address of the network header, in the linear part of the buffer. */
static __always_inline void observe(struct sk_buff *skb, __u16 probe, unsigned char *network,
				    bool direct)
{
	struct vnt_view view;
	__u32 link_header, linear, available;

	link_header = network - skb->data;
	linear = skb->len - skb->data_len;
	if (link_header > linear) /* nobody said where the network header is */
		link_header = linear;
	available = linear - link_header;
	view.available = available < VNT_HEADER_MAX ? available : VNT_HEADER_MAX;
	view.length = skb->len - link_header;
	view.ethertype = bpf_ntohs(skb->protocol);
	view.pad = 0;
	if (!copy_header(&view, network, direct))
		view.available = 0;
	if (filter(&view))
		record(&view, probe);
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
		observe(skb, probe, skb->head + skb->network_header, direct);
	return 0;
}

static __always_inline int observe_rx(struct sk_buff *skb, bool direct)
{
	__u32 probe = find_probe(skb->dev, VNT_RX);

	if (probe != VNT_NO_PROBE)
		observe(skb, probe, skb->data, direct);
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

	observe(skb, 0, skb->head + skb->network_header, true);
	return 0; /* TC_ACT_OK */
}
