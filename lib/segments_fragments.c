// SPDX-License-Identifier: GPL-2.0-only
/*
 * segments_fragments.c - datagrams of IPv4, and the fragments that they are elsewhere.
 *
 * A first fragment has the ID of its datagram: both are one piece, a head. Of later ones the addresses, the
 * protocol and the IP ID are known. They are of the head that has these in common with them within a horizon,
 * if it does not end elsewhere, and no other one may be theirs too: then it is not known.
 *
 * Where nothing was seen in one piece here and in several there, nothing has to be known of it: heads and
 * later fragments are packets as they are.
 */
#include "array.h"
#include "segments_private.h"
#include "tuple.h"

#define HEADS_MAX   16
#define LOOKS_MAX   512 /* two for each piece: 64 KiB are 120 fragments of 576 bytes */
#define LAYERS_MAX  16  /* packets that overlap at a byte: one for each way to cut the datagram */
#define OFFSET_MASK 0x1fff /* of the key: in units of eight bytes */
#define MORE        0x2000

uint32_t fragments_flow(const struct segments *segments, uint64_t hash)
{
	const struct vnt_flow *flow = flows_tuple(segments->names, hash);
	struct vnt_flow bare;
	uint32_t index;

	if (!flow || flow->ethertype != VNT_ETHERTYPE_IPV4)
		return MAP_NONE;
	bare = *flow;
	bare.sport = bare.dport = 0;
	index = map_find(&segments->by_flow, vnt_flow_hash(&bare));
	return index != MAP_NONE && segments->flows[index].fragments ? index : MAP_NONE;
}

/* Makes the `data` of sightings what IP carried there. False if that cannot be. */
static bool measure_sightings(struct piece *piece)
{
	struct journey *journey = &piece->journey;
	struct sighting *seen = journey->count > JOURNEY_INLINE ? journey->many : journey->few;
	uint32_t whole = 0;

	for (uint32_t i = 0; i < journey->count; i++) {
		uint32_t fragment = seen[i].data & SIGHTING_FRAGMENT;
		uint32_t length = seen[i].data ? seen[i].data - fragment : journey->length;

		if (length <= piece->headers || length > UINT16_MAX || seen[i].segment)
			return false;
		length -= piece->headers;
		if (!fragment && whole && length != whole)
			return false;
		if (!fragment)
			whole = length;
		piece->uneven |= i && length != piece->span;
		piece->span = length > piece->span ? length : piece->span;
		seen[i].data = length | fragment;
	}
	piece->ends = whole;
	return !whole || whole == piece->span;
}

void fragment_set(const struct segments *segments, struct piece *piece)
{
	const struct journey *journey = &piece->journey;
	const struct vnt_flow *flow = flows_tuple(segments->names, journey->flow);

	piece->later = journey->flags & VNT_PACKET_LATER;
	if (!piece->later && (!flow || flow->proto == VNT_PROTO_TCP))
		return; /* what TCP sends is not to be fragmented */
	piece->headers = journey->length - journey->payload;
	if (!piece->later && (flow->proto == VNT_PROTO_UDP || flow->proto == VNT_PROTO_UDPLITE))
		piece->headers -= 8; /* is carried by IP, too */
	if (!measure_sightings(piece))
		return;
	piece->kind = PIECE_FRAGMENT;
	piece->mark = journey->id;
	if (piece->later) {
		piece->start = (journey->key & OFFSET_MASK) * 8;
		piece->ends = !(journey->key & MORE);
	}
}

static uint32_t piece_end(const struct piece *piece)
{
	return piece->start + piece->span;
}

static bool is_older(const struct piece *a, const struct piece *b)
{
	return (int32_t)(a->number - b->number) < 0;
}

static int compare_numbers(const void *left, const void *right)
{
	const struct piece *const *a = left, *const *b = right;

	return is_older(*b, *a) - is_older(*a, *b);
}

static int compare_places(const void *left, const void *right)
{
	const struct piece *const *a = left, *const *b = right;

	if ((*a)->start != (*b)->start)
		return (*a)->start > (*b)->start ? 1 : -1;
	if ((*a)->span != (*b)->span)
		return (*a)->span > (*b)->span ? 1 : -1;
	return compare_numbers(left, right);
}

/* All with the IP ID of the piece, which may be of its datagram, and itself; or *all is false. 0 or -ENOMEM. */
static int gather(struct segments *segments, struct piece *piece, bool *all)
{
	int looks = LOOKS_MAX, err;
	struct piece *last = NULL;

	segments->nmembers = 0;
	for (struct piece *member = piece; member; member = last) {
		err = array_reserve(&segments->members, &segments->members_room,
				    segments->nmembers + 1, sizeof(*segments->members));
		if (err)
			return err;
		segments->members[segments->nmembers++] = member;
		last = segments_alike(segments, piece, false, last, &looks);
	}
	*all = looks;
	qsort(segments->members, segments->nmembers, sizeof(*segments->members), compare_places);
	return 0;
}

struct heads {
	const struct piece *heads[HEADS_MAX];
	uint32_t count;
};

static bool may_be_of(const struct piece *piece, const struct piece *head)
{
	if (!piece->later)
		return piece == head;
	if (!head->ends)
		return true;
	return piece->ends ? piece_end(piece) == head->span : piece_end(piece) < head->span;
}

/* Those that the piece may be of, as bits. */
static uint32_t heads_of(const struct heads *heads, const struct piece *piece)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < heads->count; i++)
		found |= (uint32_t)may_be_of(piece, heads->heads[i]) << i;
	return found;
}

