// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "segments_private.h"

/* A part of the piece at hand, and what of others covers it. */
struct part {
	uint32_t begin; /* from the piece's start on */
	uint32_t end;
	size_t nseen;              /* in segments->seen */
	const struct piece *first; /* whose sighting is the earliest */
	uint64_t first_ns;
};

static int part_see(struct segments *segments, struct part *part, const struct cover *cover,
		    const struct sighting *sighting)
{
	const struct piece *piece = cover->piece;
	uint32_t before = part->begin - cover->begin, reach = sighting->data;
	uint32_t step = sighting->segment;
	int err;

	if (reach <= before)
		return 0;
	if (segments->flows[piece->flow].cut && step && reach - before > step - before % step)
		reach = before + step - before % step;
	if (part->end > cover->begin + reach)
		part->end = cover->begin + reach;
	if (!part->first || sighting->time_ns < part->first_ns ||
	    (sighting->time_ns == part->first_ns &&
	     (int32_t)(piece->number - part->first->number) < 0)) {
		part->first = piece;
		part->first_ns = sighting->time_ns;
	}
	err = array_reserve(&segments->seen, &segments->seen_room, part->nseen + 1,
			    sizeof(*segments->seen));
	if (!err)
		segments->seen[part->nseen++] = *sighting;
	return err;
}

/* Moves what begins at the part to the active covers, and what ended before it out of them. */
static int segments_activate(struct segments *segments, uint32_t at, size_t *next)
{
	size_t kept = 0;
	int err;

	for (size_t i = 0; i < segments->nactive; i++) {
		const struct cover *cover = &segments->active[i];

		if (cover->begin + (int32_t)cover->piece->span > (int32_t)at)
			segments->active[kept++] = *cover;
	}
	segments->nactive = kept;
	for (; *next < segments->ncovers && segments->covers[*next].begin <= (int32_t)at; ++*next) {
		err = array_reserve(&segments->active, &segments->active_room,
				    segments->nactive + 1, sizeof(*segments->active));
		if (err)
			return err;
		segments->active[segments->nactive++] = segments->covers[*next];
	}
	return 0;
}

/* Finds where the part ends, and all sightings of it. */
static int segments_part(struct segments *segments, struct part *part, size_t next)
{
	int err = 0;

	if (next < segments->ncovers && part->end > (uint32_t)segments->covers[next].begin)
		part->end = segments->covers[next].begin;
	for (size_t i = 0; i < segments->nactive && !err; i++) {
		const struct cover *cover = &segments->active[i];
		const struct sighting *seen = journey_sightings(&cover->piece->journey);

		for (uint32_t k = 0; k < cover->piece->journey.count && !err; k++)
			err = part_see(segments, part, cover, &seen[k]);
	}
	return err;
}

/* By time; they come in a few rows that are. */
static void sort_sightings(struct sighting *seen, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct sighting sighting = seen[i];
		size_t at = i;

		for (; at && seen[at - 1].time_ns > sighting.time_ns; at--)
			seen[at] = seen[at - 1];
		seen[at] = sighting;
	}
}

static int segments_emit(struct segments *segments, const struct piece *piece,
			 const struct part *part)
{
	struct sighting *seen = segments->seen;
	struct journey journey = {
		.flow = piece->journey.flow,
		.key = (piece->journey.key & ~(uint64_t)UINT32_MAX) |
		       (uint32_t)(piece->start + part->begin),
		.length = piece->headers + part->end - part->begin,
		.payload = part->end - part->begin,
		.flags = piece->journey.flags,
		.undecided = piece->journey.undecided,
		.count = part->nseen,
	};

	sort_sightings(seen, part->nseen);
	for (size_t i = 0; i < part->nseen; i++)
		seen[i].data = journey.payload;
	if (part->nseen > JOURNEY_INLINE)
		journey.many = seen;
	else
		memcpy(journey.few, seen, part->nseen * sizeof(*seen));
	return segments->done(segments->context, &journey);
}

int segments_cut(struct segments *segments, const struct piece *piece)
{
	size_t next = 0;
	int err = 0;

	segments->nactive = 0;
	for (uint32_t at = 0; at < piece->span && !err;) {
		struct part part = {.begin = at, .end = piece->span};

		err = segments_activate(segments, at, &next);
		if (!err)
			err = segments_part(segments, &part, next);
		if (!err && part.first == piece)
			err = segments_emit(segments, piece, &part);
		at = part.end;
	}
	return err;
}
