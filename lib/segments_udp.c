// SPDX-License-Identifier: GPL-2.0-only
/*
 * segments_udp.c - datagrams of which an IP ID is a guess (datagrams.h).
 *
 * If it is right, they were joined already. If not, one that was seen in super-packets only and another one, of
 * the same flow, length and first bytes, seen at other probes, are the same packet; unless one of them may be
 * the same as yet another one too: then it is not known.
 */
#include "array.h"
#include "segments_private.h"

static bool flow_guesses_at(const struct cut_flow *flow, uint16_t probe)
{
	for (uint32_t i = 0; i < flow->nguessers; i++)
		if (flow->guessers[i] == probe)
			return true;
	return false;
}

static void flow_add_guesser(struct cut_flow *flow, uint16_t probe)
{
	if (flow_guesses_at(flow, probe))
		return;
	if (flow->nguessers < GUESSERS_MAX)
		flow->guessers[flow->nguessers++] = probe;
	else
		flow->many_guessers = true;
}

void datagram_set(struct piece *piece, struct cut_flow *flow)
{
	struct journey *journey = &piece->journey;
	struct sighting *seen = journey->count > JOURNEY_INLINE ? journey->many : journey->few;

	piece->kind = PIECE_UDP;
	piece->start = journey->key >> 16;
	piece->mark = journey->key >> 48;
	piece->span = 1;
	piece->guessed = true;
	for (uint32_t i = 0; i < journey->count; i++) {
		if (seen[i].segment)
			flow_add_guesser(flow, seen[i].probe);
		piece->guessed &= seen[i].segment != 0;
		seen[i].segment = 0;
		seen[i].data = 0;
	}
	flow->guessed |= piece->guessed;
}

static bool piece_seen_at(const struct piece *piece, uint16_t probe)
{
	const struct sighting *seen = journey_sightings(&piece->journey);

	for (uint32_t i = 0; i < piece->journey.count; i++)
		if (seen[i].probe == probe)
			return true;
	return false;
}

static bool pieces_meet(const struct piece *a, const struct piece *b)
{
	const struct sighting *seen = journey_sightings(&a->journey);

	for (uint32_t i = 0; i < a->journey.count; i++)
		if (piece_seen_at(b, seen[i].probe))
			return true;
	return false;
}

/* The one that may be the same packet, or NULL; *several: there is or may be another. One of two is guessed. */
static struct piece *find_other(const struct segments *segments, const struct piece *piece,
				bool *several)
{
	struct piece *found = NULL, *other;
	int looks = CHAIN_MAX;

	*several = false;
	for (int guessed = 1; guessed >= !piece->guessed; guessed--) {
		other = NULL;
		while ((other = segments_alike(segments, piece, guessed, other, &looks))) {
			if (pieces_meet(piece, other))
				continue;
			*several = found;
			found = other;
			if (*several)
				return found;
		}
	}
	*several = !looks;
	return found;
}

/* Whether a probe that guesses did not see it. Where probes keep some IDs only, it may have by another one. */
static bool guessers_missed(const struct cut_flow *flow, const struct piece *piece)
{
	for (uint32_t i = 0; i < flow->nguessers; i++)
		if (!piece_seen_at(piece, flow->guessers[i]))
			return true;
	return flow->many_guessers;
}

static int hand_out_both(struct segments *segments, const struct piece *a, const struct piece *b)
{
	const struct sighting *left = journey_sightings(&a->journey);
	const struct sighting *right = journey_sightings(&b->journey);
	struct journey journey = a->guessed ? b->journey : a->journey;
	uint32_t count = a->journey.count + b->journey.count;
	int err = array_reserve(&segments->seen, &segments->seen_room, count,
				sizeof(*segments->seen));

	if (err)
		return err;
	for (uint32_t i = 0, l = 0; i < count; i++) {
		uint32_t r = i - l;
		bool first = r == b->journey.count ||
			     (l < a->journey.count && left[l].time_ns <= right[r].time_ns);

		segments->seen[i] = first ? left[l++] : right[r];
	}
	journey.count = count;
	if (count > JOURNEY_INLINE)
		journey.many = segments->seen;
	else
		memcpy(journey.few, segments->seen, count * sizeof(*segments->seen));
	return segments->done(segments->context, &journey);
}

int datagram_hand_out(struct segments *segments, struct piece *piece)
{
	const struct cut_flow *flow = &segments->flows[piece->flow];
	bool several = false, mutual = true;
	struct piece *other = NULL;

	if (piece->settled)
		return 0;
	if (flow->guessed)
		other = find_other(segments, piece, &several);
	if (other && !several) /* an older one was handed out, as undecided */
		mutual = !other->settled && (int32_t)(other->number - piece->number) > 0 &&
			 find_other(segments, other, &several) == piece && !several;
	if (other && !several && mutual) {
		other->settled = true;
		return hand_out_both(segments, piece, other);
	}
	if (other || several || (segments->sampled && guessers_missed(flow, piece)))
		piece->journey.undecided = true;
	return segments->done(segments->context, &piece->journey);
}
