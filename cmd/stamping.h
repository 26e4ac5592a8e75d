/* SPDX-License-Identifier: GPL-2.0-only */
/* stamping.h - record --stamp: which packets, at which devices. */
#ifndef VNT_STAMPING_H
#define VNT_STAMPING_H

#include "targets.h"
#include "bpf/stamp.h"

/* "tcp,udp" as STAMP_* flags; 0 if it is no list of these. */
unsigned int stamping_parse(const char *text);

/* Stamps what the targets' devices send, as long as *stamp is open; `targets` must outlive it. EXIT_DONE, or
 * the exit code after saying why not. */
int stamping_open(struct stamp **stamp, unsigned int protocols, const struct targets *targets,
		  const struct filter *filter);

#endif
