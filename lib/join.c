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
#define AHEAD     64 /* events whose journeys are fetched into the cache before the first is joined */
#define HEADS     2 /* for each journey that the ring has room for */
#define MANY      UINT32_MAX

/* A journey in flight. What its sightings nearly always are is kept in few bytes, as there are many. */
struct seat {
	uint64_t flow;
	uint64_t key;
	uint64_t number;
	uint64_t first_ns;
	union {
		struct {
			uint32_t after_ns[JOURNEY_INLINE - 1]; /* of all but the first sighting */
			uint32_t few;                          /* sightings; or MANY */
		};
		struct {
			struct sighting *many;
			uint32_t nmany;
			uint32_t room;
		};
	};
	uint32_t length;
	uint32_t payload;
	uint32_t older; /* number of the one before in the same chain */
	uint16_t flags;
	uint16_t id;
	uint16_t probes[JOURNEY_INLINE];
};
_Static_assert(sizeof(struct seat) == 96, "there is one for each packet in flight");

/* A chain holds the numbers of its journeys, the newest first. As they come and go in the same order, it
 * ends where one is not older than the one before, or has ended. */
struct join {
	struct seat *ring;
	uint32_t ring_size; /* power of two; journey n is at n & (ring_size - 1) */
	uint32_t front;     /* number of the oldest journey; numbers wrap around */
	uint32_t count;
	uint32_t *heads; /* HEADS * ring_size: the newest of each chain */
	size_t many;     /* bytes of the sightings that are not in the ring */
	size_t memory;   /* bytes that all of it may take */
	size_t needed;   /* when it was too little */
	uint64_t number; /* of the next event */
	uint64_t horizon_ns;
	uint64_t now_ns;
	uint64_t flow_mask;
	journey_fn done;
	void *context;
	struct journey journey; /* the one that is handed out */
};

static struct seat *join_seat(const struct join *join, uint32_t number)
{
	return &join->ring[number & (join->ring_size - 1)];
}

static uint32_t *join_head(const struct join *join, uint32_t hash)
{
	return &join->heads[hash & (HEADS * join->ring_size - 1)];
}

/* The low bits choose the chain. */
uint32_t join_hash(uint64_t flow, uint64_t key)
{
	return map_hash(map_hash(0, flow), key) | 1u << 31;
}

static uint32_t hash_packet(const struct join *join, uint64_t flow, uint64_t key)
{
	return join_hash(flow & join->flow_mask, key);
}

