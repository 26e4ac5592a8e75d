// SPDX-License-Identifier: GPL-2.0-only
/*
 * nest.bpf.c - programs of every context write to the same ring of their CPU, with the protocol of
 * the real probes. The task's is interrupted by the softirq's, both by the timer interrupt's, and
 * all by the NMI's.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "nest.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 ring_slots = VNT_SLOTS_MIN;

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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct nest_counts);
	__uint(max_entries, 1);
} counts SEC(".maps");

/* Raise softirqs: of each CPU, one timer that never rests. */
struct ticker {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct ticker);
	__uint(max_entries, 1);
} tickers SEC(".maps");

static __always_inline struct vnt_slot *slot_at(__u32 cpu, __u64 position)
{
	__u32 index = vnt_slot_index(cpu, ring_slots, position);

	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline void fill(struct vnt_slot *slot, enum nest_context context, __u64 number)
{
	slot->kind = context;
	slot->event.time_ns = number;
	slot->event.flow = number * 3;
	slot->event.key = number * 7;
	slot->event.length = number;
	slot->event.payload = ~number;
}

/* False if there was no room. `large` is a constant, so that the count is one, too. */
static __always_inline bool write_record(struct vnt_ring *ring, __u32 cpu,
					 enum nest_context context, __u64 number, bool large)
{
	__u64 position;
	struct vnt_slot *slot;

	if (!vnt_ring_reserve(ring, ring_slots, large ? NEST_LARGE : 1, &position))
		return false;
	slot = slot_at(cpu, position);
	if (!slot)
		return false;
	fill(slot, context, number);
	slot->follow = large ? NEST_LARGE - 1 : 0;
	for (__u32 i = 1; large && i < NEST_LARGE; i++) {
		struct vnt_slot *more = slot_at(cpu, position + i);

		if (!more)
			return false;
		__builtin_memset(more->bytes, nest_byte(context, number, i), VNT_SLOT_BYTES);
	}
	vnt_slot_publish(slot, position);
	return true;
}

/* Plain additions: whoever interrupts puts `depth` back before it returns. */
static __always_inline void write_numbered(struct vnt_ring *ring, struct nest_counts *count,
					   __u32 cpu, enum nest_context context)
{
	__u64 number = count->attempted[context]++;
	__u64 depth = VNT_READ_ONCE(count->depth);
	bool written;

	if (depth > 0)
		count->nested[context]++;
	if (depth > 1)
		count->deeper++;
	VNT_WRITE_ONCE(count->depth, depth + 1);
	written = number & 1 ? write_record(ring, cpu, context, number, true)
			     : write_record(ring, cpu, context, number, false);
	VNT_WRITE_ONCE(count->depth, depth);
	if (!written)
		count->dropped[context]++;
}

static __always_inline int burst(enum nest_context context)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct nest_counts *count = bpf_map_lookup_elem(&counts, &cpu);
	struct vnt_ring *ring = bpf_map_lookup_elem(&rings, &cpu);

	if (!count || !ring)
		return 0;
	for (int i = 0; i < NEST_BURST; i++)
		write_numbered(ring, count, cpu, context);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(task, struct pt_regs *registers, long number)
{
	return number == NEST_SYSCALL ? burst(NEST_TASK) : 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq, unsigned int vector)
{
	return burst(NEST_SOFTIRQ);
}

static int tick(void *map, __u32 *cpu, struct ticker *ticker)
{
	bpf_timer_start(&ticker->timer, NEST_TICK_NS, 0);
	return 0;
}

/* Starts the timer of the CPU it runs on. */
SEC("syscall")
int start_ticker(void *context)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct ticker *ticker = bpf_map_lookup_elem(&tickers, &cpu);

	if (!ticker || bpf_timer_init(&ticker->timer, &tickers, 1 /* CLOCK_MONOTONIC */) ||
	    bpf_timer_set_callback(&ticker->timer, tick))
		return 1;
	return bpf_timer_start(&ticker->timer, NEST_TICK_NS, 0) != 0;
}

SEC("perf_event")
int hardirq(void *context)
{
	return burst(NEST_HARDIRQ);
}

SEC("perf_event")
int nmi(void *context)
{
	return burst(NEST_NMI);
}
