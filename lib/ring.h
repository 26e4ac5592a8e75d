/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.h - the protocol of the per-CPU event rings, for BPF and for user space.
 *
 * Each CPU has one ring of 2^n slots. Only code on that CPU writes to it, but a probe may interrupt
 * another one (softirq, hardirq, NMI) at any instruction. The one reader may run on any CPU.
 *
 * A record is one slot, or several in a row if it is large: each at its own `position & (slots - 1)`,
 * so that a record may go over the end of the ring. The first slot says how many follow.
 *
 *   reserve  one compare-and-swap moves `head` over all slots of the record, tried only while they
 *            are free, so that `head` never passes `tail` by more than the ring holds, whatever nests
 *   write    the slots are the writer's alone; time is read only now, so that an event that was not
 *            reserved when the reader looked at the clock cannot be older than that look
 *   publish  `sequence` of the first slot = its position + 1, ordered after all else in the record
 *   read     in order of position, up to the first record whose `sequence` is not its position + 1;
 *            then `tail` moves over whole records
 *
 * `sequence` of a slot that follows is not touched: it keeps the smaller number of an earlier lap.
 * Data there could be taken for the number of a record that is yet to come.
 *
 * A full ring drops the newest event: the writer is told and counts it.
 *
 * Order between CPUs: publication is a release and the reader's look an acquire; so are the reader's
 * move of `tail` and the writer's look at it. The writer needs no acquire instruction for that: the
 * compare-and-swap is fully ordered, lies between the look and the first store to a slot, and that
 * store depends on its outcome. A failed look stores nothing. tests/model/ring.pml checks all this.
 *
 * Why not cheaper: an atomic addition costs the same and overshoots a ring that nested probes filled
 * after the look at `tail`; a plain store would lose what nested between load and store.
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
	VNT_SLOT_EVENT, /* 0, so that event.slot of one without more to it is 0 */
	VNT_SLOT_FLOW,
	VNT_SLOT_TUNNEL,
	VNT_SLOT_NOTHING, /* was reserved for an event that is none; what it would be is counted */
	VNT_SLOT_TRANSLATION,
};

#define VNT_SLOT_BYTES 56 /* of data in a slot that follows */

struct vnt_slot {
	__u64 sequence; /* of the first slot of a record: position + 1 once published */
	union {
		struct vnt_event event;
		struct {
			__u64 flow_hash;
			struct vnt_flow flow;
		};
		struct vnt_tunnel tunnel;
		struct vnt_translation translation;
		struct {
			__u8 data[VNT_SLOT_BYTES - 4];
			__u16 kind;   /* VNT_SLOT_* */
			__u16 follow; /* slots of this record after the first */
		};
		__u8 bytes[VNT_SLOT_BYTES]; /* a slot that follows */
		__u64 words[VNT_SLOT_BYTES / 8];
	};
};
_Static_assert(sizeof(struct vnt_slot) == 64, "a slot is a cache line");
_Static_assert(__builtin_offsetof(struct vnt_slot, kind) ==
		       __builtin_offsetof(struct vnt_slot, event.slot),
	       "an event and what its slot says of it do not touch");

#ifdef __bpf__
#define VNT_READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define VNT_WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#else
#define VNT_READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define VNT_WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#endif

/* In BPF the compare-and-swap orders what follows; the language of user space knows no such thing. */
static __always_inline __u64 vnt_ring_tail(const struct vnt_ring *ring)
{
#ifdef __bpf__
	return VNT_READ_ONCE(ring->tail);
#else
	return __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
#endif
}

/*
 * True, and the position of the first in *position, if `count` of `slots` slots were free. `slots` is
 * a power of two, `count` from 1 to `slots`.
 */
static __always_inline int vnt_ring_reserve(struct vnt_ring *ring, __u64 slots, __u32 count,
					    __u64 *position)
{
	for (int i = 0; i < VNT_RING_ATTEMPTS; i++) {
		__u64 head = VNT_READ_ONCE(ring->head), seen;

		/* Signed: a nested probe and the reader may both have moved on since. */
		if ((__s64)(head - vnt_ring_tail(ring) + count - 1) >= (__s64)slots)
			return 0;
		seen = __sync_val_compare_and_swap(&ring->head, head, head + count);
		asm("" : "+r"(seen)); /* else clang makes a flag of the comparison first */
		if (seen == head) {
			*position = head;
			return 1;
		}
	}
	return 0;
}

/* Makes the record of this first slot readable; it belongs to the reader from here on. */
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
/*
 * The first slot of the published record at `position`, or NULL; the record is whole. Those that
 * follow are at (position + 1) & (slots - 1) and so on, the next record is at position + 1 + follow.
 */
static inline const struct vnt_slot *vnt_ring_peek(const struct vnt_slot *ring_slots, __u64 slots,
						   __u64 position)
{
	const struct vnt_slot *slot = &ring_slots[position & (slots - 1)];

	if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != position + 1)
		return 0;
	return slot;
}

/* Gives all slots before `position`, where a record starts, back to the writer. */
static inline void vnt_ring_release(struct vnt_ring *ring, __u64 position)
{
	__atomic_store_n(&ring->tail, position, __ATOMIC_RELEASE);
}
#endif

#endif
