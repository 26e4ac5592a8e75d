// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "segments_private.h"

#define RING_MIN 256
#define RING_MAX (1u << 28)

/* A window is a row of 2^n positions: a segment or two, or a datagram. */
static const unsigned int window_logs[] = {
	[PIECE_TCP] = 12, [PIECE_UDP] = 0, [PIECE_FRAGMENT] = 17};

static uint32_t piece_window(const struct piece *piece, uint32_t position)
{
	return position >> window_logs[piece->kind];
}

static uint32_t piece_windows(const struct piece *piece)
{
	uint32_t last = piece_window(piece, piece->start + piece->span - 1);
	uint32_t count = last - piece_window(piece, piece->start) + 1;

	return count & (UINT32_MAX >> window_logs[piece->kind]);
}

static uint32_t window_hash(const struct piece *piece, uint32_t window, bool guessed)
{
	return map_hash(map_hash(0, (uint64_t)piece->flow << 32 | piece->mark), window) + guessed;
}

static uint32_t *segments_head(const struct segments *segments, uint32_t hash)
{
	return &segments->heads[hash & (segments->entries_size - 1)];
}

static struct entry *segments_entry(const struct segments *segments, uint32_t number)
{
	return &segments->entries[number & (segments->entries_size - 1)];
}

static bool entry_alive(const struct segments *segments, uint32_t number)
{
	return number - segments->entries_front < segments->entries_end - segments->entries_front;
}

static void segments_chain(struct segments *segments, uint32_t number)
{
	struct entry *entry = segments_entry(segments, number);
	uint32_t *head = segments_head(segments, entry->hash);

	entry->next = *head;
	*head = number;
}

static int segments_grow_entries(struct segments *segments)
{
	uint32_t size = segments->entries_size ? segments->entries_size * 2 : RING_MIN;
	struct entry *entries = malloc(size * sizeof(*entries));
	uint32_t *heads = malloc(size * sizeof(*heads));

	if (size > RING_MAX || !entries || !heads) {
		free(entries);
		free(heads);
		return -ENOMEM;
	}
	for (uint32_t i = segments->entries_front; i != segments->entries_end; i++)
		entries[i & (size - 1)] = *segments_entry(segments, i);
	for (uint32_t i = 0; i < size; i++)
		heads[i] = segments->entries_front - 1;
	free(segments->entries);
	free(segments->heads);
	segments->entries = entries;
	segments->heads = heads;
	segments->entries_size = size;
	for (uint32_t i = segments->entries_front; i != segments->entries_end; i++)
		segments_chain(segments, i);
	return 0;
}

static int segments_index(struct segments *segments, struct piece *piece)
{
	uint32_t window = piece_window(piece, piece->start), windows = piece_windows(piece);

	for (; windows; windows--, window++) {
		if (segments->entries_end - segments->entries_front == segments->entries_size) {
			int err = segments_grow_entries(segments);

			if (err)
				return err;
		}
		window = piece_window(piece, window << window_logs[piece->kind]); /* wrap around */
		*segments_entry(segments, segments->entries_end) = (struct entry){
			window_hash(piece, window, piece->guessed), piece->number, 0};
		piece->entry = segments->entries_end;
		segments_chain(segments, segments->entries_end++);
		piece->entries++;
	}
	return 0;
}

static int segments_grow_pieces(struct segments *segments)
{
	uint32_t size = segments->pieces_size ? segments->pieces_size * 2 : RING_MIN;
	struct piece *pieces = size > RING_MAX ? NULL : malloc(size * sizeof(*pieces));

	if (!pieces)
		return -ENOMEM;
	for (uint32_t i = segments->front; i != segments->end; i++)
		pieces[i & (size - 1)] = *segments_piece(segments, i);
	free(segments->pieces);
	segments->pieces = pieces;
	segments->pieces_size = size;
	return 0;
}

static void piece_release(struct piece *piece)
{
	if (piece->journey.count > JOURNEY_INLINE)
		free(piece->journey.many);
}

