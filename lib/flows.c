// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "flows.h"

_Static_assert(PATH_FEW == JOURNEY_INLINE, "they are compared");

uint32_t flows_find(struct flows *flows, uint64_t hash)
{
	uint32_t index = map_find(&flows->by_hash, hash);

	if (index != MAP_NONE)
		return index;
	if (array_reserve(&flows->flows, &flows->room, flows->count + 1, sizeof(*flows->flows)) ||
	    map_add(&flows->by_hash, hash, flows->count))
		return MAP_NONE;
	flows->flows[flows->count] = (struct flow){
		.hash = hash,
		.variants = NO_VARIANT,
		.recent = NO_VARIANT,
		.branched = MAP_NONE,
		.whole = PATH_EMPTY,
	};
	return flows->count++;
}

static void prefetch(const void *bytes, size_t size)
{
	for (size_t at = 0; at < size; at += 64)
		__builtin_prefetch((const char *)bytes + at);
}

void flows_prefetch(const struct flows *flows, const struct seat *seats, size_t count,
		    uint32_t *found)
{
	uint32_t recent[FLOWS_AHEAD];
	bool cached = flows_cached(flows);
	size_t n = 0;

	for (size_t i = 0; i < count && !cached; i++)
		map_prefetch(&flows->by_hash, seats[i].flow);
	for (size_t i = 0; i < count; i++) {
		found[i] = map_find(&flows->by_hash, seats[i].flow);
		if (!cached && found[i] != MAP_NONE)
			prefetch(&flows->flows[found[i]], offsetof(struct flow, tuple));
	}
	for (size_t i = 0; i < count && !cached; i++) {
		recent[n] = found[i] == MAP_NONE ? NO_VARIANT : flows->flows[found[i]].recent;
		if (recent[n] != NO_VARIANT)
			prefetch(&flows->variants[recent[n++]], offsetof(struct variant, watches));
	}
	for (size_t i = 0; i < n; i++)
		tracks_prefetch(&flows->variants[recent[i]].tracks);
}

int flows_name(struct flows *flows, const struct flow_row *row)
{
	uint32_t index = flows_find(flows, row->hash);

	if (index == MAP_NONE)
		return -ENOMEM;
	if (!flows->flows[index].known) {
		flows->flows[index].known = true;
		flows->flows[index].tuple = row->flow;
	}
	return 0;
}

const struct vnt_flow *flows_tuple(const struct flows *flows, uint64_t hash)
{
	uint32_t index = map_find(&flows->by_hash, hash);

	return index != MAP_NONE && flows->flows[index].known ? &flows->flows[index].tuple : NULL;
}

void flows_count(struct flows *flows, uint32_t index, uint32_t length, uint64_t time_ns)
{
	struct flow *flow = &flows->flows[index];

	if (!flow->packets || time_ns < flow->first_ns)
		flow->first_ns = time_ns;
	if (time_ns > flow->last_ns)
		flow->last_ns = time_ns;
	flow->packets++;
	flow->bytes += length;
}

void flows_weigh(struct flows *flows, uint32_t index, const struct weight *weight, uint32_t length)
{
	struct flow *flow = &flows->flows[index];

	flow->unseen_packets += weight->packets - 1;
	flow->unseen_bytes += (weight->packets - 1) * length;
	if (!(weight->units > 0) || (flow->units > 0 && flow->unit == weight->unit))
		return;
	if (!(flow->units > 0)) {
		flow->units = (double)(flow->packets - 1); /* before anything was left out */
		flow->first_units = flow->packets > 1 ? 1 : weight->units;
	}
	flow->units += weight->units;
	flow->last_units = weight->units;
	flow->unit = weight->unit;
}

/* Decides which variants of the flow are full, now that `added` is one of them. */
static void flows_settle(struct flows *flows, struct variant *added)
{
	const struct paths *paths = &flows->paths;

	added->full = true;
	for (uint32_t i = added->next; i != NO_VARIANT; i = flows->variants[i].next) {
		struct variant *other = &flows->variants[i];

		if (!other->full)
			continue;
		if (paths_contains(paths, other->path, added->path)) {
			added->full = false;
			return;
		}
		if (paths_contains(paths, added->path, other->path)) {
			other->full = false;
			tracks_drop(&other->tracks, &flows->backlog);
		}
	}
}

