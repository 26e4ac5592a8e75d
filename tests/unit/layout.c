// SPDX-License-Identifier: GPL-2.0-only
/* No two CPUs touch a common cache line, whatever the numbers of probes and slots. */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/layout.h"
#include "lib/ring.h"

#define CPUS 256

/* The lines of a map that one CPU touches, its memory starting on a line. */
struct lines {
	uint64_t first;
	uint64_t last;
};

static void touch(struct lines *lines, uint64_t index, size_t size)
{
	const uint64_t first = index * size / VNT_LINE, last = (index * size + size - 1) / VNT_LINE;

	if (first < lines->first)
		lines->first = first;
	if (last > lines->last)
		lines->last = last;
}

/* Of CPUs in order, each must start behind the one before. */
static void check_apart(struct lines *before, const struct lines *lines, unsigned int cpu)
{
	cr_assert(lines->first <= lines->last);
	cr_assert(cpu == 0 || lines->first > before->last, "cpu %u shares a line", cpu);
	*before = *lines;
}

Test(layout, counts_of_cpus_are_apart)
{
	for (__u32 probes = 1; probes <= 513; probes++) {
		const __u32 stride = vnt_count_stride(probes);
		struct lines before = {};

		cr_assert(stride >= probes &&
			  stride < probes + VNT_LINE / sizeof(struct vnt_count));
		for (__u32 cpu = 0; cpu < CPUS; cpu++) {
			struct lines lines = {.first = UINT64_MAX};

			for (__u32 probe = 0; probe < probes; probe++)
				touch(&lines, vnt_count_index(cpu, stride, probe),
				      sizeof(struct vnt_count));
			check_apart(&before, &lines, cpu);
		}
	}
}

Test(layout, slots_of_cpus_are_apart)
{
	for (__u32 slots = VNT_SLOTS_MIN; slots <= 4096; slots *= 2) {
		struct lines before = {};

		for (__u32 cpu = 0; cpu < CPUS; cpu++) {
			struct lines lines = {.first = UINT64_MAX};

			/* Over the end of the ring, too. */
			for (__u64 position = slots / 2; position < 2 * slots; position++)
				touch(&lines, vnt_slot_index(cpu, slots, position),
				      sizeof(struct vnt_slot));
			check_apart(&before, &lines, cpu);
		}
	}
}

Test(layout, known_flows_of_cpus_are_apart)
{
	struct lines before = {};

	for (__u32 cpu = 0; cpu < CPUS; cpu++) {
		struct lines lines = {.first = UINT64_MAX};

		for (__u64 flow = 7; flow < 7 + 2 * VNT_FLOW_SLOTS; flow++)
			touch(&lines, vnt_flow_index(cpu, flow), sizeof(__u64));
		check_apart(&before, &lines, cpu);
	}
}

/* What the writer changes is apart from what the reader changes, and both from other CPUs'. */
Test(layout, heads_and_tails_are_apart)
{
	struct lines before = {};

	for (__u32 cpu = 0; cpu < CPUS; cpu++) {
		const uint64_t at = cpu * sizeof(struct vnt_ring);
		struct lines head = {.first = UINT64_MAX}, tail = {.first = UINT64_MAX};

		touch(&head, (at + offsetof(struct vnt_ring, head)) / sizeof(__u64), sizeof(__u64));
		touch(&tail, (at + offsetof(struct vnt_ring, tail)) / sizeof(__u64), sizeof(__u64));
		check_apart(&before, &head, cpu);
		check_apart(&before, &tail, 1);
	}
}
