/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * budget.h - the sampling rate that keeps what tracing costs under a limit.
 *
 * The cost is what the programs ran, as a share of one CPU's time. Only a part of it goes down with the
 * rate, as the packets that are left out are looked at too: so the rate is approached in steps. It is
 * lowered at once, and raised only after a while of quiet.
 */
#ifndef VNT_BUDGET_H
#define VNT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_FLOOR 0xffffu /* threshold of 1 packet in 65536: lower would say nothing any more */

struct budget {
	double limit;       /* 0.01: one percent of one CPU; 0: there is no limit */
	uint32_t ceiling;   /* threshold (sample.h) that was asked for */
	uint32_t threshold; /* ... that holds now */
	uint64_t time_ns;   /* of the last look */
	uint64_t run_ns;    /* up to then */
	unsigned int quiet; /* looks in a row that found room */
	bool exhausted;     /* was over the limit at the lowest rate */
};

void budget_start(struct budget *budget, double limit, uint32_t ceiling, uint64_t now_ns);

/* `run_ns` is the total of the programs' run time. Returns the threshold that is to hold from now on. */
uint32_t budget_look(struct budget *budget, uint64_t now_ns, uint64_t run_ns);

#endif