static int flows_add_variant(struct flows *flows, uint32_t flow, uint32_t path)
{
	struct variant *variant;
	int err;

	err = array_reserve(&flows->variants, &flows->variants_room, flows->nvariants + 1,
			    sizeof(*flows->variants));
	if (!err)
		err = map_add(&flows->by_variant, (uint64_t)flow << 32 | path, flows->nvariants);
	if (err)
		return err;
	variant = &flows->variants[flows->nvariants];
	*variant = (struct variant){
		.path = path,
		.next = flows->flows[flow].variants,
		.plain = PLAIN_NONE,
		.tracks.nhops = flows->paths.paths[path].length - 1,
	};
	flows->flows[flow].variants = flows->nvariants++;
	flows_settle(flows, variant);
	return 0;
}

static bool path_is(const struct paths *paths, uint32_t path, const struct sighting *seen, size_t n)
{
	if (paths->paths[path].length != n)
		return false;
	for (; path != PATH_EMPTY; path = paths->paths[path].parent) {
		if (paths->paths[path].probe != seen[--n].probe)
			return false;
	}
	return true;
}

static int flows_path(struct flows *flows, const struct sighting *seen, size_t n, uint32_t *path)
{
	int err = 0;

	*path = PATH_EMPTY;
	for (size_t i = 0; i < n && !err; i++)
		err = paths_extend(&flows->paths, *path, seen[i].probe, path);
	return err;
}

uint32_t flows_find_variant(const struct flows *flows, uint32_t flow, uint32_t path)
{
	return map_find(&flows->by_variant, (uint64_t)flow << 32 | path);
}

/* The flow's variant of that path; *variant lives until the next is added. */
static int flows_variant(struct flows *flows, uint32_t flow, uint32_t path,
			 struct variant **variant)
{
	uint32_t index = flows_find_variant(flows, flow, path);
	int err;

	if (index == NO_VARIANT) {
		err = flows_add_variant(flows, flow, path);
		if (err)
			return err;
		index = flows->nvariants - 1;
	}
	flows->flows[flow].recent = index;
	*variant = &flows->variants[index];
	return 0;
}

static int flows_count_branched(struct flows *flows, uint32_t flow, uint32_t path, uint32_t blind)
{
	uint64_t key = (uint64_t)flow << 32 | path;
	uint32_t first = map_find(&flows->by_branched, key), index = first;
	int err = 0;

	while (index != MAP_NONE && flows->branched[index].blind != blind)
		index = flows->branched[index].other;
	if (index != MAP_NONE) {
		flows->branched[index].count++;
		return 0;
	}
	index = flows->nbranched;
	err = array_reserve(&flows->branched, &flows->branched_room, index + 1,
			    sizeof(*flows->branched));
	if (!err && first == MAP_NONE)
		err = map_add(&flows->by_branched, key, index);
	if (err)
		return err;
	flows->branched[index] = (struct branched){.path = path,
						   .blind = blind,
						   .next = flows->flows[flow].branched,
						   .other = MAP_NONE,
						   .count = 1};
	if (first != MAP_NONE) { /* behind the one that the map has */
		flows->branched[index].other = flows->branched[first].other;
		flows->branched[first].other = index;
	}
	flows->flows[flow].branched = index;
	flows->nbranched++;
	return 0;
}

/* Each copy's journey, from where the packet was seen first. */
static int flows_copies(struct flows *flows, uint32_t flow, const struct fork *fork,
			const struct judged *judged, const struct epochs *epochs, uint32_t until)
{
	const struct leaf *leaves = flows->forks->leaves + fork->begin;
	struct variant *variant;
	int err;

	err = array_reserve(&flows->copy, &flows->copy_room, judged->n, sizeof(*flows->copy));
	for (size_t i = 0; i < fork->count && !err; i++) {
		const uint32_t *positions = flows->forks->positions + leaves[i].begin;
		struct judged copy = {.seen = flows->copy,
				      .n = flows->paths.paths[leaves[i].path].length,
				      .blind = judged->blind,
				      .length = judged->length,
				      .ranges = judged->ranges};

		for (size_t k = 0; k < copy.n; k++)
			flows->copy[k] = judged->seen[positions[k]];
		err = flows_variant(flows, flow, leaves[i].path, &variant);
		if (!err)
			err = variant_journey(variant, &copy, epochs, until, true, &flows->backlog);
	}
	flows->copies += fork->count - 1;
	return err;
}

