/* SPDX-License-Identifier: GPL-2.0-only */
/* targets.h - from the probes a user asked for to the probes that can be traced here. */
#ifndef VNT_TARGETS_H
#define VNT_TARGETS_H

#include "bpf/device.h"
#include "bpf/tracer.h"
#include "options.h"
#include "lib/trace.h"

struct targets {
	struct spec *specs;
	size_t nspecs;
	size_t missing; /* specs that not everything was found for */
	struct device_list list;
	struct trace_info info;        /* one domain; probes as below */
	struct devtable_probe *probes; /* per probe: what to attach */
	size_t *devices;               /* per probe: index into list */
	bool *ended;                   /* per probe: its device is gone */
	size_t nprobes;
	size_t probes_room;
	size_t devices_room;
	size_t left; /* probes whose device is still there */
};

/* Fills specs; EXIT_DONE, or the exit code after saying why not. */
int targets_parse(struct targets *targets, const struct string_list *interfaces,
		  const struct string_list *probes);

/* Resolves the specs and names the probes; `domain` NULL means the host name. EXIT_DONE, or the exit
 * code: with `strict` if anything is missing, else only if nothing is left. */
int targets_find(struct targets *targets, const char *domain, bool strict);

void targets_release(struct targets *targets);

#endif