static uint64_t piece_time(const struct piece *piece)
{
	return journey_sightings(&piece->journey)->time_ns;
}

/* Of the packet at a position that both cover: it counts up from segment to segment. */
static uint16_t piece_id(const struct piece *piece, uint32_t position)
{
	uint32_t before = position - piece->start;

	return piece->journey.id + (piece->segment ? before / piece->segment : 0);
}

static bool pieces_near(const struct piece *a, const struct piece *b, uint64_t horizon_ns)
{
	uint64_t apart = piece_time(a) > piece_time(b) ? piece_time(a) - piece_time(b)
						       : piece_time(b) - piece_time(a);

	return apart <= horizon_ns;
}

/* Whether two pieces of a flow, kind and mark, of which one begins in the other, are of one transmission. */
static bool piece_fits(const struct piece *a, const struct piece *b, uint32_t position,
		       uint64_t horizon_ns)
{
	if (!pieces_near(a, b, horizon_ns))
		return false;
	if (a->journey.flags & VNT_PACKET_STAMPED)
		return true;
	return piece_id(a, position) == piece_id(b, position) || a->journey.id == b->journey.id;
}

int segments_cover(struct segments *segments, const struct piece *piece, int32_t begin)
{
	size_t at = segments->ncovers;
	int err = array_reserve(&segments->covers, &segments->covers_room, at + 1,
				sizeof(*segments->covers));

	if (err)
		return err;
	for (; at && segments->covers[at - 1].begin > begin; at--)
		segments->covers[at] = segments->covers[at - 1];
	segments->covers[at] = (struct cover){begin, piece};
	segments->ncovers++;
	return 0;
}

static int segments_look(struct segments *segments, const struct piece *piece, uint32_t window)
{
	uint32_t hash = window_hash(piece, window, false), number = *segments_head(segments, hash);
	int err = 0;

	for (int i = 0; i < CHAIN_MAX && entry_alive(segments, number) && !err; i++) {
		const struct entry *entry = segments_entry(segments, number);
		const struct piece *other = segments_piece(segments, entry->piece);
		int32_t begin = other->start - piece->start;
		uint32_t common = begin > 0 ? other->start : piece->start;

		number = entry->next;
		if (entry->hash != hash || other == piece || other->kind != piece->kind ||
		    other->flow != piece->flow || other->mark != piece->mark)
			continue;
		/* In the first window that both are in, so that it is found once. */
		if (begin >= (int32_t)piece->span || -begin >= (int32_t)other->span ||
		    piece_window(piece, common) != window)
			continue;
		if (piece_fits(piece, other, common, segments->horizon_ns))
			err = segments_cover(segments, other, begin);
	}
	return err;
}

struct piece *segments_alike(const struct segments *segments, const struct piece *piece,
			     bool guessed, const struct piece *last, int *looks)
{
	uint32_t window = piece_window(piece, piece->start);
	uint32_t hash = window_hash(piece, window, guessed);
	uint32_t number = last ? segments_entry(segments, last->entry)->next
			       : *segments_head(segments, hash);

	for (; entry_alive(segments, number) && *looks; --*looks) {
		const struct entry *entry = segments_entry(segments, number);
		struct piece *other = segments_piece(segments, entry->piece);

		number = entry->next;
		if (entry->hash == hash && other != piece && other->kind == piece->kind &&
		    other->flow == piece->flow && other->mark == piece->mark &&
		    piece_window(other, other->start) == window && other->guessed == guessed &&
		    pieces_near(piece, other, segments->horizon_ns)) {
			--*looks;
			return other;
		}
	}
	return NULL;
}

