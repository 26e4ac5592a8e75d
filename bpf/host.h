/* SPDX-License-Identifier: GPL-2.0-only */
/* host.h - who this domain is and what its clocks say. */
#ifndef VNT_HOST_H
#define VNT_HOST_H

#include "lib/trace.h"

/* Fills *domain; `name` NULL means the host name. 0 or -errno. */
int host_domain(struct domain *domain, const char *name);

/* CLOCK_MONOTONIC as bpf_ktime_get_ns() counts it: without the time namespace's offset. */
uint64_t host_now_ns(const struct domain *domain);

/* One bracketed reading of all clocks. */
void host_anchor(const struct domain *domain, struct anchor_row *anchor);

#endif
