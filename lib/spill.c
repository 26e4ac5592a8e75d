// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "array.h"
#include "map.h"
#include "spill.h"
#include "tape.h"

#define PARTS    32
#define PART_LOG 5
#define LEVELS   6    /* of parts of parts: as many bits as the hash has */
#define WATCH    4096 /* journeys that are handed out between two calls of the watch */
#define BUFFERED ((PARTS + 2 * LEVELS) * (size_t)TAPE_BUFFER)

_Static_assert(BUFFERED + JOIN_MEMORY_MIN <= SPILL_MEMORY_MIN, "what a spill needs at least");

/* An event as it goes to a file. */
struct spilled {
	struct vnt_event event;
	uint32_t number;
};

/* Journeys that were in flight when the spilling began, and behind them the events. */
struct part {
	struct tape tape;
	uint64_t journeys;
	uint64_t events;
};

/* Finished journeys in order, and the first one that was not handed out. */
struct run {
	struct tape tape;
	struct seat seat;
	struct sighting *many; /* its sightings, where they are not in it */
	size_t room;
	uint64_t left; /* with it */
};

struct spill {
	struct join *join; /* NULL while spilling */
	uint64_t horizon_ns;
	uint64_t flow_mask;
	size_t memory;
	unsigned int level;
	seat_fn done;
	void *context;
	spill_fn watch; /* or NULL */
	void *watch_context;
	struct part parts[PARTS];
	struct run *runs; /* PARTS of them, while these are made and merged */
	uint64_t now_ns;
	uint32_t number; /* of the next event */
	size_t needed;
};

/* Empty, with the horizon, mask, limit, level and taker of another one. */
static int spill_make(struct spill **out, const struct spill *like)
{
	struct spill *spill = malloc(sizeof(*spill));
	int err;

	*out = NULL;
	if (!spill)
		return -ENOMEM;
	*spill = *like;
	err = join_open(&spill->join, like->horizon_ns, like->done, like->context);
	if (err) {
		free(spill);
		return err;
	}
	spill_limit(spill, like->memory);
	spill_mask_flows(spill, like->flow_mask);
	*out = spill;
	return 0;
}

int spill_open(struct spill **spill, uint64_t horizon_ns, seat_fn done, void *context)
{
	const struct spill like = {.horizon_ns = horizon_ns,
				   .flow_mask = UINT64_MAX,
				   .memory = SIZE_MAX,
				   .done = done,
				   .context = context};

	return spill_make(spill, &like);
}

void spill_limit(struct spill *spill, size_t memory)
{
	spill->memory = memory;
	if (spill->join)
		join_limit(spill->join, memory - BUFFERED);
}

size_t spill_memory(const struct spill *spill)
{
	return sizeof(*spill) + (spill->join ? join_memory(spill->join) : BUFFERED);
}

void spill_watch(struct spill *spill, spill_fn watch, void *context)
{
	spill->watch = watch;
	spill->watch_context = context;
}

void spill_mask_flows(struct spill *spill, uint64_t mask)
{
	spill->flow_mask = mask;
	join_mask_flows(spill->join, mask);
}

/* Each level divides by other bits of the hash. */
static struct part *spill_part(struct spill *spill, uint64_t flow, uint64_t key)
{
	uint64_t hash = map_hash(0, join_hash(flow & spill->flow_mask, key));

	return &spill->parts[hash >> PART_LOG * spill->level & (PARTS - 1)];
}

static int write_seat(struct tape *tape, const struct seat *seat)
{
	int err = tape_write(tape, seat, sizeof(*seat));

	if (!err && seat_many(seat))
		err = tape_write(tape, seat->many, seat_many(seat) * sizeof(*seat->many));
	return err;
}

/* `*many`, of `*room`, holds the sightings that are not in it. */
static int read_seat(struct tape *tape, struct seat *seat, struct sighting **many, size_t *room)
{
	int err = tape_read(tape, seat, sizeof(*seat));

	if (err || !seat_many(seat))
		return err;
	err = array_reserve(many, room, seat_many(seat), sizeof(**many));
	if (err)
		return err;
	seat->many = *many;
	return tape_read(tape, *many, seat_many(seat) * sizeof(**many));
}

/* seat_fn: a journey in flight. */
static int spill_seat(void *context, const struct seat *seat)
{
	struct spill *spill = context;
	struct part *part = spill_part(spill, seat->flow, seat->key);

	part->journeys++;
	return write_seat(&part->tape, seat);
}

static int spill_event(struct spill *spill, const struct vnt_event *event, uint32_t number)
{
	struct part *part = spill_part(spill, event->flow, event->key);
	struct spilled spilled = {*event, number};

	if (event->time_ns > spill->now_ns)
		spill->now_ns = event->time_ns;
	spilled.event.time_ns = spill->now_ns;
	part->events++;
	return tape_write(&part->tape, &spilled, sizeof(spilled));
}

static void spill_close_join(struct spill *spill)
{
	spill->now_ns = join_now(spill->join);
	join_close(spill->join);
	spill->join = NULL;
}

/* `err` is what the join says. 0: it was full, and from now on all goes to the parts. */
static int spill_begin(struct spill *spill, int err)
{
	if (err != -ENOBUFS)
		return err;
	spill->needed = join_needed(spill->join) + BUFFERED;
	if (spill->level == LEVELS)
		return err;
	err = join_evict(spill->join, spill_seat, spill);
	spill_close_join(spill);
	return err;
}

