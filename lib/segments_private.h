/* SPDX-License-Identifier: GPL-2.0-only */
/* segments_private.h - what segments.c keeps, segments_cut.c cuts, and the others put together. */
#ifndef VNT_SEGMENTS_PRIVATE_H
#define VNT_SEGMENTS_PRIVATE_H

#include "flows.h"
#include "segments.h"

#define SPAN_MAX  (1u << 20) /* positions: twice the largest super-packet */
#define STEPS_MAX 4096       /* packets in one of them */
#define CHAIN_MAX 4096       /* entries that are looked at; no real flow has as many in a window */

enum piece_kind {
	PIECE_WHOLE,    /* overlaps nothing */
	PIECE_TCP,      /* positions are sequence numbers */
	PIECE_UDP,      /* start and mark are the key without IP ID */
	PIECE_FRAGMENT, /* positions are bytes of what IP carries, mark is the IP ID */
};

/* What join.h takes for one packet. */
struct piece {
	struct journey journey; /* owns its sightings */
	uint32_t number;        /* of the piece */
	uint32_t flow;
	uint32_t mark;    /* only pieces with the same one overlap */
	uint32_t start;   /* position */
	uint32_t span;    /* positions, of its longest sighting */
	uint16_t segment; /* of the longest super-packet */
	uint16_t kind;
	uint32_t headers; /* bytes around the payload of each packet */
	uint32_t entries; /* in the index */
	uint32_t entry;   /* the last of them */
	bool guessed;     /* UDP: its IP ID is, everywhere */
	bool settled;     /* UDP, fragments: handed out with another one */
	bool later;       /* a fragment but the first, everywhere; the others are heads */
	bool ends;        /* the datagram does where the piece does */
	bool uneven;      /* a head: longer at one probe than at another */
};

/* A piece that overlaps the one at hand, from position `begin` of that one on. */
struct cover {
	int32_t begin;
	const struct piece *piece;
};

#define GUESSERS_MAX 12

struct cut_flow {
	uint64_t first_ns;  /* of its super-packets or later fragments */
	bool fragments;     /* it is the flow of these */
	bool cut;           /* segments of super-packets were seen */
	bool guessed;       /* UDP: there was such a piece */
	bool many_guessers; /* UDP: there are more than these */
	uint16_t nguessers; /* UDP: probes that guessed IP IDs */
	uint16_t guessers[GUESSERS_MAX];
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
	bool began;      /* there was a piece */
	bool fragmented; /* there is a flow of later fragments */
	const struct flows *names;
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
	struct piece **members; /* what may be of one datagram, by where it begins */
	size_t nmembers;
	size_t members_room;
};

static inline struct piece *segments_piece(const struct segments *segments, uint32_t number)
{
	return &segments->pieces[number & (segments->pieces_size - 1)];
}

/* Other pieces of that kind, flow, mark and first window, guessed or not, at most a horizon older or younger:
 * the first, or the one after `last`. NULL: no more, or nothing is left of *looks, which counts entries down. */
struct piece *segments_alike(const struct segments *segments, const struct piece *piece,
			     bool guessed, const struct piece *last, int *looks);

/* Adds a cover of the piece at hand. 0 or -ENOMEM. */
int segments_cover(struct segments *segments, const struct piece *piece, int32_t begin);

void datagram_set(struct piece *piece, struct cut_flow *flow);
int datagram_hand_out(struct segments *segments, struct piece *piece);

/* Index of the flow that later fragments of the flow's datagrams are of, if there were any; or MAP_NONE. */
uint32_t fragments_flow(const struct segments *segments, uint64_t flow);
void fragment_set(const struct segments *segments, struct piece *piece);
int fragment_hand_out(struct segments *segments, struct piece *piece);

/* Hands out what was seen of the piece before any other that it overlaps; segments->covers are these and
 * itself. */
int segments_cut(struct segments *segments, const struct piece *piece);

#endif