static void flows_note_whole(struct flows *flows, uint32_t flow, uint32_t path)
{
	const struct path *paths = flows->paths.paths;
	uint32_t *whole = &flows->flows[flow].whole;

	if (*whole == PATH_EMPTY || paths[path].length > paths[*whole].length)
		*whole = path;
}

int flows_journey(struct flows *flows, uint32_t flow, const struct judged *judged,
		  const struct epochs *epochs, uint32_t until)
{
	uint32_t path, recent = flows->flows[flow].recent;
	struct variant *variant;
	const struct fork *fork;
	int err;

	if (recent != NO_VARIANT) {
		variant = &flows->variants[recent];
		if (flows->paths.paths[variant->path].mark == MARK_ONE &&
		    path_is(&flows->paths, variant->path, judged->seen, judged->n))
			return variant_journey(variant, judged, epochs, until, false,
					       &flows->backlog);
	}
	err = flows_path(flows, judged->seen, judged->n, &path);
	if (!err)
		err = forks_find(flows->forks, &flows->paths, path, &fork);
	if (!err && fork && !fork->count) {
		flows->ambiguous++;
		return 0;
	}
	if (err)
		return err;
	flows_note_whole(flows, flow, path);
	if (fork) {
		err = flows_copies(flows, flow, fork, judged, epochs, until);
		return err ? err : flows_count_branched(flows, flow, path, judged->blind);
	}
	err = flows_variant(flows, flow, path, &variant);
	return err ? err : variant_journey(variant, judged, epochs, until, false, &flows->backlog);
}

/* Is no probe twice among them? */
static bool is_once(const struct sighting *seen, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (seen[i].probe == seen[k].probe)
				return false;
	return true;
}

/* Did the packet go all the ways that one of that path goes? */
static int flows_is_whole(struct flows *flows, uint32_t whole, const struct sighting *seen,
			  size_t n, bool *same)
{
	struct fork copies;
	const struct fork *fork;
	uint32_t path;
	int err;

	*same = path_is(&flows->paths, whole, seen, n);
	if (*same)
		return 0;
	err = forks_find(flows->forks, &flows->paths, whole, &fork);
	if (err || !fork || !is_once(seen, n))
		return err;
	copies = *fork;
	err = flows_path(flows, seen, n, &path);
	if (!err)
		err = forks_find(flows->forks, &flows->paths, path, &fork);
	*same = !err && fork && forks_same(flows->forks, &copies, fork);
	return err;
}

int flows_pass(struct flows *flows, uint32_t flow, const struct sighting *seen, size_t n,
	       size_t *pass)
{
	uint32_t whole = flows->flows[flow].whole;
	size_t again;
	bool same = true;
	int err = 0;

	*pass = n;
	if (whole == PATH_EMPTY)
		return 0;
	again = flows->paths.paths[whole].length;
	if (again < 2 || n < 2 * again || n % again)
		return 0;
	for (size_t at = 0; at < n && same && !err; at += again)
		err = flows_is_whole(flows, whole, seen + at, again, &same);
	if (same && !err)
		*pass = again;
	return err;
}

int flows_repeat(struct flows *flows, uint32_t flow, const struct seat *seat, uint32_t until,
		 bool *done)
{
	uint32_t recent = flows->flows[flow].recent;
	struct variant *variant;
	struct path *path;

	*done = false;
	if (recent == NO_VARIANT)
		return 0;
	/* The flow's `whole` is as long as that, so these are not several packets. */
	variant = &flows->variants[recent];
	path = &flows->paths.paths[variant->path];
	*done = path->mark == MARK_ONE && path_is_few(path, seat->probes, seat->few);
	if (!*done)
		return 0;
	path->packets++;
	flows_count(flows, flow, seat->length, seat->first_ns);
	return variant_repeat(variant, seat, until, &flows->backlog);
}

void flows_release(struct flows *flows)
{
	backlog_settle(&flows->backlog);
	for (size_t i = 0; i < flows->nvariants; i++)
		variant_release(&flows->variants[i]);
	free(flows->flows);
	free(flows->variants);
	free(flows->branched);
	free(flows->copy);
	forks_close(flows->forks);
	paths_release(&flows->paths);
	map_release(&flows->by_hash);
	map_release(&flows->by_variant);
	map_release(&flows->by_branched);
	*flows = (struct flows){0};
}
