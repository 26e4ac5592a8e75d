/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * topology.h - what follows what: the events of one packet as a tree.
 *
 * A packet that a switch floods, or a rule mirrors, is seen by probes that do not lie behind each other,
 * in an order that only says who was faster. Where the sighting before a sighting was, is told by the
 * media that the recorder knows (struct probe): the end of a wire follows its other end, the ports that
 * a switch sends from follow the one that it received at. Across a probe that did not see the packet,
 * too: then what lies before that probe is looked at.
 *
 * Where no medium is known, order of time decides for packets that have not branched, and these say what
 * follows what for those that have. The answer is one of the probes alone, not of the times, so that all
 * orders in which copies overtake each other give the same tree.
 */
#ifndef VNT_TOPOLOGY_H
#define VNT_TOPOLOGY_H

#include "trace.h"

#define NO_PARENT UINT32_MAX

struct topology;

int topology_open(struct topology **topology, const struct trace_info *info); /* 0 or -ENOMEM */

/*
 * Of a packet's sightings in order of time, no probe twice: parents[i] is the number of the one that
 * came before the i-th, less than i, or NO_PARENT for the first and for what its sender's own host
 * heard of it. False if nothing tells, then *parents is undefined; another time it may be known: when
 * topology_lessons() has changed.
 */
bool topology_parents(struct topology *topology, const uint16_t *probes, size_t n,
		      uint32_t *parents);

uint32_t topology_lessons(const struct topology *topology);
void topology_close(struct topology *topology); /* accepts NULL */

#endif
