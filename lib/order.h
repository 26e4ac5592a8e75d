/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.h - one order of time out of the order of each CPU.
 *
 * Events of one CPU come nearly in order (probes nest), events of different CPUs in any. An event is
 * handed out once its time is before the watermark: the time of which the caller knows that nothing
 * older will be added.
 */
#ifndef VNT_ORDER_H
#define VNT_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"

struct order;

int order_open(struct order **order, unsigned int cpus); /* 0 or -ENOMEM */

int order_add(struct order *order, unsigned int cpu,
	      const struct vnt_event *event); /* 0 or -ENOMEM */

/* Moves up to `max` events with time_ns < watermark_ns to `out`, oldest first; returns how many. */
size_t order_take(struct order *order, uint64_t watermark_ns, struct vnt_event *out, size_t max);

size_t order_held(const struct order *order, unsigned int cpu);
void order_close(struct order *order); /* accepts NULL */

#endif
