/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * recorder.h - one recording: rings -> one order of time -> trace file.
 *
 * A recording covers [start, stop) exactly: every probe was active throughout, unless an EPOCH row
 * says otherwise. Not thread-safe. Call recorder_tick() after every recorder_patience().
 */
#ifndef VNT_RECORDER_H
#define VNT_RECORDER_H

#include "tracer.h"
#include "lib/writer.h"

struct recorder;

struct recorder_options {
	struct tracer_options tracer;
	const struct trace_info *info; /* one domain; its probes are tracer.probes, in order */
	int fd;                        /* stays the caller's */
	uint64_t max_events;           /* stop after these; 0: no limit */
	uint64_t duration_ns;          /* stop after this; 0: no limit */
	uint32_t threshold;            /* of sample.h: the packets that are kept */
	double max_overhead;           /* of budget.h, lowers the threshold; 0: no limit */
	stop_fn stop;                  /* true when the caller wants to stop; or NULL */
	void *stop_context;
};

struct recorder_summary {
	uint64_t events;
	uint64_t lost;
	uint64_t sampled; /* left out by the sampling rate */
	uint64_t bytes;
	uint64_t duration_ns;
	uint64_t tracer_cpu_ns;
	struct tracer_cost cost;
	uint32_t threshold; /* at the end */
	bool exhausted;     /* max_overhead was exceeded at the lowest rate */
};

/* Starts tracing. 0, or -errno with one line in `reason` (TRACER_REASON_MAX bytes). `options->info`
 * must outlive the recorder. */
int recorder_open(struct recorder **recorder, const struct recorder_options *options, char *reason);

/* Drains the rings and writes what is due. 1: the limit of events or time is reached; 0; -errno of
 * the write, after which only recorder_finish() is left to call. */
int recorder_tick(struct recorder *recorder);

/* How many nanoseconds the next tick may wait: 25 ms, less if the rings fill faster or something is due
 * before. */
uint64_t recorder_patience(const struct recorder *recorder);

/* The probe can see nothing from `time_ns` on (CLOCK_MONOTONIC as the events have it). */
int recorder_end_probe(struct recorder *recorder, uint16_t probe, uint64_t time_ns);

/* Stops tracing, writes the rest, fills *summary. 0 or -errno of the write; what was not written is
 * counted as lost. */
int recorder_finish(struct recorder *recorder, struct recorder_summary *summary);

void recorder_close(struct recorder *recorder); /* accepts NULL */

#endif
