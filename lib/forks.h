/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * forks.h - where the packets of one sequence of probes branched, and which way each copy went.
 *
 * Each copy's way is a path of its own, from the root of the tree (topology.h) to a leaf. What is found
 * is kept per sequence, with a mark at its path: a packet that did not branch costs a look at that.
 */
#ifndef VNT_FORKS_H
#define VNT_FORKS_H

#include "paths.h"
#include "topology.h"

/* The mark of a path: not looked at yet, of packets that do not branch, or the number of its fork. */
#define MARK_NEW   0
#define MARK_ONE   1
#define MARK_FORKS 2 /* and the number */

struct leaf {
	uint32_t path;
	uint32_t begin; /* into the positions of struct forks: as many as the path is long */
};

struct fork {
	uint32_t begin; /* into the leaves of struct forks; in order of their paths */
	uint32_t count; /* copies; 0 if nothing tells how they went */
	uint32_t lessons;
};

struct forks {
	struct topology *topology;
	struct fork *forks;
	size_t count;
	size_t room;
	struct leaf *leaves;
	size_t nleaves;
	size_t leaves_room;
	uint32_t *positions; /* of the leaf's probes in the whole sequence */
	size_t npositions;
	size_t positions_room;
	uint16_t *probes; /* scratch: one for each probe of the trace */
	uint32_t *parents;
	bool *inner;
};

int forks_open(struct forks **forks, const struct trace_info *info); /* 0 or -ENOMEM */

/*
 * *fork is NULL if packets that were seen at these probes, no probe twice, did not branch; else it lives
 * until the next call. Paths of copies are added to the paths; no others are to have marks. 0 or -ENOMEM.
 */
int forks_find(struct forks *forks, struct paths *paths, uint32_t path, const struct fork **fork);

/* Of a path that one was found for. */
static inline const struct fork *forks_of(const struct forks *forks, const struct path *path)
{
	return &forks->forks[path->mark - MARK_FORKS];
}

/* Did the copies go the same ways? */
bool forks_same(const struct forks *forks, const struct fork *a, const struct fork *b);
void forks_close(struct forks *forks); /* accepts NULL */

#endif