/* Is there memory for a ring of this size, so many heads, and so many bytes more? */
static bool join_may_grow(struct join *join, size_t ring, size_t heads, size_t more)
{
	size_t needed = ring * sizeof(*join->ring) + heads * sizeof(*join->heads) + join->many;

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

/* The journey with that number becomes the newest of its chain. */
static void join_chain(struct join *join, uint32_t number, uint32_t hash)
{
	uint32_t *head = join_head(join, hash);

	join_seat(join, number)->older = *head;
	*head = number;
}

/* For the size of the ring, and all journeys in it. */
static int join_make_heads(struct join *join)
{
	size_t count = HEADS * (size_t)join->ring_size;
	uint32_t *heads = malloc(count * sizeof(*heads));

	if (!heads)
		return -ENOMEM;
	prefer_large_pages(heads, count * sizeof(*heads));
	for (size_t i = 0; i < count; i++)
		heads[i] = join->front - 1;
	free(join->heads);
	join->heads = heads;
	for (uint32_t number = join->front; number != join->front + join->count; number++) {
		const struct seat *seat = join_seat(join, number);

		join_chain(join, number, hash_packet(join, seat->flow, seat->key));
	}
	return 0;
}

/* In place: a journey stays where it is, or goes as far into the new half. */
static int join_grow(struct join *join)
{
	size_t size = join->ring_size;
	struct seat *ring;

	if (size >= RING_MAX || !join_may_grow(join, 2 * size, 3 * HEADS * size, 0))
		return -ENOBUFS;
	ring = reallocarray(join->ring, 2 * size, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	prefer_large_pages(ring, 2 * size * sizeof(*ring));
	for (uint32_t number = join->front; number != join->front + join->count; number++)
		if (number & size)
			ring[number & (2 * size - 1)] = ring[number & (size - 1)];
	join->ring = ring;
	join->ring_size = 2 * size;
	return join_make_heads(join);
}

/* The journey the event belongs to, or NULL. */
static struct seat *join_find(const struct join *join, uint64_t flow, uint64_t key, uint32_t hash)
{
	uint32_t number = *join_head(join, hash), newer = join->count, age;

	for (; (age = number - join->front) < newer; newer = age) {
		struct seat *seat = join_seat(join, number);

		if (seat->key == key && !((seat->flow ^ flow) & join->flow_mask))
			return seat;
		number = seat->older;
	}
	return NULL;
}

/* One that has no sightings yet. *seat lives until the next one. 0, -ENOMEM or -ENOBUFS. */
static int join_add(struct join *join, const struct vnt_event *event, uint32_t hash,
		    uint64_t event_number, struct seat **seat)
{
	int err = join->count == join->ring_size ? join_grow(join) : 0;

	if (err)
		return err;
	join_chain(join, join->front + join->count, hash);
	*seat = join_seat(join, join->front + join->count++);
	(*seat)->flow = event->flow;
	(*seat)->key = event->key;
	(*seat)->number = event_number;
	(*seat)->first_ns = join->now_ns;
	(*seat)->few = 0;
	(*seat)->length = event->length;
	(*seat)->payload = event->payload;
	(*seat)->flags = event->flags;
	(*seat)->id = event->id;
	return 0;
}

static void join_release(struct join *join, const struct seat *seat)
{
	if (seat->few != MANY)
		return;
	join->many -= seat->room * sizeof(*seat->many);
	free(seat->many);
}

/* Takes the newest one back. */
static void join_drop(struct join *join, uint32_t hash)
{
	const struct seat *seat = join_seat(join, join->front + --join->count);

	*join_head(join, hash) = seat->older;
	join_release(join, seat);
}

/* `data` of a sighting, also by what is known of its seat. */
static uint32_t packet_data(uint16_t flags, uint16_t seat_flags, uint32_t length, uint32_t payload)
{
	if (flags & VNT_PACKET_TCP_DATA)
		return payload;
	if (flags & VNT_PACKET_FRAGMENT)
		return length | SIGHTING_FRAGMENT;
	return seat_flags & VNT_PACKET_FRAGMENT ? length : 0;
}

/* That of each sighting that few bytes can hold. */
static uint32_t seat_data(const struct seat *seat)
{
	return packet_data(seat->flags, seat->flags, seat->length, seat->payload);
}

static void seat_expand(const struct seat *seat, struct sighting *sightings)
{
	const uint32_t data = seat_data(seat);

	for (uint32_t i = 0; i < seat->few; i++)
		sightings[i] = (struct sighting){
			.time_ns = seat->first_ns + (i ? seat->after_ns[i - 1] : 0),
			.probe = seat->probes[i],
			.data = data,
		};
}

/* Makes the few many, or doubles the many. */
static int seat_grow(struct join *join, struct seat *seat)
{
	bool few = seat->few != MANY;
	uint32_t count = few ? seat->few : seat->nmany;
	uint32_t room = !few ? 2 * seat->room : count < JOURNEY_INLINE ? JOURNEY_INLINE : 2 * count;
	size_t more = (room - (few ? 0 : seat->room)) * sizeof(struct sighting);
	struct sighting *grown;

	if (!join_may_grow(join, join->ring_size, HEADS * (size_t)join->ring_size, more))
		return -ENOBUFS;
	grown = reallocarray(few ? NULL : seat->many, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (few)
		seat_expand(seat, grown);
	seat->few = MANY;
	seat->many = grown;
	seat->nmany = count;
	seat->room = room;
	join->many += more;
	return 0;
}

static int seat_see(struct join *join, struct seat *seat, const struct sighting *sighting)
{
	uint64_t after_ns = sighting->time_ns - seat->first_ns;
	int err = 0;

	if (seat->few < JOURNEY_INLINE && after_ns <= UINT32_MAX && !sighting->segment &&
	    sighting->data == seat_data(seat)) {
		if (seat->few)
			seat->after_ns[seat->few - 1] = after_ns;
		seat->probes[seat->few++] = sighting->probe;
		return 0;
	}
	if (seat->few != MANY || seat->nmany == seat->room)
		err = seat_grow(join, seat);
	if (!err)
		seat->many[seat->nmany++] = *sighting;
	return err;
}

static void seat_journey(const struct seat *seat, struct journey *journey)
{
	journey->number = seat->number;
	journey->flow = seat->flow;
	journey->key = seat->key;
	journey->length = seat->length;
	journey->payload = seat->payload;
	journey->flags = seat->flags;
	journey->id = seat->id;
	journey->undecided = false;
	journey->count = seat->few == MANY ? seat->nmany : seat->few;
	if (seat->few != MANY)
		seat_expand(seat, journey->few);
	else if (seat->nmany > JOURNEY_INLINE)
		journey->many = seat->many;
	else
		memcpy(journey->few, seat->many, seat->nmany * sizeof(*seat->many));
}

static int join_finish_front(struct join *join)
{
	const struct seat *seat = join_seat(join, join->front);
	int err;

	seat_journey(seat, &join->journey);
	err = join->done(join->context, &join->journey);
	join_release(join, seat);
	join->front++;
	join->count--;
	return err;
}

/* Ends the journeys that began more than the horizon ago. */
static int join_expire(struct join *join)
{
	int err = 0;

	while (join->count && !err &&
	       join->now_ns - join_seat(join, join->front)->first_ns > join->horizon_ns)
		err = join_finish_front(join);
	return err;
}

static int join_event(struct join *join, const struct vnt_event *event, uint32_t hash,
		      uint64_t number)
{
	struct sighting sighting = {.probe = event->probe, .segment = event->segment};
	struct seat *seat;
	bool added;
	int err = 0;

	if (event->time_ns > join->now_ns) {
		join->now_ns = event->time_ns;
		err = join_expire(join);
		if (err)
			return err;
	}
	sighting.time_ns = join->now_ns;
	seat = join_find(join, event->flow, event->key, hash);
	added = !seat;
	if (added)
		err = join_add(join, event, hash, number, &seat);
	if (err)
		return err;
	sighting.data = event->segment ? event->payload
				       : packet_data(event->flags, seat->flags, event->length,
						     event->payload);
	err = seat_see(join, seat, &sighting);
	if (err && added)
		join_drop(join, hash);
	return err;
}

/* Fetches into the cache what the events will need: most journeys were not seen for long. */
static void join_prefetch(const struct join *join, const struct vnt_event *events, size_t count,
			  uint32_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = hash_packet(join, events[i].flow, events[i].key);
		__builtin_prefetch(join_head(join, hashes[i]));
	}
	for (size_t i = 0; i < count; i++) {
		const struct seat *seat = join_seat(join, *join_head(join, hashes[i]));

		__builtin_prefetch(seat);
		__builtin_prefetch((const char *)(seat + 1) - 1);
	}
}

int join_push_some(struct join *join, const struct vnt_event *events, const uint64_t *numbers,
		   size_t count, size_t *taken)
{
	uint32_t hashes[AHEAD];
	int err = 0;

	for (*taken = 0; *taken < count && !err; ++*taken) {
		size_t at = *taken % AHEAD, left = count - *taken;

		if (!at)
			join_prefetch(join, events + *taken, left < AHEAD ? left : AHEAD, hashes);
		if (numbers)
			join->number = numbers[*taken];
		err = join_event(join, &events[*taken], hashes[at], join->number);
		if (err)
			break;
		join->number++;
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
	const struct vnt_event event = {
		.flow = journey->flow,
		.key = journey->key,
		.length = journey->length,
		.payload = journey->payload,
		.flags = journey->flags,
		.id = journey->id,
	};
	uint32_t hash = hash_packet(join, event.flow, event.key);
	const struct sighting *seen = journey_sightings(journey);
	struct seat *seat;
	int err = join_add(join, &event, hash, journey->number, &seat);

	if (err)
		return err;
	seat->first_ns = seen->time_ns;
	for (uint32_t i = 0; i < journey->count && !err; i++)
		err = seat_see(join, seat, &seen[i]);
	if (err)
		join_drop(join, hash);
	else if (seen[journey->count - 1].time_ns > join->now_ns)
		join->now_ns = seen[journey->count - 1].time_ns;
	return err;
}

void join_mask_flows(struct join *join, uint64_t mask)
{
	join->flow_mask = mask;
}

int join_flush_some(struct join *join, size_t count)
{
	int err = 0;

	for (; join->count && count && !err; count--)
		err = join_finish_front(join);
	return err ? err : join->count > 0;
}

int join_flush(struct join *join)
{
	return join_flush_some(join, SIZE_MAX);
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
	return sizeof(*join) + join->ring_size * sizeof(*join->ring) +
	       HEADS * (size_t)join->ring_size * sizeof(*join->heads) + join->many;
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
	j->horizon_ns = horizon_ns < INT64_MAX ? horizon_ns : INT64_MAX;
	j->memory = SIZE_MAX;
	j->flow_mask = UINT64_MAX;
	j->done = done;
	j->context = context;
	if (!j->ring || join_make_heads(j)) {
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
		join_release(join, join_seat(join, join->front + i));
	free(join->ring);
	free(join->heads);
	free(join);
}
