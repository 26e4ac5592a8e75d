/* SPDX-License-Identifier: GPL-2.0-only */
/* nest.h - what nest.bpf.c and nest.c agree on. */
#ifndef NEST_H
#define NEST_H

#include "lib/layout.h"
#include "lib/ring.h"

#define NEST_SYSCALL 110 /* getppid: whoever calls it makes the task's program run */
#define NEST_BURST   16  /* records of one run, so that there is time to be interrupted */
#define NEST_LARGE   3   /* slots of every other record */
#define NEST_TICK_NS 50000

enum nest_context {
	NEST_TASK,
	NEST_SOFTIRQ,
	NEST_HARDIRQ,
	NEST_NMI,
	NEST_CONTEXTS,
};

/* One per CPU. Each context counts its own; none is ever nested in itself. */
struct nest_counts {
	__u64 depth; /* records being written now */
	__u64 attempted[NEST_CONTEXTS];
	__u64 dropped[NEST_CONTEXTS];
	__u64 nested[NEST_CONTEXTS]; /* records begun while others were being written */
	__u64 deeper;                /* ... while two or more were */
	__u64 pad[2];
};
_Static_assert(sizeof(struct nest_counts) % VNT_LINE == 0, "CPUs share no line");

/* What slot `follow` of a record is filled with. */
static __always_inline __u8 nest_byte(enum nest_context context, __u64 number, __u32 follow)
{
	return number * 8 + context * 2 + follow;
}

#endif
