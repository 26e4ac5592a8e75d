// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "join.h"
#include "map.h"

#define RING_MIN  256
#define RING_MAX  (1u << 28)
#define LARGE_MIN (4u << 20) /* bytes */
#define AHEAD     16 /* events whose slots are fetched into the cache before the first is joined */

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
	struct slot *spare;  /* as many, for the next clean-up; or NULL */
	uint32_t slots_size; /* power of two */
	uint32_t slots_used; /* with those of journeys that have ended */
	size_t many;         /* bytes of the sightings that are not in the ring */
	size_t memory;       /* bytes that all of it may take */
	size_t needed;       /* when it was too little */
	uint64_t number;     /* of the next event */
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

/* The low bits choose the slot. */
uint32_t join_hash(uint64_t flow, uint64_t key)
{
	return map_hash(map_hash(0, flow), key) | 1u << 31;
}

/* Is there memory for a ring and slots of these sizes, and for so many bytes more? */
static bool join_may_grow(struct join *join, size_t ring, size_t slots, size_t more)
{
	size_t needed = ring * sizeof(*join->ring) + slots * sizeof(*join->slots) + join->many;

	join->needed = needed + more;
	return join->needed <= join->memory;
}

/* Large tables are used all over: with large pages that is a third faster. Advised is the whole of a
 * mapping: in two parts the kernel would not move it, and realloc() would copy. */
static void prefer_large_pages(void *bytes, size_t size)
{
	uintptr_t page = sysconf(_SC_PAGESIZE), first = (uintptr_t)bytes & -page;

	if (size >= LARGE_MIN)
		madvise((void *)first, ((uintptr_t)bytes + size - first + page - 1) & -page,
			MADV_HUGEPAGE);
}

static struct slot *join_slots(size_t count)
{
	struct slot *slots = calloc(count, sizeof(*slots));

	if (slots)
		prefer_large_pages(slots, count * sizeof(*slots));
	return slots;
}

static uint32_t hash_packet(const struct join *join, uint64_t flow, uint64_t key)
{
	return join_hash(flow & join->flow_mask, key);
}

/* A new table without the slots of journeys that have ended, at most a quarter full. */
static int join_clean(struct join *join)
{
	struct join next = *join;

	while (next.slots_size / 4 <= next.count)
		next.slots_size *= 2;
	if (!join_may_grow(join, join->ring_size, (size_t)join->slots_size + next.slots_size, 0))
		return -ENOBUFS;
	next.slots = next.slots_size == join->slots_size ? join->spare : NULL;
	if (next.slots)
		memset(next.slots, 0, next.slots_size * sizeof(*next.slots));
	else
		next.slots = join_slots(next.slots_size);
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
	if (next.slots != join->spare)
		free(join->spare);
	next.spare = join->slots;
	if (next.slots_size != join->slots_size) {
		free(join->slots);
		next.spare = NULL;
	}
	*join = next;
	return 0;
}

