// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe interrupted at each of its instructions in turn: the processor's trap flag makes a signal
 * after every one, and at the chosen one the handler writes records, too. What signals at random
 * (ring_stress.c) seldom hit is hit for sure here.
 */
#ifdef __x86_64__
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>

#include "lib/ring.h"

#define SLOTS_MAX 16
#define TRAP_FLAG 0x100
#define NESTED    3 /* records of one interruption */
#define LARGE     2 /* slots of the largest record */
#define STEPS_MAX 100000

static struct vnt_ring ring;
static struct vnt_slot slots[SLOTS_MAX];

static struct {
	__u64 slots;
	__u32 nested_size;
	int step; /* instructions until the interruption; below 0: it was */
	bool writing;
	__u64 nested_written;
} now;

static bool write_record(__u64 number, __u32 count)
{
	struct vnt_slot *slot;
	__u64 position;

	if (!vnt_ring_reserve(&ring, now.slots, count, &position))
		return false;
	slot = &slots[position & (now.slots - 1)];
	slot->follow = count - 1;
	slot->event.key = number;
	slot->event.flow = ~number;
	for (__u32 i = 1; i < count; i++)
		slots[(position + i) & (now.slots - 1)].bytes[0] = number + i;
	vnt_slot_publish(slot, position);
	return true;
}

/* The handler runs without the flag, which comes back with the return from it. */
static void trap(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal;
	(void)info;
	if (!now.writing) {
		registers[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	registers[REG_EFL] |= TRAP_FLAG;
	if (now.step-- != 0)
		return;
	for (int i = 1; i <= NESTED; i++)
		now.nested_written += write_record(i, now.nested_size);
}

/* Returns how many records there were; each is whole, and none comes twice. */
static __u64 read_all(void)
{
	const struct vnt_slot *slot;
	__u64 count = 0, seen = 0;

	for (; (slot = vnt_ring_peek(slots, now.slots, ring.tail)); count++) {
		const __u64 number = slot->event.key;

		cr_assert(number <= NESTED && !(seen & 1ull << number));
		seen |= 1ull << number;
		cr_assert_eq(slot->event.flow, ~number);
		for (__u32 i = 1; i <= slot->follow; i++)
			cr_assert_eq(slots[(ring.tail + i) & (now.slots - 1)].bytes[0],
				     (__u8)(number + i));
		vnt_ring_release(&ring, ring.tail + 1 + slot->follow);
	}
	return count;
}

/* True if the record was interrupted, which it is unless it has fewer than `step` instructions. */
static bool interrupt_at(int step, __u32 size)
{
	bool written;

	now.nested_written = 0;
	now.step = step;
	now.writing = true;
	raise(SIGTRAP);
	written = write_record(0, size);
	now.writing = false;
	raise(SIGTRAP); /* ends where another trap has not */
	cr_assert_eq(read_all(), written + now.nested_written, "step %d, %llu slots", step,
		     now.slots);
	cr_assert_eq(ring.head, ring.tail);
	return now.step < 0;
}

ParameterizedTestParameters(ring_nest, interrupted_at_every_instruction)
{
	static __u64 sizes[] = {2, 4, SLOTS_MAX};

	return cr_make_param_array(__u64, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

ParameterizedTest(__u64 *size, ring_nest, interrupted_at_every_instruction)
{
	const struct sigaction action = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};

	now.slots = *size;
	sigaction(SIGTRAP, &action, NULL);
	for (__u32 outer = 1; outer <= LARGE; outer++) {
		for (__u32 inner = 1; inner <= LARGE; inner++) {
			int step = 0;

			if (outer > now.slots || inner > now.slots)
				continue;
			now.nested_size = inner;
			while (step < STEPS_MAX && interrupt_at(step, outer))
				step++;
			cr_assert(step > 20 && step < STEPS_MAX);
		}
	}
}
#endif
