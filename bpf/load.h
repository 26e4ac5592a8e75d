/* SPDX-License-Identifier: GPL-2.0-only */
/* load.h - from an embedded object to loaded programs; used by tracer.c and stamp.c only. */
#ifndef VNT_LOAD_H
#define VNT_LOAD_H

#include "tracer.h"

struct probes_bpf;
struct bpf_program;

/* The skeleton, loaded and not yet attached, and its programs that are to be attached: of each
 * direction that a probe looks in, or the one for tc. 0, or -errno with one line in `reason`. */
int load_probes(struct probes_bpf **skeleton, struct bpf_program *programs[TRACER_PROGRAMS],
		const struct tracer_options *options, const struct devtable *table,
		unsigned int cpus, char *reason);

/* What is loaded in between gets the filter of these options, and what libbpf says goes to their log. 0
 * or -errno. */
int load_begin(const struct tracer_options *options);
void load_end(void);

#endif
