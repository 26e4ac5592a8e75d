/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * segments.h - stage behind join.h: super-packets, and the segments that they are elsewhere; datagrams, and
 * their fragments.
 *
 * With offloads on, one packet of a probe (TSO, GSO, GRO) is many at another one. Of TCP data, two
 * packets are of the same transmission if they share bytes, the TSval, and the IP ID where they overlap:
 * it counts up from segment to segment, or is the same in all. Of UDP the probes cut super-packets up
 * themselves (datagrams.h); what is left is that of some the IP ID is a guess, see segments_udp.c. For
 * datagrams of IPv4 see segments_fragments.c.
 *
 * What comes out is cut at the ends of all packets that overlap, and goes where any of them was seen: so
 * it is the segment on the wire where one was seen, else the super-packet. Once a flow's segments were
 * seen, those of its super-packets that nobody saw are cut out too.
 *
 * Flows without super-packets and fragments go straight through. Those of flows with them come out a horizon
 * later, since until then something may come that overlaps; within a flow they stay in order of their first
 * sighting. They are held for another horizon, for others to be cut by.
 *
 * What is undecided may be one packet with something else that comes out.
 */
#ifndef VNT_SEGMENTS_H
#define VNT_SEGMENTS_H

#include "join.h"

struct flows;
struct segments;

int segments_open(struct segments **segments, uint64_t horizon_ns, journey_fn done, void *context);

/*
 * The flow has a super-packet at that time; said before it is joined. What it does to others does not
 * depend on when they come out of the join. 0 or -ENOMEM.
 */
int segments_expect(struct segments *segments, uint64_t flow, uint64_t time_ns);

bool segments_expected(const struct segments *segments,
		       uint64_t flow); /* was that said of the flow? */

/* Where the addresses of flows are known from, before fragments are expected: the datagrams of these are
 * joined with their later fragments. Outlives the segments. */
void segments_name(struct segments *segments, const struct flows *flows);

/* As segments_expect(), of a flow of later fragments (VNT_PACKET_LATER). */
int segments_expect_fragments(struct segments *segments, uint64_t flow, uint64_t time_ns);

/* Whether anything may come out late. */
bool segments_began(const struct segments *segments);

/* From here on datagrams may be missing where they were in a super-packet, as their ID was a guess. */
void segments_sample(struct segments *segments);

/* Hands out all that is before a journey of that flow, first seen then. *held: that one is to be put, and may
 * have to wait, or be cut; else it may be taken as it is. As segments_put(). */
int segments_reach(struct segments *segments, uint64_t flow, uint64_t time_ns, bool *held);
bool segments_idle(const struct segments *segments); /* no journey is held: nothing was expected */

/* A journey_fn, for join_open(): in order of their first sighting. 0, -ENOMEM, or what `done` returned. */
int segments_put(void *segments, const struct journey *journey);
int segments_flush(struct segments *segments);  /* hands out everything */
void segments_close(struct segments *segments); /* accepts NULL; hands nothing out */

#endif
