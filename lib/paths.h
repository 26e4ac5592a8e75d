/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * paths.h - sequences of probes, each with one number.
 *
 * Kept as a tree: a path is its parent and one probe more, so equal sequences are equal numbers and
 * common beginnings are stored once.
 */
#ifndef VNT_PATHS_H
#define VNT_PATHS_H

#include <stdbool.h>

#include "map.h"

#define PATH_EMPTY MAP_NONE

struct path {
	uint32_t parent; /* or PATH_EMPTY */
	uint16_t probe;
	uint32_t length;
	uint32_t mark; /* what its user knows of it; 0 at first */
};

/* All zero holds no paths. */
struct paths {
	struct path *paths;
	size_t count;
	size_t room;
	struct map children; /* parent and probe -> path */
};

/* *path becomes the path `from` with `probe` at its end. 0 or -ENOMEM. */
int paths_extend(struct paths *paths, uint32_t from, uint16_t probe, uint32_t *path);

/* Is `part` what remains of `whole` when none or some of its probes are left out? */
bool paths_contains(const struct paths *paths, uint32_t whole, uint32_t part);

/* Writes the path's probes, paths->paths[path].length of them. */
void paths_probes(const struct paths *paths, uint32_t path, uint16_t *probes);
void paths_release(struct paths *paths);

#endif
