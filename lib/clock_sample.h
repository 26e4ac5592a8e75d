/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_sample.h - events of packets that all inputs choose alike, so that they meet again.
 *
 * Kept are events of packets whose hash is below a limit that falls as more come, which bounds the
 * memory. They lie in parts by the low bits of the hash, each small enough to be sorted in the cache.
 */
#ifndef VNT_CLOCK_SAMPLE_H
#define VNT_CLOCK_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define CLOCK_SAMPLE_MAX   (4u << 20) /* events */
#define CLOCK_SAMPLE_PARTS 256

struct sighting_id {
	uint64_t id;
	uint64_t time_ns;
	uint32_t probe;
	uint32_t pad;
};

struct sample_part {
	struct sighting_id *seen;
	size_t count;
	size_t room;
};

/* All zero but for `room_max` and `flow_mask` is an empty sample. */
struct clock_sample {
	struct sample_part parts[CLOCK_SAMPLE_PARTS];
	size_t count;
	size_t room_max; /* CLOCK_SAMPLE_MAX; smaller in tests */
	unsigned int halvings;
	uint64_t flow_mask; /* as trace_flow_mask() has it */
};

int clock_sample_add(struct clock_sample *sample, uint32_t probe, const struct vnt_event *event);

/* Puts all in order of ID and probe, part by part. 0 or -ENOMEM. */
int clock_sample_sort(struct clock_sample *sample);
void clock_sample_release(struct clock_sample *sample);

#endif