/* All that may overlap the oldest piece has come. */
static int segments_hand_out(struct segments *segments)
{
	struct piece *piece = segments_piece(segments, segments->due++);
	uint32_t window = piece_window(piece, piece->start), windows = piece_windows(piece);
	int err;

	if (piece->kind == PIECE_WHOLE)
		return segments->done(segments->context, &piece->journey);
	if (piece->kind == PIECE_UDP)
		return datagram_hand_out(segments, piece);
	if (piece->kind == PIECE_FRAGMENT)
		return fragment_hand_out(segments, piece);
	segments->ncovers = 0;
	err = segments_cover(segments, piece, 0);
	for (; windows && !err; windows--, window++) {
		window = piece_window(piece, window << window_logs[piece->kind]);
		err = segments_look(segments, piece, window);
	}
	return err ? err : segments_cut(segments, piece);
}

static void segments_drop_front(struct segments *segments)
{
	struct piece *piece = segments_piece(segments, segments->front++);

	segments->entries_front += piece->entries;
	piece_release(piece);
}

/* Hands out what is a horizon old, drops what is two. */
static int segments_move(struct segments *segments, uint64_t now_ns)
{
	int err = 0;

	while (segments->due != segments->end && !err &&
	       now_ns - piece_time(segments_piece(segments, segments->due)) > segments->horizon_ns)
		err = segments_hand_out(segments);
	while (segments->front != segments->due &&
	       now_ns - piece_time(segments_piece(segments, segments->front)) >
		       2 * segments->horizon_ns)
		segments_drop_front(segments);
	return err;
}

static int piece_copy(struct piece *piece, const struct journey *journey)
{
	piece->journey = *journey;
	if (journey->count <= JOURNEY_INLINE)
		return 0;
	piece->journey.many = malloc(journey->count * sizeof(*journey->many));
	if (!piece->journey.many)
		return -ENOMEM;
	memcpy(piece->journey.many, journey->many, journey->count * sizeof(*journey->many));
	return 0;
}

static void piece_measure(struct piece *piece, struct cut_flow *flow)
{
	const struct sighting *seen = journey_sightings(&piece->journey);
	uint32_t longest = 0;
	bool plain = false;

	for (uint32_t i = 0; i < piece->journey.count; i++) {
		piece->span = seen[i].data > piece->span ? seen[i].data : piece->span;
		plain |= !seen[i].segment;
		if (seen[i].segment && seen[i].data > longest) {
			longest = seen[i].data;
			piece->segment = seen[i].segment;
		}
	}
	piece->headers = piece->journey.length - piece->journey.payload;
	flow->cut |= plain && piece->segment;
}

/* An impossible one is left as it is. */
static bool piece_is_sane(const struct piece *piece)
{
	return piece->span <= SPAN_MAX &&
	       (!piece->segment || piece->span / piece->segment < STEPS_MAX);
}

static void piece_set_bytes(struct piece *piece, struct cut_flow *flow)
{
	piece->kind = PIECE_TCP;
	piece->start = piece->journey.key;
	piece->mark = piece->journey.key >> 32; /* the stamp, of which all segments have a copy */
	if (!(piece->journey.flags & VNT_PACKET_STAMPED))
		piece->mark &= 0xffff; /* TSval */
	piece_measure(piece, flow);
	if (!piece_is_sane(piece))
		piece->kind = PIECE_WHOLE;
}

static int segments_add(struct segments *segments, const struct journey *journey, uint32_t flow)
{
	struct piece *piece;
	int err = 0;

	if (segments->end - segments->front == segments->pieces_size)
		err = segments_grow_pieces(segments);
	if (err)
		return err;
	piece = segments_piece(segments, segments->end);
	*piece = (struct piece){.number = segments->end, .flow = flow};
	err = piece_copy(piece, journey);
	if (err)
		return err;
	if (segments->flows[flow].fragments)
		fragment_set(segments, piece);
	else if (journey->flags & VNT_PACKET_TCP_DATA)
		piece_set_bytes(piece, &segments->flows[flow]);
	else if (journey->payload)
		datagram_set(piece, &segments->flows[flow]);
	if (piece->kind != PIECE_WHOLE)
		err = segments_index(segments, piece);
	if (err)
		piece_release(piece);
	else
		segments->end++;
	segments->began = true;
	return err;
}

