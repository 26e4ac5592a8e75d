/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace.h - the data that flows through every pipe: source -> stages -> sink.
 *
 * A source (trace file, merge of several) yields batches; a sink (trace file,
 * statistics) takes them. A batch is an array of rows of one type. Rows refer
 * to probes and domains by index into the tables of struct trace_info.
 */
#ifndef VNT_TRACE_H
#define VNT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

#define CLOCK_UNBOUNDED (-1) /* a bound that no packet proves */
#define ANY_PROBE       UINT16_MAX
#define ANY_CPU         UINT16_MAX
#define MAX_PROBES      65535
#define MAX_DOMAINS     4096

/* How a domain's times became times of the reference domain. */
struct clock_fit {
	char method[16];   /* "reference", "same", "packets", "tsc", "file", "realtime", "none" */
	int64_t offset_ns; /* added to the domain's times, at its first event */
	double drift_ppm;
	int64_t bound_ns;  /* hard bound on the error of a time; CLOCK_UNBOUNDED, as any below 0 */
	uint64_t rejected; /* packets left out of the estimate, as their times were impossible */
	int64_t scatter_ns; /* standard error of the estimate, not counting what no packet can show */
};

struct domain {
	char name[65];
	char hostname[65];
	char kernel[65];
	char boot_id[37];
	char clock_source[33];
	int64_t timens_monotonic_ns; /* time namespace offsets of the recorder */
	int64_t timens_boottime_ns;
	struct clock_fit clock;
	uint16_t id;         /* enum vnt_id: what names its packets */
	uint64_t horizon_ns; /* how long packets may be under way, as a merge was told; or 0 */
};

/* On disk: numbers never change. */
enum probe_direction {
	DIRECTION_UNKNOWN,
	DIRECTION_RX, /* into the network namespace */
	DIRECTION_TX, /* out of it */
};

/*
 * A medium carries packets from where one probe may look to where others may: a wire, a switch, what
 * lies on top of a device. The same number means the same medium in all traces of one boot ID.
 */
#define MEDIUM_UNKNOWN 0
#define MEDIUM_OUTSIDE 1 /* a wire whose other end this kernel does not know */

struct probe {
	char name[129]; /* as the user asked for it, with the direction: "dev:eth0:tx" */
	uint16_t domain;
	uint8_t recording[16]; /* random; one per run of the recorder */
	uint64_t netns;        /* inode of the network namespace, 0 if none */
	uint32_t ifindex;      /* 0 if none */
	uint16_t direction;    /* enum probe_direction */
	uint64_t from;         /* the medium that packets come from */
	uint64_t to;           /* ... and the one that they go to */
	uint32_t input;        /* of a merge; not in files */
};

/* Plain data, owned by whoever filled it; release with trace_info_release(). */
struct trace_info {
	struct domain *domains;
	size_t ndomains;
	struct probe *probes;
	size_t nprobes;
};

int trace_info_add_domain(struct trace_info *info,
			  const struct domain *domain);                       /* index or -errno */
int trace_info_add_probe(struct trace_info *info, const struct probe *probe); /* index or -errno */
void trace_info_release(struct trace_info *info);

/* Of a flow hash, those bits that name a packet: all, or none where its key does so alone. */
uint64_t trace_flow_mask(const struct trace_info *info);

/* The 5-tuple behind a flow hash. */
struct flow_row {
	uint64_t hash;
	struct vnt_flow flow;
};

/* The tunnel behind a hash in the events. */
struct tunnel_row {
	uint64_t hash;
	struct vnt_tunnel tunnel;
};

/* As struct vnt_translation. It comes before any event that is younger than its time minus this. */
#define TRANSLATION_LEAD_NS 5000000ull

struct translation_row {
	uint64_t time_ns;
	uint64_t flow;
	uint64_t before;
	uint64_t probe;
};

const char *tunnel_kind_name(unsigned int kind); /* as in the reports; "other" if it has none */

/* One bracketed reading of the domain's clocks; `mono_ns` lies within +-width_ns/2 of the others. */
struct anchor_row {
	uint64_t mono_ns; /* as bpf_ktime_get_ns() counts: without time namespace offset */
	uint64_t raw_ns;
	uint64_t real_ns;
	uint64_t tai_ns;
	uint64_t boot_ns;
	uint64_t tsc; /* 0 where there is none */
	uint64_t width_ns;
	int64_t freq_scaled_ppm; /* adjtimex(2): ppm << 16 */
	int64_t adj_offset_ns;
	int64_t max_error_us;
	int64_t est_error_us;
	uint64_t adj_status;
	uint64_t domain;
	uint64_t ptp_ns;       /* a PTP clock, 0 where there is none, when ... */
	uint64_t ptp_real_ns;  /* ... CLOCK_REALTIME said so, */
	uint64_t ptp_width_ns; /* within half of this; 0: in one instant */
	uint64_t ptp_device;   /* 1 for /dev/ptp0 and so on; and ANCHOR_PTP_KVM */
};

/* The clock is CLOCK_REALTIME of the machine that this guest runs on. */
#define ANCHOR_PTP_KVM (1ull << 32)