/* In place: a journey stays where it is, or goes as far into the new half. */
static int join_grow_ring(struct join *join)
{
	uint32_t size = join->ring_size;
	struct journey *ring;

	if (size >= RING_MAX)
		return -ENOBUFS;
	if (!join_may_grow(join, (size_t)size * 2, join->slots_size, 0))
		return -ENOBUFS;
	ring = reallocarray(join->ring, (size_t)size * 2, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	prefer_large_pages(ring, 2 * (size_t)size * sizeof(*ring));
	for (uint32_t number = join->front; number != join->front + join->count; number++)
		if (number & size)
			ring[number & (2 * size - 1)] = ring[number & (size - 1)];
	join->ring = ring;
	join->ring_size = size * 2;
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

/* The journey the event belongs to, begun with that number if there is none. There is room for one
 * more. */
static struct journey *join_find(struct join *join, const struct vnt_event *event, uint32_t hash,
				 uint64_t event_number)
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
	journey->number = event_number;
	journey->flow = event->flow;
	journey->key = event->key;
	journey->length = event->length;
	journey->payload = event->payload;
	journey->flags = event->flags;
	journey->id = event->id;
	journey->undecided = false;
	journey->count = 0;
	return journey;
}

static int journey_see(struct join *join, struct journey *journey, const struct vnt_event *event)
{
	uint32_t count = journey->count;
	struct sighting *sightings = count > JOURNEY_INLINE ? journey->many : journey->few;

	/* Full exactly when the count is a power of two that the inline part cannot exceed. */
	if (count >= JOURNEY_INLINE && !(count & (count - 1))) {
		bool few = count == JOURNEY_INLINE;
		size_t more = (few ? 2 : 1) * (size_t)count * sizeof(*sightings);
		struct sighting *grown;

		if (!join_may_grow(join, join->ring_size, join->slots_size, more))
			return -ENOBUFS;
		grown = reallocarray(few ? NULL : sightings, 2 * (size_t)count, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		if (few)
			memcpy(grown, sightings, sizeof(journey->few));
		journey->many = sightings = grown;
		join->many += more;
	}
	sightings[count].time_ns = join->now_ns;
	sightings[count].probe = event->probe;
	sightings[count].segment = event->segment;
	sightings[count].data = 0;
	if (event->flags & VNT_PACKET_TCP_DATA || event->segment)
		sightings[count].data = event->payload;
	journey->count++;
	return 0;
}

/* Sightings that there is room for outside of the ring. */
static size_t journey_room(const struct journey *journey)
{
	size_t room = 2 * JOURNEY_INLINE;

	if (journey->count <= JOURNEY_INLINE)
		return 0;
	while (room < journey->count)
		room *= 2;
	return room;
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

	join->many -= journey_room(journey) * sizeof(struct sighting);
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

static int join_event(struct join *join, const struct vnt_event *event, uint32_t hash,
		      uint64_t number)
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
	return journey_see(join, join_find(join, event, hash, number), event);
}

static void join_prefetch(const struct join *join, const struct vnt_event *events, size_t count,
			  uint32_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = hash_packet(join, events[i].flow, events[i].key);
		__builtin_prefetch(join_slot(join, hashes[i]));
	}
}

int join_push_some(struct join *join, const struct vnt_event *events, const uint64_t *numbers,
		   size_t count, size_t *taken)
{
	uint32_t hashes[2][AHEAD];
	size_t n = count < AHEAD ? count : AHEAD, next;
	bool side = false;
	int err = 0;

	*taken = 0;
	join_prefetch(join, events, n, hashes[side]);
	for (; n && !err; n = next, side = !side) {
		count -= n;
		next = count < AHEAD ? count : AHEAD;
		join_prefetch(join, events + n, next, hashes[!side]);
		for (size_t i = 0; i < n; i++) {
			if (numbers)
				join->number = numbers[*taken];
			err = join_event(join, &events[i], hashes[side][i], join->number);
			if (err)
				break;
			join->number++;
			++*taken;
		}
		events += n;
	}
	return err;
}

int join_push(struct join *join, const struct vnt_event *events, size_t count)
{
	size_t taken;

	return join_push_some(join, events, NULL, count, &taken);
}

int join_adopt(struct join *join, const struct journey *journey)
{
	const struct vnt_event event = {.flow = journey->flow, .key = journey->key};
	size_t bytes = journey_room(journey) * sizeof(struct sighting);
	const struct sighting *seen = journey_sightings(journey);
	struct sighting *many = NULL;
	struct journey *adopted;
	int err = join_make_room(join);

	if (err)
		return err;
	if (!join_may_grow(join, join->ring_size, join->slots_size, bytes))
		return -ENOBUFS;
	if (bytes && !(many = malloc(bytes)))
		return -ENOMEM;
	adopted =
		join_find(join, &event, hash_packet(join, event.flow, event.key), journey->number);
	*adopted = *journey;
	if (bytes)
		adopted->many = memcpy(many, seen, journey->count * sizeof(*seen));
	join->many += bytes;
	if (seen[journey->count - 1].time_ns > join->now_ns)
		join->now_ns = seen[journey->count - 1].time_ns;
	return 0;
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

int join_evict(struct join *join, journey_fn taker, void *context)
{
	join->done = taker;
	join->context = context;
	return join_flush(join);
}

void join_limit(struct join *join, size_t memory)
{
	join->memory = memory;
}

size_t join_memory(const struct join *join)
{
	size_t tables = join->spare ? 2 : 1;

	return sizeof(*join) + join->ring_size * sizeof(*join->ring) +
	       tables * join->slots_size * sizeof(*join->slots) + join->many;
}

size_t join_needed(const struct join *join)
{
	return join->needed;
}

uint64_t join_now(const struct join *join)
{
	return join->now_ns;
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
	j->memory = SIZE_MAX;
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
	free(join->spare);
	free(join);
}
