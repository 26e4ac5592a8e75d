/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * report.h - what a report says: the schema vnettrace.report/1 as plain data.
 *
 * stats_report() fills it, the formats of format.h print it. Names of probes are full
 * ("domain/probe"). Times and durations are nanoseconds.
 */
#ifndef VNT_REPORT_H
#define VNT_REPORT_H

#include "trace.h"

struct latency {
	uint64_t count; /* if 0, all else is 0 */
	int64_t min_ns;
	int64_t mean_ns;
	int64_t p50_ns;
	int64_t p90_ns;
	int64_t p99_ns;
	int64_t p999_ns;
	int64_t max_ns;
	int64_t jitter_ns; /* RFC 3550, 6.4.1 */
	int64_t bound_ns;  /* or CLOCK_UNBOUNDED */
};

struct domain_report {
	const struct domain *domain;
	uint64_t events;
	uint64_t lost; /* by the tracer */
	uint64_t sampled_out;
	uint64_t first_ns;
	uint64_t last_ns;
};

struct probe_report {
	const char *name; /* full */
	uint16_t domain;
	uint64_t events;
	uint64_t packets; /* distinct packets */
	uint64_t bytes;   /* this and the rates: with what was sampled out */
	double throughput_bps;
	double packet_rate;
	uint64_t lost; /* by the tracer */
	uint64_t sampled_out;
};

struct hop_report {
	uint16_t from; /* index into probes */
	uint16_t to;
	bool cross_domain;
	double share; /* of the end-to-end mean, 0 to 1 */
	struct latency latency;
};

struct path_report {
	uint16_t *probes;
	size_t nprobes;
	uint64_t packets;
	uint64_t reordered; /* RFC 4737, 3: of each flow, from the first probe to the last */
	struct latency end_to_end;
	struct hop_report *hops; /* nprobes - 1; their means add up to end_to_end.mean_ns */
};

struct loss_report {
	uint16_t from;
	uint16_t to;
	uint64_t sent;
	uint64_t received;
	uint64_t lost;
	uint64_t sent_bytes;
	uint64_t received_bytes;
	uint64_t lost_bytes;
	double ratio;
	double ratio_min;
	double ratio_max;
};

struct flow_report {
	struct vnt_flow flow;
	uint64_t hash;
	bool known;       /* the 5-tuple is known; else only the hash */
	uint64_t packets; /* this, bytes and throughput: with an estimate of what was sampled out */
	uint64_t bytes;
	double throughput_bps;
	double loss_ratio;
	struct latency latency;
	struct vnt_flow *translated; /* what hosts on the way made of it, the first one first */
	size_t ntranslated;
};

struct cpu_report {
	uint16_t probe;
	uint16_t cpu;
	uint64_t events;
};

/* Events that the tracer did not keep. */
struct ledger_report {
	uint16_t domain;
	uint16_t probe; /* or ANY_PROBE */
	uint16_t cpu;   /* or ANY_CPU */
	uint16_t cause; /* enum loss_cause */
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t count;
};

/* What one BPF program cost. */
struct program_report {
	uint16_t domain;
	uint64_t program; /* enum cost_program, or one of a newer version */
	uint64_t runs;
	uint64_t run_ns;
};

/* Packets that a probe saw in one tunnel. */
struct tunnel_report {
	uint16_t probe;
	uint64_t hash;
	uint64_t packets;
	struct vnt_tunnel tunnel; /* of kind VNT_TUNNEL_NONE: only the hash is known */
};

struct report {
	struct domain_report *domains;
	size_t ndomains;
	struct range_row *ranges; /* of domains, each one's in order of time */
	size_t nranges;
	struct probe_report *probes;
	size_t nprobes;
	uint64_t observed, complete, partial, ambiguous;
	uint64_t copies;           /* journeys beyond the first of each packet */
	struct path_report *paths; /* full paths, most packets first */
	size_t npaths;
	struct loss_report *losses;
	size_t nlosses;
	struct flow_report *flows; /* most bytes first */
	size_t nflows;
	struct cpu_report *cpus;
	size_t ncpus;
	struct tunnel_report *tunnels; /* by probe, most packets first */
	size_t ntunnels;
	struct ledger_report *ledger;
	size_t nledger;
	struct program_report *programs; /* none unless measured */
	size_t nprograms;
	uint64_t overhead_events;
	double run_ns_per_event; /* of the programs, runs that record nothing included; 0 unless measured */
	double tracer_cpu_seconds;
};

void report_release(struct report *report);

#endif