/*
 * What KVM says, read in between two times, of the time stamp counter of a virtual machine that runs on this
 * domain: it shows (this domain's counter * ratio >> fraction_bits) + offset, modulo 2^64.
 */
struct vm_row {
	uint64_t domain;
	uint64_t before_ns;
	uint64_t after_ns;
	uint64_t vm; /* its process << 32, and the file descriptor that it has there */
	uint64_t offset;
	uint64_t ratio; /* 0: it is not the same on all of its CPUs */
	uint64_t fraction_bits;
};

/*
 * What is known of a domain's clock at times of the reference from from_ns on and before to_ns, if it is more
 * than what its clock_fit says of all times. It comes before any event.
 */
struct range_row {
	uint64_t domain;
	uint64_t from_ns;
	uint64_t to_ns;
	int64_t offset_ns; /* at from_ns; as in struct clock_fit */
	double drift_ppm;
	int64_t bound_ns;
};

/* On disk: numbers never change. */
enum loss_cause {
	LOSS_OTHER, /* one that this version has no name for */
	LOSS_RING_FULL,
	LOSS_WRITE_ERROR,
	LOSS_DAMAGED_FILE,
	LOSS_RECURSION, /* the kernel runs no program in itself: a probe interrupted itself */
	LOSS_SAMPLED,   /* on purpose: above the threshold of sample.h; nothing that was lost */
	LOSS_UNREAD,    /* the stamp lay where the probe cannot look (packet.h) */
	LOSS_CAUSES
};

const char *loss_cause_name(uint64_t cause); /* as in the reports; "other" if it has none */

/* Ledger: the tracer itself did not keep `count` events in [first_ns, last_ns]. */
struct loss_row {
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t count;
	uint64_t domain;
	uint64_t probe; /* or ANY_PROBE of the domain */
	uint64_t cpu;   /* or ANY_CPU */
	uint64_t cause;
	uint64_t bytes; /* sum of their lengths, 0 if not known; of LOSS_SAMPLED it is */
};

/*
 * The probe observed packets from here on (active = 1), or until here (0). An active one that is
 * observing already says its sampling rate from here on.
 */
struct epoch_row {
	uint64_t time_ns;
	uint64_t probe;
	uint64_t active;
	uint64_t sampling; /* ~threshold of sample.h, 32 bits: 0 keeps everything */
};

/* On disk: numbers never change. */
enum cost_program {
	PROGRAM_ALL, /* and the recorder itself */
	PROGRAM_DEV_RX,
	PROGRAM_DEV_TX,
	PROGRAMS
};

const char *cost_program_name(uint64_t program); /* as in the reports; "other" if it has none */

/*
 * What tracing cost up to now: totals since the start of the recording, the last row of each program
 * counts. That of PROGRAM_ALL holds all of it; the others say how `runs` and `run_ns` are divided.
 */
struct cost_row {
	uint64_t domain;
	uint64_t events;
	uint64_t runs; /* BPF program runs; 0 unless run-time statistics were on */
	uint64_t run_ns;
	uint64_t tracer_cpu_ns;
	uint64_t recording; /* first 8 bytes of the recording's id */
	uint64_t program;
};

/* Events of a probe on a CPU, of packets in a tunnel; there may be several rows for these. */
struct count_row {
	uint16_t probe;
	uint16_t cpu;
	uint32_t events;
	uint64_t outer; /* hash of the tunnel, or 0 */
	uint64_t bytes;
	uint64_t first_ns;
	uint64_t last_ns;
};

struct leg; /* legs.h */

enum batch_type {
	BATCH_EVENTS = 1,
	BATCH_FLOWS,
	BATCH_ANCHORS,
	BATCH_LOSSES,
	BATCH_EPOCHS,
	BATCH_COSTS,
	BATCH_TUNNELS,
	BATCH_TRANSLATIONS,
	BATCH_VMS,
	BATCH_RANGES,
	BATCH_COUNTS, /* of the events in legs that come behind them */
	BATCH_LEGS,   /* in place of events */
	BATCH_TYPES
};

/* Rows belong to the source and live until its next call. Events, and legs by their first one, are in time
 * order, within a batch and from batch to batch. */
struct batch {
	enum batch_type type;
	size_t count;
	union {
		const void *rows;
		const struct vnt_event *events;
		const struct flow_row *flows;
		const struct anchor_row *anchors;
		const struct loss_row *losses;
		const struct epoch_row *epochs;
		const struct cost_row *costs;
		const struct tunnel_row *tunnels;
		const struct translation_row *translations;
		const struct vm_row *vms;
		const struct range_row *ranges;
		const struct count_row *counts;
		const struct leg *legs;
	};
	uint64_t now_ns; /* of epochs from a merge: where they are in the order of time; else 0 */
	/* Of events, counts and legs from a reader: when the first and the last event was, by its clock. */
	uint64_t first_ns;
	uint64_t last_ns;
};

static inline bool batch_has_events(const struct batch *batch)
{
	return batch->count && (batch->type == BATCH_EVENTS || batch->type == BATCH_LEGS);
}

/* Where lib/ says what it can't return: a damaged range, a guess made. One line, no newline. */
typedef void (*log_fn)(void *context, const char *line);

#endif
