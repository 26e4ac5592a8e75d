/* SPDX-License-Identifier: GPL-2.0-only */
/* drain.h - the rings of all CPUs -> one order of time. */
#ifndef VNT_DRAIN_H
#define VNT_DRAIN_H

#include "tracer.h"

struct drain;

/* Takes a flow or a tunnel that a CPU has not announced lately; 0 or -errno. */
typedef int (*drain_announced_fn)(void *context, const struct vnt_slot *slot);

int drain_open(struct drain **drain, struct tracer *tracer, uint32_t ring_slots,
	       drain_announced_fn announced, void *context); /* 0 or -ENOMEM */

/* Empties the rings, but for events before `from_ns`, which are not wanted. `now_ns` is the time just
 * before the call. Nothing that is older than *watermark_ns can come any more. 0, -ENOMEM, or what
 * `announced` returned. */
int drain_run(struct drain *drain, uint64_t now_ns, uint64_t from_ns, uint64_t *watermark_ns);

/* Moves up to `max` events with time_ns < until_ns to `out`, oldest first; returns how many. */
size_t drain_take(struct drain *drain, uint64_t until_ns, struct vnt_event *out, size_t max);

/* After how many ns a ring may be a quarter full, at the rate between the last two runs; UINT64_MAX if
 * nothing came. */
uint64_t drain_patience(const struct drain *drain);

void drain_close(struct drain *drain); /* accepts NULL */

#endif
