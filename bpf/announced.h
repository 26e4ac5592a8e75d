/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * announced.h - what the programs say once: flows, tunnels and translations, on their way to the trace.
 *
 * Programs on different CPUs say the same thing, and say it again when their tables are full: what was
 * written lately is not written again.
 */
#ifndef VNT_ANNOUNCED_H
#define VNT_ANNOUNCED_H

#include "lib/ring.h"
#include "lib/writer.h"

struct announced;

int announced_open(struct announced **announced); /* 0 or -ENOMEM */

/* Takes what is in a slot, of any kind but VNT_SLOT_EVENT. True if there is no room for one more: then
 * announced_put() comes next. */
bool announced_add(struct announced *announced, const struct vnt_slot *slot);

/* Writes what was taken. 0 or -errno of the write. */
int announced_put(struct announced *announced, struct writer *writer);
void announced_close(struct announced *announced); /* accepts NULL */

#endif
