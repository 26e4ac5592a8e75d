/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tracer.h - the BPF programs of one recording: loaded, attached, and their rings read.
 *
 * Everything is held by file descriptors of this process: when it ends, however it ends, the kernel
 * detaches the programs and frees the maps.
 */
#ifndef VNT_TRACER_H
#define VNT_TRACER_H

#include "shared.h"
#include "lib/devtable.h"
#include "lib/filter.h"
#include "lib/ring.h"
#include "lib/sample.h"
#include "lib/trace.h"

#define TRACER_REASON_MAX 512

struct tracer;

struct tracer_options {
	const struct devtable_probe *probes; /* their places are their numbers in the events */
	size_t nprobes;
	const struct filter *filter; /* NULL: everything */
	const uint16_t *vxlan_ports; /* as vnt_ports_set() takes them */
	size_t nvxlan_ports;
	uint32_t ring_slots; /* per CPU, a power of two */
	bool portable;       /* use only what every supported kernel has */
	bool unattached;     /* load the program for tc only, for BPF_PROG_TEST_RUN */
	bool measure;        /* switch on the kernel's BPF run-time statistics */
	bool sampling;       /* tracer_sample() may be used */
	enum vnt_id id;      /* what names a packet */
	log_fn log;          /* libbpf's messages and the verifier's, line by line; or NULL */
	void *log_context;
};

/* One per tracepoint, and the one for tc. */
enum tracer_program {
	TRACER_RX = VNT_RX,
	TRACER_TX = VNT_TX,
	TRACER_TC,
	TRACER_PROGRAMS
};

/* What a program did so far. */
struct tracer_cost {
	uint64_t runs; /* this and run_ns are 0 unless `measure` was set */
	uint64_t run_ns;
	uint64_t missed; /* runs the kernel skipped because the program interrupted itself */
};

/* 0 if this process may trace here, else -EPERM or -ENOTSUP with one line in `reason`. */
int tracer_check(char *reason);

/* Loads and attaches; packets are observed when it returns. 0, or -errno with one line in `reason`
 * (TRACER_REASON_MAX bytes). */
int tracer_open(struct tracer **tracer, const struct tracer_options *options, char *reason);

unsigned int tracer_cpus(const struct tracer *tracer);

/* How many slots have ever been reserved on this CPU. */
uint64_t tracer_head(const struct tracer *tracer, unsigned int cpu);

/* Position of the slot that tracer_next() would return. */
uint64_t tracer_position(const struct tracer *tracer, unsigned int cpu);

/* The first slot of the next published record of this CPU, or NULL. It is valid until tracer_release(), and so
 * are those that follow it: the last one's position is one before that of the next record. */
const struct vnt_slot *tracer_next(struct tracer *tracer, unsigned int cpu);
const struct vnt_slot *tracer_slot(const struct tracer *tracer, unsigned int cpu,
				   uint64_t position);
void tracer_release(struct tracer *tracer, unsigned int cpu);

/* What the probe did not keep on that CPU so far. */
struct vnt_count tracer_count(const struct tracer *tracer, unsigned int cpu, unsigned int probe);

/* From now on keeps what vnt_sample_level() puts at or below the threshold; programs that are running
 * may have read the one before. Everything is kept at first. */
void tracer_sample(struct tracer *tracer, uint32_t threshold);

int tracer_costs(const struct tracer *tracer,
		 struct tracer_cost costs[TRACER_PROGRAMS]);                     /* 0 or -errno */
int tracer_program_fd(const struct tracer *tracer, enum tracer_program program); /* the tracer's */

/* Stops observing: when it returns, no program runs any more. What lies in the rings stays. */
void tracer_detach(struct tracer *tracer);

void tracer_close(struct tracer *tracer); /* accepts NULL */

#endif
