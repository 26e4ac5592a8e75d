/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_scene.h - hosts with clocks of their own that exchange packets, as trace files of known truth.
 *
 * Every host has a raw clock (offset, drift, wander), a monotonic clock that NTP slews, and anchors
 * read as the recorder reads them, with interruptions. Besides packets each host records ticks, evenly over
 * the whole trace: what merge makes of their times is held against the truth.
 */
#ifndef VNT_TESTS_CLOCK_SCENE_H
#define VNT_TESTS_CLOCK_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENE_HOSTS_MAX 16
#define SCENE_TICKS     1000

/* One direction of a path. Times are in us. */
struct scene_way {
	double base;
	double rate;       /* packets a second; negative: so many in all */
	double queue;      /* mean of what a packet waits if it does */
	double queue_odds; /* that it does */
	bool never_idle;   /* two waits, so that hardly a packet goes without */
	double from;       /* parts of the trace when packets of a negative rate begin and end */
	double to;         /* 0: the end */
};

enum scene_vms {
	VMS_NONE,
	VMS_SHOWN,     /* of the other hosts, and of one that is not traced */
	VMS_STRANGERS, /* only of such */
	VMS_TWINS,     /* of host 1 twice, 1 us apart */
	VMS_CHANGED,   /* as shown, but the counters are set at jump_at */
	VMS_UNSTEADY,  /* as shown, but by a host whose kernel does not go by its counter */
};

struct scene {
	const char *name;
	double seconds;
	size_t hosts;
	struct scene_way forth; /* from the host of lower number */
	struct scene_way back;
	double wander_ppm;
	double slew_ppm;   /* of the second host's monotonic clock, in a sixth of the trace */
	double early_odds; /* of a time 200 us early */
	double mesh;       /* part of all pairs that have a path; 0: each host with the first one */
	bool tree;         /* of a mesh only a spanning tree, breadth first */
	bool mixed;        /* the paths of a mesh are of different quality */
	bool forwards;     /* host 1 forwards, between 0 and 2 */
	bool apart;        /* packets go between 0 and 1, and between 2 and 3 */
	double liar_us;    /* host 1 has times so late for packets of host 2, and only these */
	double step_us;    /* the second host's raw clock jumps in the middle */
	double sleep_s;    /* the second host is suspended in the middle */
	bool unaware;      /* ... and its clocks do not tell: a guest that was paused */
	double wall_us;    /* the second host's CLOCK_REALTIME is set there */
	double jump_at;    /* part of the trace before all these; 0: half of it */
	double moved_ppm; /* change of its drift there: the machine it goes on with has another crystal */
	bool unanchored;
	enum scene_vms
		vms;   /* what a host says of the counters of its virtual machines, the others */
	size_t vms_by; /* that host */
	double target; /* for the 99th percentile of |error|, in us; 0: none */
};

struct scene_result {
	double *errors; /* in us, absolute, in order; owned */
	size_t count;
	size_t missed;     /* of those the errors that are beyond their host's bound at that time */
	size_t better;     /* times whose bound is less than half of their host's */
	size_t unbounded;  /* hosts */
	size_t not_fitted; /* hosts, clock neither from packets nor from counters */
	size_t counted;    /* hosts, clock from counters */
	double bound;      /* of a host, largest, in us */
	uint64_t rejected;
	double scatter; /* us, largest */
	char log[4096];
};

/* The scenarios with targets, and those beside them; the last one has no name. */
extern const struct scene scenes[];

/* Deterministic. Aborts the program where the library fails. */
void scene_run(const struct scene *scene, uint64_t seed, struct scene_result *result);
/* Writes the trace files h0.vnt, h1.vnt and so on to a folder. */
void scene_write(const struct scene *scene, uint64_t seed, const char *folder);
void scene_result_release(struct scene_result *result);

#endif
