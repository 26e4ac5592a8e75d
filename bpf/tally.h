/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tally.h - what a recording did not keep, and what it cost: LOSS and COST rows.
 *
 * Every packet that a probe matched is an event of the trace or in one of these counts.
 */
#ifndef VNT_TALLY_H
#define VNT_TALLY_H

#include "tracer.h"
#include "lib/writer.h"

/* Of one probe on one CPU. */
struct tally_count {
	struct vnt_count known; /* at the last look */
	struct vnt_count fresh; /* not yet in the trace */
	uint64_t first_ns;      /* of what is fresh */
	uint64_t last_ns;
};

struct tally {
	const struct trace_info *info;
	struct tracer *tracer;
	struct writer *writer;
	uint64_t opened_ns;
	uint64_t looked_ns;  /* at the counts */
	uint64_t written_ns; /* up to here all is in the trace */
	uint64_t start_cpu_ns;
	struct tally_count *counts; /* per CPU and probe */
	uint64_t *unwritten;        /* per probe, not yet in the trace */
	struct loss_row *rows;      /* being written */
	size_t nrows;
	uint64_t last_written_ns;
	struct tracer_cost costs[TRACER_PROGRAMS]; /* at the last look */
	uint64_t lost;                             /* sampled out is not lost */
	uint64_t sampled;
};

/* Begins at `now_ns`; what was not kept before is not the recording's. 0 or -ENOMEM. */
int tally_open(struct tally *tally, struct tracer *tracer, struct writer *writer,
	       const struct trace_info *info, uint64_t now_ns);

/* An event that the rate in force leaves out, although the program still kept it. */
void tally_sampled(struct tally *tally, const struct vnt_event *event);

/* An event that could not be written. */
void tally_unwritten(struct tally *tally, const struct vnt_event *event);

/* Reads the programs' counts: what came to them since the last look came at that time. */
void tally_look(struct tally *tally, uint64_t now_ns);

/* Writes what came to it since the last time, and the cost of `events` so far. 0 or -errno. */
int tally_write(struct tally *tally, uint64_t now_ns, uint64_t events);

/* Tries the last time's rows once more, with `count` events that were taken out of the file again. */
int tally_rewrite(struct tally *tally, size_t count, uint64_t now_ns);

struct tracer_cost tally_cost(const struct tally *tally); /* of all programs */
uint64_t tally_cpu_ns(const struct tally *tally);         /* the recorder's own, so far */
void tally_release(struct tally *tally);                  /* all zero is fine */

#endif