/* Is that before anything that the flow was expected for? */
static bool is_early(const struct segments *segments, uint32_t flow, uint64_t time_ns)
{
	uint64_t first_ns = segments->flows[flow].first_ns;

	return first_ns > time_ns && first_ns - time_ns > segments->horizon_ns;
}

/* Index of the flow that holds what is first seen then, or MAP_NONE. */
static uint32_t find_flow(const struct segments *segments, uint64_t hash, uint64_t time_ns)
{
	uint32_t flow = segments->nflows ? map_find(&segments->by_flow, hash) : MAP_NONE;

	if (flow != MAP_NONE && is_early(segments, flow, time_ns))
		flow = MAP_NONE;
	if (flow == MAP_NONE && segments->fragmented)
		flow = fragments_flow(segments, hash);
	return flow != MAP_NONE && is_early(segments, flow, time_ns) ? MAP_NONE : flow;
}

bool segments_idle(const struct segments *segments)
{
	return !segments->nflows;
}

int segments_reach(struct segments *segments, uint64_t flow, uint64_t time_ns, bool *held)
{
	*held = find_flow(segments, flow, time_ns) != MAP_NONE;
	return segments->front != segments->end ? segments_move(segments, time_ns) : 0;
}

int segments_put(void *context, const struct journey *journey)
{
	struct segments *segments = context;
	uint64_t time_ns = journey_sightings(journey)->time_ns;
	uint32_t flow = find_flow(segments, journey->flow, time_ns);
	int err = 0;

	if (segments->front != segments->end)
		err = segments_move(segments, time_ns);
	if (err)
		return err;
	if (flow == MAP_NONE)
		return segments->done(segments->context, journey);
	return segments_add(segments, journey, flow);
}

int segments_flush(struct segments *segments)
{
	int err = 0;

	while (segments->due != segments->end && !err)
		err = segments_hand_out(segments);
	while (segments->front != segments->due)
		segments_drop_front(segments);
	return err;
}

bool segments_expected(const struct segments *segments, uint64_t flow)
{
	return map_find(&segments->by_flow, flow) != MAP_NONE;
}

int segments_expect(struct segments *segments, uint64_t flow, uint64_t time_ns)
{
	int err;

	if (segments_expected(segments, flow))
		return 0;
	err = array_reserve(&segments->flows, &segments->flows_room, segments->nflows + 1,
			    sizeof(*segments->flows));
	if (!err)
		err = map_add(&segments->by_flow, flow, segments->nflows);
	if (!err)
		segments->flows[segments->nflows++] = (struct cut_flow){.first_ns = time_ns};
	return err;
}

int segments_expect_fragments(struct segments *segments, uint64_t flow, uint64_t time_ns)
{
	size_t before = segments->nflows;
	int err = segments_expect(segments, flow, time_ns);

	if (segments->nflows > before) {
		segments->flows[before].fragments = true;
		segments->flows[before].cut = true;
		segments->fragmented = true;
	}
	return err;
}

void segments_name(struct segments *segments, const struct flows *flows)
{
	segments->names = flows;
}

bool segments_began(const struct segments *segments)
{
	return segments->began;
}

void segments_sample(struct segments *segments)
{
	segments->sampled = true;
}

int segments_open(struct segments **segments, uint64_t horizon_ns, journey_fn done, void *context)
{
	struct segments *s = calloc(1, sizeof(*s));

	*segments = s;
	if (!s)
		return -ENOMEM;
	s->horizon_ns = horizon_ns < INT64_MAX / 2 ? horizon_ns : INT64_MAX / 2;
	s->done = done;
	s->context = context;
	return 0;
}

void segments_close(struct segments *segments)
{
	if (!segments)
		return;
	while (segments->front != segments->end)
		piece_release(segments_piece(segments, segments->front++));
	map_release(&segments->by_flow);
	free(segments->flows);
	free(segments->pieces);
	free(segments->entries);
	free(segments->heads);
	free(segments->covers);
	free(segments->active);
	free(segments->seen);
	free(segments->members);
	free(segments);
}