/* `numbers` as of join_push_some(). */
static int spill_push_some(struct spill *spill, const struct vnt_event *events,
			   const uint32_t *numbers, size_t count)
{
	size_t done = 0;
	int err = 0;

	if (spill->join) {
		err = join_push_some(spill->join, events, numbers, count, &done);
		spill->number += done;
		if (err)
			err = spill_begin(spill, err);
	}
	for (; done < count && !err; done++, spill->number++)
		err = spill_event(spill, &events[done], numbers ? numbers[done] : spill->number);
	return err;
}

/* Was the limit lowered? */
static bool spill_is_over(const struct spill *spill)
{
	return spill->join && join_memory(spill->join) > spill->memory - BUFFERED;
}

int spill_push(struct spill *spill, const struct vnt_event *events, size_t count)
{
	int err = 0;

	if (spill_is_over(spill))
		err = spill_begin(spill, -ENOBUFS);
	return err ? err : spill_push_some(spill, events, NULL, count);
}

static int spill_adopt(struct spill *spill, const struct seat *seat)
{
	int err = 0;

	if (spill->join) {
		err = join_adopt(spill->join, seat);
		if (!err)
			return 0;
		err = spill_begin(spill, err);
	}
	return err ? err : spill_seat(spill, seat);
}

/* What is in the part, as it was pushed. */
static int part_replay(struct part *part, struct spill *spill)
{
	struct sighting *many = NULL;
	struct spilled spilled;
	struct seat seat;
	size_t room = 0;
	int err = 0;

	for (; part->journeys && !err; part->journeys--) {
		err = read_seat(&part->tape, &seat, &many, &room);
		if (!err)
			err = spill_adopt(spill, &seat);
	}
	free(many);
	for (; part->events && !err; part->events--) {
		err = tape_read(&part->tape, &spilled, sizeof(spilled));
		if (!err)
			err = spill_push_some(spill, &spilled.event, &spilled.number, 1);
	}
	tape_release(&part->tape);
	return err;
}

/* seat_fn: a journey that is finished. */
static int run_add(void *context, const struct seat *seat)
{
	struct run *run = context;

	run->left++;
	return write_seat(&run->tape, seat);
}

/* Joins the part to a run. */
static int spill_join(struct spill *spill, struct part *part, struct run *run)
{
	const struct spill like = {
		.horizon_ns = spill->horizon_ns,
		.flow_mask = spill->flow_mask,
		.memory = spill->memory,
		.level = spill->level + 1,
		.done = run_add,
		.context = run,
	};
	struct spill *parts;
	int err = spill_make(&parts, &like);

	if (err)
		return err;
	err = part_replay(part, parts);
	if (!err)
		err = spill_flush(parts);
	if (!err)
		err = tape_rewind(&run->tape);
	if (err == -ENOBUFS)
		spill->needed = parts->needed;
	spill_close(parts);
	return err;
}

static int run_read(struct run *run)
{
	return run->left ? read_seat(&run->tape, &run->seat, &run->many, &run->room) : 0;
}

static bool run_before(const struct run *a, const struct run *b)
{
	if (a->seat.first_ns != b->seat.first_ns)
		return a->seat.first_ns < b->seat.first_ns;
	return (int32_t)(a->seat.number - b->seat.number) < 0;
}

/* The run that the next journey is in, or NULL. */
static struct run *spill_first(struct spill *spill)
{
	struct run *first = NULL;

	for (struct run *run = spill->runs; run < spill->runs + PARTS; run++)
		if (run->left && (!first || run_before(run, first)))
			first = run;
	return first;
}

static int spill_look(struct spill *spill)
{
	return spill->watch ? spill->watch(spill->watch_context) : 0;
}

static int spill_merge(struct spill *spill)
{
	uint64_t count = 0;
	struct run *run;
	int err = 0;

	for (int i = 0; i < PARTS && !err; i++)
		err = run_read(&spill->runs[i]);
	while (!err && (run = spill_first(spill))) {
		if (++count % WATCH == 0)
			err = spill_look(spill);
		if (err)
			break;
		err = spill->done(spill->context, &run->seat);
		run->left--;
		if (!err)
			err = run_read(run);
	}
	return err;
}

/* From memory. 1: whoever watches left less of it, and the rest is in the parts. */
static int spill_finish(struct spill *spill)
{
	int err;

	while ((err = join_flush_some(spill->join, WATCH)) > 0) {
		err = spill_look(spill);
		if (err)
			return err;
		if (spill_is_over(spill)) {
			err = spill_begin(spill, -ENOBUFS);
			return err ? err : 1;
		}
	}
	if (!err)
		spill_close_join(spill);
	return err;
}

int spill_flush(struct spill *spill)
{
	int err = spill->join ? spill_finish(spill) : 1;

	if (err <= 0)
		return err;
	err = 0;
	spill->runs = calloc(PARTS, sizeof(*spill->runs));
	if (!spill->runs)
		return -ENOMEM;
	for (int i = 0; i < PARTS && !err; i++) /* until it is its turn it takes no memory */
		err = tape_rewind(&spill->parts[i].tape);
	for (int i = 0; i < PARTS && !err; i++)
		err = spill_join(spill, &spill->parts[i], &spill->runs[i]);
	return err ? err : spill_merge(spill);
}

uint64_t spill_now(const struct spill *spill)
{
	return spill->join ? join_now(spill->join) : spill->now_ns;
}

size_t spill_needed(const struct spill *spill)
{
	return spill->needed;
}

bool spill_began(const struct spill *spill)
{
	return !spill->join;
}

void spill_close(struct spill *spill)
{
	if (!spill)
		return;
	join_close(spill->join);
	for (int i = 0; i < PARTS; i++)
		tape_release(&spill->parts[i].tape);
	for (int i = 0; i < PARTS && spill->runs; i++) {
		tape_release(&spill->runs[i].tape);
		free(spill->runs[i].many);
	}
	free(spill->runs);
	free(spill);
}
