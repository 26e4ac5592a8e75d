// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "array.h"
#include "forks.h"

int forks_open(struct forks **forks, const struct trace_info *info)
{
	struct forks *f = calloc(1, sizeof(*f));
	int err;

	*forks = NULL;
	if (!f)
		return -ENOMEM;
	err = topology_open(&f->topology, info);
	f->probes = calloc(info->nprobes + 1, sizeof(*f->probes));
	f->parents = calloc(info->nprobes + 1, sizeof(*f->parents));
	f->inner = calloc(info->nprobes + 1, sizeof(*f->inner));
	if (!f->probes || !f->parents || !f->inner)
		err = -ENOMEM;
	if (err)
		forks_close(f);
	else
		*forks = f;
	return err;
}

/* How far a sighting is from its root, itself included. */
static size_t forks_depth(const struct forks *forks, uint32_t sighting)
{
	size_t depth = 0;

	for (; sighting != NO_PARENT; sighting = forks->parents[sighting])
		depth++;
	return depth;
}

static int forks_add_leaf(struct forks *forks, struct paths *paths, uint32_t sighting)
{
	struct leaf leaf = {.path = PATH_EMPTY, .begin = forks->npositions};
	size_t depth = forks_depth(forks, sighting);
	int err;

	err = array_reserve(&forks->leaves, &forks->leaves_room, forks->nleaves + 1,
			    sizeof(*forks->leaves));
	if (!err)
		err = array_reserve(&forks->positions, &forks->positions_room,
				    forks->npositions + depth, sizeof(*forks->positions));
	if (err)
		return err;
	forks->npositions += depth;
	for (size_t i = depth; i-- > 0; sighting = forks->parents[sighting])
		forks->positions[leaf.begin + i] = sighting;
	for (size_t i = 0; i < depth && !err; i++)
		err = paths_extend(paths, leaf.path,
				   forks->probes[forks->positions[leaf.begin + i]], &leaf.path);
	forks->leaves[forks->nleaves++] = leaf;
	return err;
}

static int compare_leaves(const void *left, const void *right)
{
	const struct leaf *a = left, *b = right;

	return (a->path > b->path) - (a->path < b->path);
}

/* *fork has no leaf if it is not one, or cannot be told. */
static int forks_part(struct forks *forks, struct paths *paths, uint32_t path, struct fork *fork,
		      bool *known)
{
	size_t n = paths->paths[path].length, count = 0;
	int err = 0;

	paths_probes(paths, path, forks->probes);
	*known = topology_parents(forks->topology, forks->probes, n, forks->parents);
	*fork = (struct fork){.begin = forks->nleaves,
			      .lessons = topology_lessons(forks->topology)};
	if (!*known)
		return 0;
	memset(forks->inner, 0, n * sizeof(*forks->inner));
	for (size_t i = 0; i < n; i++)
		if (forks->parents[i] != NO_PARENT)
			forks->inner[forks->parents[i]] = true;
	for (size_t i = 0; i < n; i++)
		count += !forks->inner[i];
	for (size_t i = 0; i < n && count > 1 && !err; i++)
		if (!forks->inner[i])
			err = forks_add_leaf(forks, paths, i);
	fork->count = forks->nleaves - fork->begin;
	if (fork->count)
		qsort(forks->leaves + fork->begin, fork->count, sizeof(*forks->leaves),
		      compare_leaves);
	return err;
}

int forks_find(struct forks *forks, struct paths *paths, uint32_t path, const struct fork **fork)
{
	uint32_t mark = paths->paths[path].mark;
	struct fork found;
	bool known;
	int err;

	*fork = NULL;
	if (mark == MARK_ONE)
		return 0;
	if (mark >= MARK_FORKS) {
		*fork = &forks->forks[mark - MARK_FORKS];
		if ((*fork)->count || (*fork)->lessons == topology_lessons(forks->topology))
			return 0;
	}
	err = array_reserve(&forks->forks, &forks->room, forks->count + 1, sizeof(*forks->forks));
	if (!err)
		err = forks_part(forks, paths, path, &found, &known);
	if (err)
		return err;
	if (known && !found.count) {
		paths->paths[path].mark = MARK_ONE;
		*fork = NULL;
		return 0;
	}
	if (mark == MARK_NEW)
		mark = MARK_FORKS + forks->count++;
	paths->paths[path].mark = mark;
	forks->forks[mark - MARK_FORKS] = found;
	*fork = &forks->forks[mark - MARK_FORKS];
	return 0;
}

bool forks_same(const struct forks *forks, const struct fork *a, const struct fork *b)
{
	if (!a->count || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (forks->leaves[a->begin + i].path != forks->leaves[b->begin + i].path)
			return false;
	return true;
}

void forks_close(struct forks *forks)
{
	if (!forks)
		return;
	topology_close(forks->topology);
	free(forks->forks);
	free(forks->leaves);
	free(forks->positions);
	free(forks->probes);
	free(forks->parents);
	free(forks->inner);
	free(forks);
}
