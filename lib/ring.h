/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.h - the protocol of the per-CPU event rings, for BPF and for user space.
 *
 * Each CPU has one ring of 2^n slots. Only code on that CPU writes to it, but a probe may interrupt
 * another one (softirq, hardirq, NMI) at any instruction. The one reader may run on any CPU.
 *
 *   reserve  compare-and-swap on `head`, tried only while a slot is free, so that `head` never
 *            passes `tail` by more than the ring holds, whatever nests
 *   write    the slot is the writer's alone; time is read only now, so that an event that was not
 *            reserved when the reader looked at the clock cannot be older than that look
 *   publish  `sequence` = position + 1, ordered after all else in the slot
 *   read     in order of position, up to the first slot whose `sequence` is not its position + 1;
 *            then `tail` moves on
 *
 * A full ring drops the newest event: the writer is told and counts it.
 */
#ifndef VNT_RING_H
#define VNT_RING_H

#include "event.h"

/* A compare-and-swap fails only because a nested probe reserved in between. */
#define VNT_RING_ATTEMPTS 8

struct vnt_ring {
	__u64 head; /* next position to reserve; written by the CPU that owns the ring */
	__u64 pad_head[15];
	__u64 tail; /* next position to read; written by the reader */
	__u64 pad_tail[15];
};
_Static_assert(sizeof(struct vnt_ring) == 256, "head and tail never share a cache line");

enum vnt_slot_kind {
	VNT_SLOT_EVENT,
	VNT_SLOT_FLOW,
};

struct vnt_slot {
	__u64 sequence; /* position + 1 once published */
	__u32 kind;
	__u32 pad;
	union {
		struct vnt_event event;
		struct {
			__u64 flow_hash;
			struct vnt_flow flow;
		};
	};
};
_Static_assert(sizeof(struct vnt_slot) == 64, "a slot is a cache line");

#define VNT_READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define VNT_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* True, and the position in *position, if one of `slots` slots was free. */
static __always_inline int vnt_ring_reserve(struct vnt_ring *ring, __u64 slots, __u64 *position)
{
	for (int i = 0; i < VNT_RING_ATTEMPTS; i++) {
		__u64 head = VNT_READ_ONCE(ring->head);

		/* Signed: a nested probe and the reader may both have moved on since. */
		if ((__s64)(head - VNT_READ_ONCE(ring->tail)) >= (__s64)slots)
			return 0;
		if (__sync_val_compare_and_swap(&ring->head, head, head + 1) == head) {
			*position = head;
			return 1;
		}
	}
	return 0;
}

/* Makes the slot readable; it belongs to the reader from here on. */
static __always_inline void vnt_slot_publish(struct vnt_slot *slot, __u64 position)
{
#if defined(__bpf__) && defined(__TARGET_ARCH_x86)
	/* x86 keeps stores in order: a compiler barrier is enough. */
	asm volatile("" ::: "memory");
	VNT_WRITE_ONCE(slot->sequence, position + 1);
#elif defined(__bpf__)
	/* The BPF exchange is fully ordered; there is no store-release before Linux 6.15. */
	__sync_lock_test_and_set(&slot->sequence, position + 1);
#else
	__atomic_store_n(&slot->sequence, position + 1, __ATOMIC_RELEASE);
#endif
}

#ifndef __bpf__
/* The published slot at `position`, or NULL. `slots` is a power of two. */
static inline const struct vnt_slot *vnt_ring_peek(const struct vnt_slot *ring_slots, __u64 slots,
						   __u64 position)
{
	const struct vnt_slot *slot = &ring_slots[position & (slots - 1)];

	if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != position + 1)
		return 0;
	return slot;
}

/* Gives all slots before `position` back to the writer. */
static inline void vnt_ring_release(struct vnt_ring *ring, __u64 position)
{
	__atomic_store_n(&ring->tail, position, __ATOMIC_RELEASE);
}
#endif

#endif
