/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stamp.h - writes stamps (lib/stamp.h) into the packets that this host's sockets send.
 *
 * UDP: a tc egress program on each device. TCP: a sockops program at the root of the cgroup v2 tree,
 * for the connections of the devices' namespaces that are opened from now on.
 *
 * Both are held by links of this process: when it ends, however it ends, the kernel detaches them.
 * Before Linux 6.6 tc has no links: there a filter, and the clsact qdisc it needs, stay behind a process
 * that is killed, and the next stamp_open() on that device takes the filter away. The qdisc, empty,
 * stays in any case: others may have begun to use it.
 */
#ifndef VNT_BPF_STAMP_H
#define VNT_BPF_STAMP_H

#include "device.h"
#include "tracer.h"

enum stamp_protocols {
	STAMP_TCP = 1 << 0,
	STAMP_UDP = 1 << 1,
};

struct stamp_options {
	unsigned int protocols;              /* STAMP_* */
	const struct device *const *devices; /* must outlive the stamps */
	size_t ndevices;
	const struct filter *filter; /* NULL: everything; only what matches is stamped */
	bool portable;               /* use only what every supported kernel has */
	log_fn log;                  /* as in struct tracer_options */
	void *log_context;
};

struct stamp;

/* Stamps when it returns. 0, or -errno with one line in `reason` (TRACER_REASON_MAX bytes). */
int stamp_open(struct stamp **stamp, const struct stamp_options *options, char *reason);

/* Packets that are sent from then on are left alone. Accepts NULL. */
void stamp_close(struct stamp *stamp);

#endif
