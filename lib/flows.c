// SPDX-License-Identifier: GPL-2.0-only
#include "flows.h"

#include "array.h"

#define RECENT_WATCHES 4 /* segments change rarely: older watches are not looked at again */

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

void flows_count(struct flows *flows, uint32_t index, uint32_t length, const struct sighting *seen,
		 size_t n)
{
	struct flow *flow = &flows->flows[index];

	if (!flow->packets || seen[0].time_ns < flow->first_ns)
		flow->first_ns = seen[0].time_ns;
	if (seen[n - 1].time_ns > flow->last_ns)
		flow->last_ns = seen[n - 1].time_ns;
	flow->packets++;
	flow->bytes += length;
}

static void variant_drop_tracks(struct variant *variant, size_t probes)
{
	for (size_t i = 0; variant->tracks && i < probes; i++)
		track_release(&variant->tracks[i]);
	free(variant->tracks);
	variant->tracks = NULL;
}

/* Decides which variants of the flow are full, now that `added` is one of them. */
static int flows_settle(struct flows *flows, struct flow *flow, struct variant *added)
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
			return 0;
		}
		if (paths_contains(paths, added->path, other->path)) {
			other->full = false;
			variant_drop_tracks(other, paths->paths[other->path].length);
		}
	}
	if (flow->longest == NO_VARIANT ||
	    length > paths->paths[flows->variants[flow->longest].path].length)
		flow->longest = added - flows->variants;
	if (length < 2)
		return 0;
	added->tracks = calloc(length, sizeof(*added->tracks));
	return added->tracks ? 0 : -ENOMEM;
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
	*variant = (struct variant){.path = path, .next = flows->flows[flow].variants};
	flows->flows[flow].variants = flows->nvariants++;
	return flows_settle(flows, &flows->flows[flow], variant);
}

/* The variant of the flow that these sightings are; *variant lives until the next is added. */
static int flows_variant(struct flows *flows, uint32_t flow, const struct sighting *seen, size_t n,
			 struct variant **variant)
{
	uint32_t path = PATH_EMPTY, index;
	int err;

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
	*variant = &flows->variants[index];
	return 0;
}

static int variant_measure(struct variant *variant, const struct sighting *seen, size_t n)
{
	int err = 0;

	for (size_t i = 1; i < n && !err; i++)
		err = track_add(&variant->tracks[i - 1], seen[i].time_ns - seen[i - 1].time_ns);
	if (!err)
		err = track_add(&variant->tracks[n - 1], seen[n - 1].time_ns - seen[0].time_ns);
	return err;
}

static int variant_watch(struct variant *variant, struct watch watch)
{
	size_t count = variant->nwatches;
	int err;

	for (size_t i = 0; i < count && i < RECENT_WATCHES; i++) {
		struct watch *known = &variant->watches[count - 1 - i];

		if (known->begin == watch.begin && known->end == watch.end &&
		    known->from == watch.from && known->until == watch.until) {
			known->count++;
			return 0;
		}
	}
	err = array_reserve(&variant->watches, &variant->watches_room, count + 1, sizeof(watch));
	if (err)
		return err;
	variant->watches[variant->nwatches++] = watch;
	return 0;
}

/* One watch for each run of sightings in the same segment: nearly always one for all. */
static int variant_watch_all(struct variant *variant, const struct sighting *seen, size_t n,
			     const struct epochs *epochs, uint32_t until)
{
	struct watch watch = {.until = until, .count = 1};
	uint32_t last = epochs_until(epochs, seen[n - 1].time_ns);
	int err = 0;

	for (size_t begin = 0; begin < n && !err; begin = watch.end) {
		watch.begin = begin;
		watch.from = epochs_until(epochs, seen[begin].time_ns);
		watch.end = n;
		if (watch.from != last) {
			watch.end = begin + 1;
			while (epochs_until(epochs, seen[watch.end].time_ns) == watch.from)
				watch.end++;
		}
		err = variant_watch(variant, watch);
	}
	return err;
}

int flows_journey(struct flows *flows, uint32_t flow, const struct sighting *seen, size_t n,
		  const struct epochs *epochs, uint32_t until)
{
	struct variant *variant;
	int err;

	err = flows_variant(flows, flow, seen, n, &variant);
	if (!err && variant->tracks)
		err = variant_measure(variant, seen, n);
	if (!err)
		err = variant_watch_all(variant, seen, n, epochs, until);
	if (!err)
		variant->count++;
	return err;
}

void flows_release(struct flows *flows)
{
	for (size_t i = 0; i < flows->nvariants; i++) {
		struct variant *variant = &flows->variants[i];

		variant_drop_tracks(variant, flows->paths.paths[variant->path].length);
		free(variant->watches);
	}
	free(flows->flows);
	free(flows->variants);
	paths_release(&flows->paths);
	map_release(&flows->by_hash);
	map_release(&flows->by_variant);
	*flows = (struct flows){0};
}
