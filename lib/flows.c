// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "flows.h"

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
		.longest = NO_VARIANT,
	};
	return flows->count++;
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
static void flows_settle(struct flows *flows, struct flow *flow, struct variant *added)
{
	const struct paths *paths = &flows->paths;
	uint32_t length = paths->paths[added->path].length;

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
			tracks_release(&other->tracks);
			reorder_release(&other->reorder);
		}
	}
	if (flow->longest == NO_VARIANT ||
	    length > paths->paths[flows->variants[flow->longest].path].length)
		flow->longest = added - flows->variants;
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
		.tracks.nhops = flows->paths.paths[path].length - 1,
	};
	flows->flows[flow].variants = flows->nvariants++;
	flows_settle(flows, &flows->flows[flow], variant);
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

/* The variant of the flow that these sightings are; *variant lives until the next is added. */
static int flows_variant(struct flows *flows, uint32_t flow, const struct sighting *seen, size_t n,
			 struct variant **variant)
{
	uint32_t path = PATH_EMPTY, index = flows->flows[flow].recent;
	int err;

	if (index != NO_VARIANT && path_is(&flows->paths, flows->variants[index].path, seen, n)) {
		*variant = &flows->variants[index];
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		err = paths_extend(&flows->paths, path, seen[i].probe, &path);
		if (err)
			return err;
	}
	index = map_find(&flows->by_variant, (uint64_t)flow << 32 | path);
	if (index == MAP_NONE) {
		err = flows_add_variant(flows, flow, path);
		if (err)
			return err;
		index = flows->nvariants - 1;
	}
	flows->flows[flow].recent = index;
	*variant = &flows->variants[index];
	return 0;
}

static bool watch_same(const struct watch *a, const struct watch *b)
{
	return a->begin == b->begin && a->end == b->end && a->from == b->from &&
	       a->until == b->until && a->blind == b->blind;
}

/* The variant's watch becomes the one that is the same, and the one before goes to the others. Of
 * these only those of about the same time can be it. */
static int variant_watch(struct variant *variant, const struct watch *watch)
{
	struct watch before = variant->watch;
	int err;

	if (watch_same(&before, watch)) {
		variant->watch.count += watch->count;
		variant->watch.bytes += watch->bytes;
		return 0;
	}
	for (size_t i = variant->nwatches; i-- > 0;) {
		struct watch *other = &variant->watches[i];

		if (other->until < watch->from)
			break;
		if (!watch_same(other, watch))
			continue;
		variant->watch = *other;
		variant->watch.count += watch->count;
		variant->watch.bytes += watch->bytes;
		*other = before;
		return 0;
	}
	if (before.count) {
		err = array_reserve(&variant->watches, &variant->watches_room,
				    variant->nwatches + 1, sizeof(before));
		if (err)
			return err;
		variant->watches[variant->nwatches++] = before;
	}
	variant->watch = *watch;
	return 0;
}

/* One watch for each run of sightings in the same segment: nearly always one for all. */
static int variant_watch_all(struct variant *variant, const struct judged *judged,
			     const struct epochs *epochs, uint32_t until)
{
	struct watch watch = {
		.until = until, .blind = judged->blind, .count = 1, .bytes = judged->length};
	const struct sighting *seen = judged->seen;
	uint32_t last = epochs_until(epochs, seen[judged->n - 1].time_ns);
	int err = 0;

	for (size_t begin = 0; begin < judged->n && !err; begin = watch.end) {
		watch.begin = begin;
		watch.from = epochs_until(epochs, seen[begin].time_ns);
		watch.end = judged->n;
		if (watch.from != last) {
			watch.end = begin + 1;
			while (epochs_until(epochs, seen[watch.end].time_ns) == watch.from)
				watch.end++;
		}
		err = variant_watch(variant, &watch);
	}
	return err;
}

static int variant_time(struct variant *variant, const struct sighting *seen, size_t n)
{
	int err = tracks_add(&variant->tracks, seen);

	return err ? err : reorder_add(&variant->reorder, seen[0].time_ns, seen[n - 1].time_ns);
}

int flows_journey(struct flows *flows, uint32_t flow, const struct judged *judged,
		  const struct epochs *epochs, uint32_t until)
{
	struct variant *variant;
	int err;

	err = flows_variant(flows, flow, judged->seen, judged->n, &variant);
	if (!err && variant->full && judged->n > 1)
		err = variant_time(variant, judged->seen, judged->n);
	if (!err)
		err = variant_watch_all(variant, judged, epochs, until);
	if (err)
		return err;
	variant->count++;
	variant->bytes += judged->length;
	return 0;
}

void flows_release(struct flows *flows)
{
	for (size_t i = 0; i < flows->nvariants; i++) {
		tracks_release(&flows->variants[i].tracks);
		reorder_release(&flows->variants[i].reorder);
		free(flows->variants[i].watches);
	}
	free(flows->flows);
	free(flows->variants);
	paths_release(&flows->paths);
	map_release(&flows->by_hash);
	map_release(&flows->by_variant);
	*flows = (struct flows){0};
}
