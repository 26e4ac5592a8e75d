// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "join.h"
#include "map.h"

#define RING_MIN 256
#define RING_MAX (1u << 28)
#define AHEAD    16 /* events whose slots are fetched into the cache before the first is joined */

/* Slots of journeys that have ended stay where they are until reused or cleaned up. */
struct slot {
	uint32_t hash;    /* 0: free, and never used since the last clean-up */
	uint32_t journey; /* number of the journey */
};

struct join {
	struct journey *ring;
	uint32_t ring_size; /* power of two; journey n is at n & (ring_size - 1) */
	uint32_t front;     /* number of the oldest journey; numbers wrap around */
	uint32_t count;
	struct slot *slots;
	uint32_t slots_size; /* power of two */
	uint32_t slots_used; /* with those of journeys that have ended */
	uint64_t horizon_ns;
	uint64_t now_ns;
	uint64_t flow_mask;
	journey_fn done;
	void *context;
};

static struct journey *join_journey(const struct join *join, uint32_t number)
{
	return &join->ring[number & (join->ring_size - 1)];
}

static bool join_alive(const struct join *join, uint32_t number)
{
	return number - join->front < join->count;
}

static struct slot *join_slot(const struct join *join, uint32_t at)
{
	return &join->slots[at & (join->slots_size - 1)];
}

/* Never 0. The low bits choose the slot. */
static uint32_t hash_event(const struct join *join, const struct vnt_event *event)
{
	return map_hash(map_hash(0, event->flow & join->flow_mask), event->key) | 1u << 31;
}

/* A new table without the slots of journeys that have ended, at most a quarter full. */
static int join_clean(struct join *join)
{
	struct join next = *join;

	while (next.slots_size / 4 <= next.count)
		next.slots_size *= 2;
	next.slots = calloc(next.slots_size, sizeof(*next.slots));
	if (!next.slots)
		return -ENOMEM;
	next.slots_used = 0;
	for (uint32_t i = 0; i < join->slots_size; i++) {
		struct slot slot = join->slots[i];
		uint32_t at = slot.hash;

		if (!slot.hash || !join_alive(join, slot.journey))
			continue;
		while (join_slot(&next, at)->hash)
			at++;
		*join_slot(&next, at) = slot;
		next.slots_used++;
	}
	free(join->slots);
	*join = next;
	return 0;
}

static int join_grow_ring(struct join *join)
{
	struct join next = *join;

	if (join->ring_size >= RING_MAX)
		return -ENOMEM;
	next.ring_size *= 2;
	next.ring = malloc(next.ring_size * sizeof(*next.ring));
	if (!next.ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < join->count; i++)
		*join_journey(&next, join->front + i) = *join_journey(join, join->front + i);
	free(join->ring);
	*join = next;
	return 0;
}

static int join_make_room(struct join *join)
{
	int err = 0;

	if (join->count == join->ring_size)
		err = join_grow_ring(join);
	if (!err && join->slots_used >= join->slots_size / 2)
		err = join_clean(join);
	return err;
}

/* The journey the event belongs to, begun if there is none. There is room for one more. */
static struct journey *join_find(struct join *join, const struct vnt_event *event, uint32_t hash)
{
	struct slot *slot, *reuse = NULL;
	struct journey *journey;

	for (uint32_t at = hash;; at++) {
		slot = join_slot(join, at);
		if (!slot->hash)
			break;
		if (!join_alive(join, slot->journey)) {
			if (!reuse)
				reuse = slot;
			continue;
		}
		journey = join_journey(join, slot->journey);
		if (slot->hash == hash && !((journey->flow ^ event->flow) & join->flow_mask) &&
		    journey->key == event->key)
			return journey;
	}
	if (reuse)
		slot = reuse;
	else
		join->slots_used++;
	*slot = (struct slot){.hash = hash, .journey = join->front + join->count++};
	journey = join_journey(join, slot->journey);
	journey->flow = event->flow;
	journey->key = event->key;
	journey->length = event->length;
	journey->count = 0;
	return journey;
}