/* Leaves the members that may be of the same datagram as the piece. Is it known that they are? */
static bool choose(struct segments *segments, const struct piece *piece)
{
	struct heads heads = {.count = 0};
	bool known = true;
	size_t kept = 0;
	uint32_t mine;

	for (size_t i = 0; i < segments->nmembers; i++) {
		if (segments->members[i]->later)
			continue;
		if (heads.count == HEADS_MAX)
			return false;
		heads.heads[heads.count++] = segments->members[i];
	}
	mine = heads_of(&heads, piece);
	for (size_t i = 0; i < segments->nmembers; i++) {
		struct piece *member = segments->members[i];
		uint32_t of = heads_of(&heads, member);

		if (member != piece && !(of & mine) && (of || mine || !member->later))
			continue;
		known &= !(of & (of - 1)) && !member->settled && !is_older(member, piece);
		segments->members[kept++] = member;
	}
	segments->nmembers = kept;
	return known;
}

static bool same_place(const struct piece *a, const struct piece *b)
{
	return a->start == b->start && a->span == b->span;
}

/* Was anything seen in one piece here and in several there? */
static bool is_cut(const struct segments *segments)
{
	uint32_t end = 0;

	for (size_t i = 0; i < segments->nmembers; i++) {
		const struct piece *member = segments->members[i];

		if (member->uneven || (member->later && member->start < end &&
				       !same_place(member, segments->members[i - 1])))
			return true;
		end = piece_end(member) > end ? piece_end(member) : end;
	}
	return false;
}

/* Is a byte in more packets than a datagram is cut in ways? */
static bool is_crowded(const struct segments *segments)
{
	for (size_t i = LAYERS_MAX; i < segments->nmembers; i++) {
		size_t layers = 1;

		for (size_t k = 0; k < i; k++)
			layers += piece_end(segments->members[k]) > segments->members[i]->start;
		if (layers > LAYERS_MAX)
			return true;
	}
	return false;
}

/* Can they be parts of one datagram? */
static bool are_one(const struct segments *segments)
{
	uint32_t end = UINT32_MAX;

	for (size_t i = 0; i < segments->nmembers; i++) {
		const struct piece *member = segments->members[i];

		if (i && member->later && same_place(member, segments->members[i - 1]))
			return false;
		if (member->ends && end != UINT32_MAX && piece_end(member) != end)
			return false;
		end = member->ends ? piece_end(member) : end;
	}
	for (size_t i = 0; i < segments->nmembers; i++) {
		const struct piece *member = segments->members[i];

		if (piece_end(member) > end || (!member->ends && piece_end(member) == end))
			return false;
	}
	return true;
}

/* Bytes in each fragment but the last, or 0: they differ, or none was seen. */
static uint32_t fragment_size(const struct segments *segments)
{
	uint32_t size = 0;

	for (size_t i = 0; i < segments->nmembers; i++) {
		const struct piece *member = segments->members[i];
		const struct sighting *seen = journey_sightings(&member->journey);

		for (uint32_t k = 0; k < member->journey.count; k++) {
			uint32_t length = seen[k].data & ~SIGHTING_FRAGMENT;

			if (!(seen[k].data & SIGHTING_FRAGMENT) || (member->later && member->ends))
				continue;
			if (size && length != size)
				return 0;
			size = length;
		}
	}
	for (size_t i = 0; i < segments->nmembers && size; i++) {
		const struct piece *member = segments->members[i];

		if (member->start % size || (member->later && member->span > size))
			return 0;
	}
	return size;
}

/* As segments_cut() has it: the whole is like a super-packet of fragments. */
static void prepare(struct piece *piece, const struct piece *head, uint32_t size)
{
	struct journey *journey = &piece->journey;
	struct sighting *seen = journey->count > JOURNEY_INLINE ? journey->many : journey->few;

	piece->settled = true;
	if (head)
		journey->flow = head->journey.flow;
	for (uint32_t i = 0; i < journey->count; i++) {
		if (!(seen[i].data & SIGHTING_FRAGMENT))
			seen[i].segment = size;
		seen[i].data &= ~SIGHTING_FRAGMENT;
	}
}

static int hand_out_one(struct segments *segments, const struct piece *piece)
{
	int err = 0;

	segments->ncovers = 0;
	for (size_t i = 0; i < segments->nmembers && !err; i++) {
		const struct piece *member = segments->members[i];

		if (member->start < piece_end(piece) && piece->start < piece_end(member))
			err = segments_cover(segments, member, member->start - piece->start);
	}
	return err ? err : segments_cut(segments, piece);
}

static int hand_out_all(struct segments *segments)
{
	struct piece *head = segments->members[0]->later ? NULL : segments->members[0];
	uint32_t size = fragment_size(segments);
	int err = 0;

	qsort(segments->members, segments->nmembers, sizeof(*segments->members), compare_numbers);
	for (size_t i = 0; i < segments->nmembers; i++)
		prepare(segments->members[i], head, size);
	for (size_t i = 0; i < segments->nmembers && !err; i++)
		err = hand_out_one(segments, segments->members[i]);
	return err;
}

int fragment_hand_out(struct segments *segments, struct piece *piece)
{
	bool all, known;
	int err;

	if (piece->settled)
		return 0;
	if (piece->journey.undecided || segments->sampled)
		return segments->done(segments->context, &piece->journey);
	err = gather(segments, piece, &all);
	if (err)
		return err;
	known = choose(segments, piece) && all;
	if (!is_cut(segments))
		return segments->done(segments->context, &piece->journey);
	if (known && are_one(segments) && !is_crowded(segments))
		return hand_out_all(segments);
	for (size_t i = 0; i < segments->nmembers; i++)
		segments->members[i]->journey.undecided = true;
	return segments->done(segments->context, &piece->journey);
}
