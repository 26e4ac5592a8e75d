// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "variant.h"

static bool watch_same(const struct watch *a, const struct watch *b)
{
	return a->begin == b->begin && a->end == b->end && a->from == b->from &&
	       a->until == b->until && a->blind == b->blind && a->copy == b->copy;
}

/* The variant's watch becomes the one that is the same, and the one before goes to the others. Of
 * these only those of about the same time can be it. */
static int variant_change_watch(struct variant *variant, const struct watch *watch)
{
	struct watch before = variant->watch;
	int err;

	variant->plain = PLAIN_NONE;
	for (size_t i = variant->nwatches; i-- > 0;) {
		struct watch *other = &variant->watches[i];

		if (other->until < watch->from)
			break;
		if (!watch_same(other, watch))
			continue;
		variant->watch = *other;
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

static int variant_count_watch(struct variant *variant, const struct watch *watch, uint32_t length)
{
	int err = watch_same(&variant->watch, watch) ? 0 : variant_change_watch(variant, watch);

	if (err)
		return err;
	variant->watch.count++;
	variant->watch.bytes += length;
	return 0;
}

/* One watch for each run of sightings in the same segment: nearly always one for all. */
static int variant_watch(struct variant *variant, const struct judged *judged,
			 const struct epochs *epochs, uint32_t until, bool copy)
{
	const struct sighting *seen = judged->seen;
	uint32_t end;
	int err = 0;

	for (uint32_t begin = 0; begin < judged->n && !err; begin = end) {
		uint32_t from = epochs_until(epochs, seen[begin].time_ns);

		end = judged->n;
		if (from != until && !epochs_same(epochs, from, seen[end - 1].time_ns)) {
			end = begin + 1;
			while (epochs_same(epochs, from, seen[end].time_ns))
				end++;
		}
		err = variant_count_watch(variant,
					  &(struct watch){.begin = begin,
							  .end = end,
							  .from = from,
							  .until = until,
							  .blind = judged->blind,
							  .copy = copy},
					  judged->length);
	}
	return err;
}

int variant_journey(struct variant *variant, const struct judged *judged,
		    const struct epochs *epochs, uint32_t until, bool copy, struct backlog *backlog)
{
	int err = 0;

	if (variant->full && judged->n > 1) {
		err = tracks_add(&variant->tracks, judged->seen, backlog);
		if (!err && judged->ranges)
			err = tracks_note(&variant->tracks, judged->seen, judged->ranges);
	}
	if (!err)
		err = variant_watch(variant, judged, epochs, until, copy);
	if (err)
		return err;
	variant->count++;
	variant->bytes += judged->length;
	return 0;
}

static inline int variant_count_plain(struct variant *variant, const struct seat *seat,
				      struct backlog *backlog)
{
	variant->watch.count++;
	variant->watch.bytes += seat->length;
	variant->count++;
	variant->bytes += seat->length;
	return variant->full && seat->few > 1 ? tracks_add_seat(&variant->tracks, seat, backlog)
					      : 0;
}

__attribute__((noinline)) static int variant_repeat_anew(struct variant *variant,
							 const struct seat *seat, uint32_t until,
							 struct backlog *backlog)
{
	const struct watch watch = {
		.end = seat->few, .from = until, .until = until, .blind = NOT_BLIND};
	int err = 0;

	if (!watch_same(&variant->watch, &watch))
		err = variant_change_watch(variant, &watch);
	variant->plain = until;
	return err ? err : variant_count_plain(variant, seat, backlog);
}

int variant_repeat(struct variant *variant, const struct seat *seat, uint32_t until,
		   struct backlog *backlog)
{
	if (variant->plain != until)
		return variant_repeat_anew(variant, seat, until, backlog);
	return variant_count_plain(variant, seat, backlog);
}

void variant_release(struct variant *variant)
{
	tracks_release(&variant->tracks);
	free(variant->watches);
}