static int journey_see(struct journey *journey, const struct vnt_event *event, uint64_t time_ns)
{
	uint32_t count = journey->count;
	struct sighting *sightings = count > JOURNEY_INLINE ? journey->many : journey->few;

	/* Full exactly when the count is a power of two that the inline part cannot exceed. */
	if (count >= JOURNEY_INLINE && !(count & (count - 1))) {
		bool few = count == JOURNEY_INLINE;
		struct sighting *grown;

		grown = reallocarray(few ? NULL : sightings, 2 * (size_t)count, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		if (few)
			memcpy(grown, sightings, sizeof(journey->few));
		journey->many = sightings = grown;
	}
	sightings[count].time_ns = time_ns;
	sightings[count].probe = event->probe;
	sightings[count].cpu = event->cpu;
	sightings[count].data = event->flags & VNT_PACKET_TCP_DATA ? event->payload : 0;
	journey->count++;
	return 0;
}

static void journey_release(struct journey *journey)
{
	if (journey->count > JOURNEY_INLINE)
		free(journey->many);
}

static int join_finish_front(struct join *join)
{
	struct journey *journey = join_journey(join, join->front);
	int err = join->done(join->context, journey);

	journey_release(journey);
	join->front++;
	join->count--;
	return err;
}

/* Ends the journeys that began more than the horizon ago. */
static int join_expire(struct join *join)
{
	int err = 0;

	while (join->count && !err) {
		const struct journey *journey = join_journey(join, join->front);

		if (join->now_ns - journey_sightings(journey)->time_ns <= join->horizon_ns)
			break;
		err = join_finish_front(join);
	}
	return err;
}

static int join_event(struct join *join, const struct vnt_event *event, uint32_t hash)
{
	int err;

	if (event->time_ns > join->now_ns) {
		join->now_ns = event->time_ns;
		err = join_expire(join);
		if (err)
			return err;
	}
	err = join_make_room(join);
	if (err)
		return err;
	return journey_see(join_find(join, event, hash), event, join->now_ns);
}

static void join_prefetch(const struct join *join, const struct vnt_event *events, size_t count,
			  uint32_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = hash_event(join, &events[i]);
		__builtin_prefetch(join_slot(join, hashes[i]));
	}
}

int join_push(struct join *join, const struct vnt_event *events, size_t count)
{
	uint32_t hashes[2][AHEAD];
	size_t n = count < AHEAD ? count : AHEAD, next;
	bool side = false;
	int err = 0;

	join_prefetch(join, events, n, hashes[side]);
	for (; n && !err; n = next, side = !side) {
		count -= n;
		next = count < AHEAD ? count : AHEAD;
		join_prefetch(join, events + n, next, hashes[!side]);
		for (size_t i = 0; i < n && !err; i++)
			err = join_event(join, &events[i], hashes[side][i]);
		events += n;
	}
	return err;
}

void join_mask_flows(struct join *join, uint64_t mask)
{
	join->flow_mask = mask;
}

int join_flush(struct join *join)
{
	int err = 0;

	while (join->count && !err)
		err = join_finish_front(join);
	return err;
}

int join_open(struct join **join, uint64_t horizon_ns, journey_fn done, void *context)
{
	struct join *j = calloc(1, sizeof(*j));

	*join = NULL;
	if (!j)
		return -ENOMEM;
	j->ring_size = RING_MIN;
	j->ring = malloc(j->ring_size * sizeof(*j->ring));
	j->slots_size = RING_MIN * 4;
	j->slots = calloc(j->slots_size, sizeof(*j->slots));
	j->horizon_ns = horizon_ns < INT64_MAX ? horizon_ns : INT64_MAX;
	j->flow_mask = UINT64_MAX;
	j->done = done;
	j->context = context;
	if (!j->ring || !j->slots) {
		join_close(j);
		return -ENOMEM;
	}
	*join = j;
	return 0;
}

void join_close(struct join *join)
{
	if (!join)
		return;
	for (uint32_t i = 0; i < join->count; i++)
		journey_release(join_journey(join, join->front + i));
	free(join->ring);
	free(join->slots);
	free(join);
}
