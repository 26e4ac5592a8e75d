// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "array.h"
#include "later.h"
#include "map.h"
#include "spill.h"
#include "tape.h"

#define PARTS    32
#define PART_LOG 5
#define LEVELS   6    /* of parts of parts: as many bits as the hash has */
#define WATCH    4096 /* journeys that are handed out between two calls of the watch */
#define BUFFERED ((PARTS + 2 * LEVELS) * (size_t)TAPE_BUFFER)

_Static_assert(BUFFERED + JOIN_MEMORY_MIN <= SPILL_MEMORY_MIN, "what a spill needs at least");

/* Journeys that were in flight when the spilling began, and behind them the legs. */
struct part {
	struct tape tape;
	uint64_t journeys;
	uint64_t legs;
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
	struct later later;
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
	size_t needed;
};

/* Empty, with the horizon, mask, probes, limit, level and taker of another one. */
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
	spill_probes(spill, like->later.probes);
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
	return sizeof(*spill) + spill->later.room * sizeof(*spill->later.legs) +
	       (spill->join ? join_memory(spill->join) : BUFFERED);
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

void spill_probes(struct spill *spill, const struct probe *probes)
{
	spill->later.probes = probes;
	join_probes(spill->join, probes);
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

static int spill_leg(struct spill *spill, const struct leg *leg)
{
	struct part *part = spill_part(spill, leg->flow, leg->key);

	spill->now_ns = leg->first_ns;
	part->legs++;
	return tape_write(&part->tape, leg, sizeof(*leg));
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

/* As join_push(). */
static int spill_some(struct spill *spill, const struct leg *legs, size_t count, size_t *taken)
{
	struct leg rest;
	int err = 0;

	*taken = 0;
	if (spill->join) {
		err = join_push(spill->join, legs, count, taken);
		if (!err)
			return join_rest(spill->join, &rest) ? later_add(&spill->later, &rest) : 0;
		err = spill_begin(spill, err);
	}
	for (; *taken < count && !err; *taken += !err)
		err = spill_leg(spill, &legs[*taken]);
	return err;
}

/* The first of those that wait. */
static int spill_late(struct spill *spill)
{
	struct leg leg = later_take(&spill->later);
	size_t taken;

	return spill_some(spill, &leg, 1, &taken);
}

/* How many of the legs come before the first one that waits. */
static size_t spill_before(const struct spill *spill, const struct leg *legs, size_t count)
{
	size_t n = 0;

	if (!spill->later.count)
		return count;
	while (n < count && !later_is_due(&spill->later, &legs[n]))
		n++;
	return n;
}

static int spill_legs(struct spill *spill, const struct leg *legs, size_t count)
{
	size_t done = 0, before, taken;
	int err = 0;

	while (done < count && !err) {
		before = spill_before(spill, legs + done, count - done);
		if (!before) {
			err = spill_late(spill);
			continue;
		}
		err = spill_some(spill, legs + done, before, &taken);
		done += taken;
	}
	return err;
}

/* Was the limit lowered? */
static bool spill_is_over(const struct spill *spill)
{
	return spill->join && join_memory(spill->join) > spill->memory - BUFFERED;
}

int spill_push(struct spill *spill, const struct leg *legs, size_t count)
{
	int err = 0;

	if (spill_is_over(spill))
		err = spill_begin(spill, -ENOBUFS);
	return err ? err : spill_legs(spill, legs, count);
}

int spill_push_later(struct spill *spill, const struct leg *leg)
{
	return later_add(&spill->later, leg);
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
	struct seat seat;
	struct leg leg;
	size_t room = 0;
	int err = 0;

	for (; part->journeys && !err; part->journeys--) {
		err = read_seat(&part->tape, &seat, &many, &room);
		if (!err)
			err = spill_adopt(spill, &seat);
	}
	free(many);
	for (; part->legs && !err; part->legs--) {
		err = tape_read(&part->tape, &leg, sizeof(leg));
		if (!err)
			err = spill_legs(spill, &leg, 1);
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
		.later.probes = spill->later.probes,
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

static uint32_t run_input(const struct spill *spill, const struct run *run)
{
	const struct seat *seat = &run->seat;

	return probe_input(spill->later.probes,
			   seat_many(seat) ? seat->many->probe : seat->probes[0]);
}

static bool run_before(const struct spill *spill, const struct run *a, const struct run *b)
{
	uint32_t a_input, b_input;

	if (a->seat.first_ns != b->seat.first_ns)
		return a->seat.first_ns < b->seat.first_ns;
	a_input = run_input(spill, a);
	b_input = run_input(spill, b);
	if (a_input != b_input)
		return a_input < b_input;
	return (int32_t)(a->seat.number - b->seat.number) < 0;
}

/* The run that the next journey is in, or NULL. */
static struct run *spill_first(struct spill *spill)
{
	struct run *first = NULL;

	for (struct run *run = spill->runs; run < spill->runs + PARTS; run++)
		if (run->left && (!first || run_before(spill, run, first)))
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
	int err = 0;

	while (spill->later.count && !err)
		err = spill_late(spill);
	if (!err)
		err = spill->join ? spill_finish(spill) : 1;
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
	later_release(&spill->later);
	for (int i = 0; i < PARTS; i++)
		tape_release(&spill->parts[i].tape);
	for (int i = 0; i < PARTS && spill->runs; i++) {
		tape_release(&spill->runs[i].tape);
		free(spill->runs[i].many);
	}
	free(spill->runs);
	free(spill);
}
