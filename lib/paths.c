// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "array.h"
#include "paths.h"

int paths_extend(struct paths *paths, uint32_t from, uint16_t probe, uint32_t *path)
{
	uint64_t key = (uint64_t)from << 16 | probe;
	struct path *added;
	int err;

	*path = map_find(&paths->children, key);
	if (*path != MAP_NONE)
		return 0;
	err = array_reserve(&paths->paths, &paths->room, paths->count + 1, sizeof(*paths->paths));
	if (!err)
		err = map_add(&paths->children, key, paths->count);
	if (err)
		return err;
	*path = paths->count++;
	added = &paths->paths[*path];
	*added = from == PATH_EMPTY ? (struct path){0} : paths->paths[from];
	added->parent = from;
	added->probe = probe;
	added->mark = 0;
	added->packets = 0;
	if (added->length < PATH_FEW)
		added->probes[added->length] = probe;
	added->length++;
	return 0;
}

bool paths_contains(const struct paths *paths, uint32_t whole, uint32_t part)
{
	const struct path *table = paths->paths;

	while (whole != PATH_EMPTY && part != PATH_EMPTY) {
		if (table[whole].length < table[part].length)
			return false;
		if (table[whole].probe == table[part].probe)
			part = table[part].parent;
		whole = table[whole].parent;
	}
	return part == PATH_EMPTY;
}

void paths_probes(const struct paths *paths, uint32_t path, uint16_t *probes)
{
	for (; path != PATH_EMPTY; path = paths->paths[path].parent)
		probes[paths->paths[path].length - 1] = paths->paths[path].probe;
}

void paths_release(struct paths *paths)
{
	free(paths->paths);
	map_release(&paths->children);
	*paths = (struct paths){0};
}
