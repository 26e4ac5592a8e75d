/* SPDX-License-Identifier: GPL-2.0-only */
/* segments_private.h - what segments.c keeps, and segments_cut.c cuts. */
#ifndef VNT_SEGMENTS_PRIVATE_H
#define VNT_SEGMENTS_PRIVATE_H

#include "map.h"
#include "segments.h"

#define SPAN_MAX  (1u << 20) /* positions: twice the largest super-packet */
#define STEPS_MAX 4096       /* packets in one of them */

#define DATAGRAMS_MAX 128 /* in a super-packet; Linux goes as far */

enum piece_kind {
	PIECE_WHOLE, /* overlaps nothing */
	PIECE_TCP,   /* positions are sequence numbers */
	PIECE_UDP,   /* positions are datagrams, numbered as they come */
};

/* What join.h takes for one packet. */
struct piece {
	struct journey journey; /* owns its sightings */
	uint32_t number;        /* of the piece */
	uint32_t flow;
	uint32_t mark;  /* only pieces with the same one overlap */
	uint32_t start; /* position */
	uint32_t span;  /* positions, of its longest sighting */
	uint32_t bytes; /* payload of that one, if it is a super-packet */
	uint16_t segment;
	uint16_t kind;
	uint32_t headers; /* bytes around the payload of each packet */
	uint32_t entries; /* in the index */
	bool inside;      /* UDP: of another super-packet, if not known of which */
	uint64_t taken[DATAGRAMS_MAX / 64]; /* UDP: a bit for each datagram that was found */
	bool doubtful; /* UDP: others of it may be there, and not known as such */
};

/* A piece that overlaps the one at hand, from position `begin` of that one on. */
struct cover {
	int32_t begin;
	const struct piece *piece;
};

#define RECENT_MAX 64

struct cut_flow {
	uint64_t first_ns; /* of its super-packets */
	bool cut;          /* segments of super-packets were seen */
	uint32_t position; /* UDP: the next one */
	uint32_t nrecent;
	uint32_t recent[RECENT_MAX]; /* UDP: numbers of the super-packets that came last */
};

enum datagram_place {
	DATAGRAM_ALONE,
	DATAGRAM_INSIDE, /* of a super-packet: its start is set */
	DATAGRAM_UNDECIDED,
};

/* An entry of the index is a piece in one window of positions. Entries and pieces come and go in the
 * same order, so a chain ends where an entry is too old to be there. */
struct entry {
	uint32_t hash;
	uint32_t piece;
	uint32_t next; /* the one before in the same chain */
};

struct segments {
	uint64_t horizon_ns;
	journey_fn done;
	void *context;
	bool sampled;
	bool began;         /* there was a piece */
	struct map by_flow; /* -> flows */
	struct cut_flow *flows;
	size_t nflows;
	size_t flows_room;

	struct piece *pieces; /* ring: number n is at n & (pieces_size - 1) */
	uint32_t pieces_size; /* power of two, as the others */
	uint32_t front;       /* number of the oldest; numbers wrap around */
	uint32_t due;         /* of the oldest that was not handed out */
	uint32_t end;

	struct entry *entries; /* ring */
	uint32_t *heads;       /* newest entry of each chain */
	uint32_t entries_size; /* also of heads */
	uint32_t entries_front;
	uint32_t entries_end;

	/* Of the piece at hand. */
	struct cover *covers; /* by where they begin */
	size_t ncovers;
	size_t covers_room;
	struct cover *active; /* those that cover a position */
	size_t nactive;
	size_t active_room;
	struct sighting *seen;
	size_t seen_room;
};

static inline struct piece *segments_piece(const struct segments *segments, uint32_t number)
{
	return &segments->pieces[number & (segments->pieces_size - 1)];
}

/* Positions of the piece that were seen there. */
static inline uint32_t piece_reach(const struct piece *piece, const struct sighting *sighting)
{
	if (piece->kind == PIECE_TCP)
		return sighting->data;
	if (!sighting->segment)
		return 1;
	return (sighting->data + sighting->segment - 1) / sighting->segment;
}

/* In which super-packet a datagram is, or the one that begins with it. */
enum datagram_place datagram_find(const struct segments *segments, const struct cut_flow *flow,
				  struct piece *piece);

/* Hands out what was seen of the piece before any other that it overlaps; segments->covers are these and
 * itself. */
int segments_cut(struct segments *segments, const struct piece *piece);

#endif
