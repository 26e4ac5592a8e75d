// SPDX-License-Identifier: GPL-2.0-only
/*
 * segments_udp.c - which super-packet a datagram is a part of.
 *
 * The n-th datagram of a super-packet has its IP ID plus n. But Linux counts a super-packet that it sends
 * as one, or all have ID 0, so the next one's IDs are nearly the same. What is sure is where one begins:
 * its first datagram has its ID (packet.h). Behind that, at the same probe, come the others, up to where
 * the next one begins. Where the first of the next one is missing there, nothing more is sure.
 */
#include "segments_private.h"

/* The super-packet's first datagram, where that was seen on its own; or else whether one need not look for it. */
static const struct sighting *find_first(const struct piece *super, uint16_t probe, bool *needless)
{
	const struct sighting *seen = journey_sightings(&super->journey);

	*needless = super->inside;
	for (uint32_t i = 0; i < super->journey.count; i++) {
		if (seen[i].probe != probe)
			continue;
		if (!seen[i].segment)
			return &seen[i];
		*needless = true;
	}
	return NULL;
}

/* Super-packets that a datagram may be a part of. */
struct candidates {
	struct piece *best;
	uint64_t best_ns;
	uint32_t offset;
	bool unseen;   /* there is one whose first is missing */
	bool unsure;   /* and it is newer than the best */
	bool possible; /* but for the order, or because there are no IDs */
};

static void candidates_add(struct candidates *candidates, struct piece *super,
			   const struct piece *piece)
{
	const struct sighting *seen = journey_sightings(&piece->journey), *first;
	uint16_t offset = piece->journey.id - super->journey.id;
	bool needless;

	first = find_first(super, seen->probe, &needless);
	if (!first) {
		candidates->unseen |= !needless;
		return;
	}
	if (offset >= super->span)
		return;
	candidates->possible = true;
	if (!offset || first->time_ns > seen->time_ns || first->time_ns < candidates->best_ns ||
	    super->taken[offset / 64] >> offset % 64 & 1)
		return;
	candidates->unsure = candidates->unseen;
	candidates->best = super;
	candidates->best_ns = first->time_ns;
	candidates->offset = offset;
}

static struct piece *flow_recent(const struct segments *segments, const struct cut_flow *flow,
				 uint32_t i)
{
	uint32_t number = flow->recent[i % RECENT_MAX];

	if (number - segments->front >= segments->end - segments->front)
		return NULL;
	return segments_piece(segments, number);
}

/* Of all super-packets that it may be a part of it is not known which of theirs were seen. */
static void flow_doubt(const struct segments *segments, const struct cut_flow *flow,
		       const struct piece *piece)
{
	const struct sighting *seen = journey_sightings(&piece->journey), *first;
	uint32_t oldest = flow->nrecent > RECENT_MAX ? flow->nrecent - RECENT_MAX : 0;
	bool needless, before = false;

	for (uint32_t i = flow->nrecent; i-- > oldest && !before;) {
		struct piece *super = flow_recent(segments, flow, i);
		uint16_t offset;

		if (!super)
			break;
		first = find_first(super, seen->probe, &needless);
		offset = piece->journey.id - super->journey.id;
		super->doubtful |= first ? offset < super->span : !needless;
		before = first && first->time_ns <= seen->time_ns && !super->inside;
	}
}

/* A datagram at that position was found. */
static void flow_take(const struct segments *segments, const struct cut_flow *flow,
		      uint32_t position)
{
	uint32_t oldest = flow->nrecent > RECENT_MAX ? flow->nrecent - RECENT_MAX : 0;

	for (uint32_t i = flow->nrecent; i-- > oldest;) {
		struct piece *super = flow_recent(segments, flow, i);
		uint32_t offset = super ? position - super->start : 0;

		if (super && offset < super->span)
			super->taken[offset / 64] |= 1ull << offset % 64;
	}
}

enum datagram_place datagram_find(const struct segments *segments, const struct cut_flow *flow,
				  struct piece *piece)
{
	uint32_t oldest = flow->nrecent > RECENT_MAX ? flow->nrecent - RECENT_MAX : 0;
	struct candidates candidates = {0};

	if (journey_sightings(&piece->journey)->segment)
		return DATAGRAM_ALONE;
	for (uint32_t i = flow->nrecent; i-- > oldest;) {
		struct piece *super = flow_recent(segments, flow, i);

		if (!super)
			break;
		candidates_add(&candidates, super, piece);
	}
	if (candidates.best && !candidates.unsure) {
		piece->start = candidates.best->start + candidates.offset;
		piece->journey.undecided = candidates.best->journey.undecided;
		flow_take(segments, flow, piece->start);
		return DATAGRAM_INSIDE;
	}
	if (!candidates.possible && !candidates.unseen)
		return DATAGRAM_ALONE;
	flow_doubt(segments, flow, piece);
	return DATAGRAM_UNDECIDED;
}
