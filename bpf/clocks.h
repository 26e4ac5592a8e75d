/* SPDX-License-Identifier: GPL-2.0-only */
/* clocks.h - what this host says of its clocks, and of those of its virtual machines, into a trace. */
#ifndef VNT_CLOCKS_H
#define VNT_CLOCKS_H

#include "ptp.h"
#include "vms.h"
#include "lib/writer.h"

struct clocks {
	const struct domain *domain;
	struct ptp ptp;
	struct vms vms;
	uint64_t vms_ns; /* when they were read */
};

/* `domain` must outlive it. */
void clocks_open(struct clocks *clocks, const struct domain *domain);

/* Writes an anchor, and once a second what KVM says; `all`: that now. 0, -ENOMEM, or the writer's error. */
int clocks_put(struct clocks *clocks, struct writer *writer, bool all);
void clocks_close(struct clocks *clocks);

#endif
