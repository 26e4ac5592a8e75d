/* SPDX-License-Identifier: GPL-2.0-only */
/* clock_stage.h - the hosts of a scene and all that they see, before it is written to files. */
#ifndef VNT_TESTS_CLOCK_STAGE_H
#define VNT_TESTS_CLOCK_STAGE_H

#include "clock_scene.h"
#include "lib/trace.h"

#define START_NS  5e9 /* true time of the first packet */
#define SECOND    1e9
#define TICK_FLOW 100000 /* and the number of the host; the key is that of the tick */

/* True times are nanoseconds. */
struct host {
	double offset_ns;
	double drift;
	double wander;
	double period_ns;
	double phase;
	double ntp; /* the lasting correction of its frequency */
	double slew;
	double slew_from_ns;
	double slew_to_ns;
	double step_at_ns; /* the raw clock gains step_ns here */
	double step_ns;
	double slept_at_ns; /* both clocks stand still for sleep_ns, and nothing is seen */
	double sleep_ns;
	double moved; /* change of drift from then on */
	struct vnt_event *events;
	size_t count;
	size_t room;
};

struct stage {
	const struct scene *scene;
	uint64_t random;
	struct host hosts[SCENE_HOSTS_MAX];
	uint64_t packets;
	double ticks[SCENE_HOSTS_MAX][SCENE_TICKS];
};

uint64_t next_random(uint64_t *state);
double uniform(struct stage *stage); /* above 0 and up to 1 */
double between(struct stage *stage, double from, double to);

long double awake(const struct host *host, double true_ns);      /* time not asleep */
long double raw_clock(const struct host *host, double true_ns);  /* CLOCK_MONOTONIC_RAW */
long double mono_clock(const struct host *host, double true_ns); /* CLOCK_MONOTONIC */

double jump_of(const struct scene *scene); /* true time of what happens in the middle */

/* Time stamp counter of a host, 2.5 GHz by the crystal of scene->vms_by: a guest's is that of this one, scaled and shifted. */
uint64_t counter(const struct stage *stage, size_t host, double true_ns);

/* What it says of the one of a host. */
struct vm_row vm_of(const struct stage *stage, size_t host, double true_ns);

/* To be freed, and each host's events. */
struct stage *set_stage(const struct scene *scene, uint64_t seed);

#endif
