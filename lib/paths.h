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
#include <string.h>

#include "map.h"

#define PATH_EMPTY MAP_NONE

#define PATH_FEW 8

struct path {
	uint32_t parent; /* or PATH_EMPTY */
	uint32_t length;
	uint32_t mark; /* what its user knows of it; 0 at first */
	uint16_t probe;
	uint16_t probes[PATH_FEW]; /* all of them, and zeros; unless it is longer */
	uint64_t packets;          /* that its user counts */
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

/* Are these its probes? count <= PATH_FEW; what is behind them in `probes` is any. */
static inline bool path_is_few(const struct path *path, const uint16_t probes[PATH_FEW],
			       uint32_t count)
{
	/* From the middle on, so that as many come first. */
	static const uint16_t masks[2 * PATH_FEW] = {UINT16_MAX, UINT16_MAX, UINT16_MAX,
						     UINT16_MAX, UINT16_MAX, UINT16_MAX,
						     UINT16_MAX, UINT16_MAX};
	uint64_t want[2], got[2], mask[2];

	_Static_assert(sizeof(want) == sizeof(path->probes), "compared as two words");
	if (path->length != count)
		return false;
	memcpy(want, path->probes, sizeof(want));
	memcpy(got, probes, sizeof(got));
	memcpy(mask, masks + PATH_FEW - count, sizeof(mask));
	return !(((want[0] ^ got[0]) & mask[0]) | ((want[1] ^ got[1]) & mask[1]));
}

/* Is `part` what remains of `whole` when none or some of its probes are left out? */
bool paths_contains(const struct paths *paths, uint32_t whole, uint32_t part);

/* Writes the path's probes, paths->paths[path].length of them. */
void paths_probes(const struct paths *paths, uint32_t path, uint16_t *probes);
void paths_release(struct paths *paths);

#endif
