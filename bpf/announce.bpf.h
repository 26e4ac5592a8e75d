/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * announce.bpf.h - the event rings, and what user space is told in them once: flows, tunnels and
 * translations, each before the event that it is about can be read.
 */
#ifndef VNT_ANNOUNCE_BPF_H
#define VNT_ANNOUNCE_BPF_H

#include <stdbool.h>
#include "nat.bpf.h"
#include "lib/layout.h"
#include "lib/ring.h"
#include "lib/tunnel.h"

const volatile __u32 ring_slots = 1; /* power of two */

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

/* Direct-mapped, per CPU: the flows and tunnels that user space has been told of, by their hash. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* for lib/layout.h: else it does not start on a line */
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} known_flows SEC(".maps");

/* Direct-mapped, by flow: the translations that user space has been told of, by all CPUs, since ports go
 * from one connection to another on any of them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, VNT_NAT_SLOTS);
} known_translations SEC(".maps");

/* The first slot of a record of `count`. */
static __always_inline struct vnt_slot *reserve(__u32 cpu, __u32 count, __u64 *position)
{
	struct vnt_ring *ring = bpf_map_lookup_elem(&rings, &cpu);
	__u32 index;

	if (!ring || !vnt_ring_reserve(ring, ring_slots, count, position))
		return NULL;
	index = vnt_slot_index(cpu, ring_slots, *position);
	return bpf_map_lookup_elem(&slots, &index);
}

/* What user space is told once: a slot, and where to remember that it was. */
struct announcement {
	struct vnt_slot *slot;
	__u64 position;
	__u64 *known;
};

/* Where the hash of what user space was told lately is to be put, or NULL if it is there already. */
static __always_inline __u64 *find_untold(__u32 cpu, __u64 hash)
{
	__u32 index = vnt_flow_index(cpu, hash);
	__u64 *known = bpf_map_lookup_elem(&known_flows, &index);

	return known && *known != hash ? known : NULL;
}

/* False if there is nothing to tell, or no room for it. `known` is from find_untold(). */
static __always_inline bool begin_telling(struct announcement *announcement, __u32 cpu,
					  __u64 *known, __u32 kind)
{
	if (!known)
		return false;
	announcement->known = known;
	announcement->slot = reserve(cpu, 1, &announcement->position);
	if (!announcement->slot)
		return false;
	announcement->slot->kind = kind;
	announcement->slot->follow = 0;
	return true;
}

static __always_inline void end_telling(const struct announcement *announcement, __u64 hash)
{
	vnt_slot_publish(announcement->slot, announcement->position);
	*announcement->known = hash;
}

/* Tells user space the 5-tuple of a flow this CPU has not seen lately. */
static __always_inline void announce_flow(__u32 cpu, const struct vnt_view *view,
					  const struct vnt_packet *packet)
{
	struct announcement new;

	if (!begin_telling(&new, cpu, find_untold(cpu, packet->flow), VNT_SLOT_FLOW))
		return;
	new.slot->flow_hash = packet->flow;
	vnt_packet_flow(view, packet, &new.slot->flow);
	end_telling(&new, packet->flow);
}

/* ... of one that it may never see. */
static __always_inline void announce_before(__u32 cpu, __u64 hash, const struct vnt_flow *flow)
{
	struct announcement new;

	if (!begin_telling(&new, cpu, find_untold(cpu, hash), VNT_SLOT_FLOW))
		return;
	new.slot->flow_hash = hash;
	new.slot->flow = *flow;
	end_telling(&new, hash);
}

static __always_inline void announce_tunnel(__u32 cpu, __u64 hash, const struct vnt_tunnel *tunnel)
{
	struct announcement new;

	if (!begin_telling(&new, cpu, find_untold(cpu, hash), VNT_SLOT_TUNNEL))
		return;
	new.slot->tunnel = *tunnel;
	end_telling(&new, hash);
}

/* Like find_untold(), of the translation of `flow`. */
static __always_inline __u64 *find_untranslated(__u64 flow, __u64 hash)
{
	__u32 index = flow & (VNT_NAT_SLOTS - 1);
	__u64 *known = bpf_map_lookup_elem(&known_translations, &index);

	return known && *known != hash ? known : NULL;
}

/* Tells user space what packets of this flow were before, and what flow that is. */
static __always_inline int translate(__u64 connection, __u64 flow, __u64 time_ns, __u32 probe,
				     bool direct)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct announcement new;
	union tuple before;
	__u64 hash, both, *known;

	if (!find_before(connection, flow, &before, direct))
		return 0;
	hash = vnt_flow_hash(&before.flow);
	both = vnt_mix(flow, hash);
	known = find_untranslated(flow, both);
	if (!known)
		return 0;
	announce_before(cpu, hash, &before.flow);
	if (!begin_telling(&new, cpu, known, VNT_SLOT_TRANSLATION))
		return 0;
	new.slot->translation.time_ns = time_ns;
	new.slot->translation.flow = flow;
	new.slot->translation.before = hash;
	new.slot->translation.probe = probe;
	end_telling(&new, both);
	return 0;
}

/* Global, so that the verifier looks at them once, and not with all that their callers know. */
__noinline int translate_direct(__u64 connection, __u64 flow, __u64 time_ns, __u32 probe)
{
	return translate(connection, flow, time_ns, probe, true);
}

__noinline int translate_portable(__u64 connection, __u64 flow, __u64 time_ns, __u32 probe)
{
	return translate(connection, flow, time_ns, probe, false);
}

static __always_inline void announce_translation(__u64 connection, const struct vnt_event *event,
						 bool direct)
{
	if (!is_translated(connection, direct))
		return;
	if (direct)
		translate_direct(connection, event->flow, event->time_ns, event->probe);
	else
		translate_portable(connection, event->flow, event->time_ns, event->probe);
}

#endif
