// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "join_private.h"

#define RING_MIN  256
#define RING_MAX  (1u << 28)
#define RING_STEP 2048 /* seats: whole pages */

/* Is there memory for a ring of this size, an index of so many seats, and so many bytes more? */
static bool join_may_grow(struct join *join, size_t ring, size_t seats, size_t more)
{
	size_t needed = ring * sizeof(*join->ring) + join_index_size(seats) + join->many;

	join->needed = needed + more;
	return join->needed <= join->memory;
}

/* In place: a journey stays where it is, or goes as far into the new half. */
static int join_grow(struct join *join)
{
	size_t size = join->ring_size;
	struct seat *ring;

	if (size >= RING_MAX || !join_may_grow(join, 2 * size, 2 * size, 0))
		return -ENOBUFS;
	ring = mremap(join->ring, size * sizeof(*ring), 2 * size * sizeof(*ring), MREMAP_MAYMOVE);
	if (ring == MAP_FAILED)
		return -ENOMEM;
	for (uint32_t number = join->front; number != join->front + join->count; number++)
		if (number & size)
			ring[number & (2 * size - 1)] = ring[number & (size - 1)];
	join->ring = ring;
	join->ring_size = 2 * size;
	return join_index_make(join);
}

static void join_release(struct join *join, const struct seat *seat)
{
	if (seat->few != SEAT_MANY)
		return;
	join->many -= seat->room * sizeof(*seat->many);
	free(seat->many);
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

/* ... and that of those in the leg. */
static uint32_t leg_data(const struct leg *leg, const struct seat *seat)
{
	if (leg->segment)
		return leg->payload;
	return packet_data(leg->flags, seat->flags, leg->length, leg->payload);
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

void seat_journey(const struct seat *seat, struct journey *journey)
{
	journey->number = seat->number;
	journey->flow = seat->flow;
	journey->key = seat->key;
	journey->length = seat->length;
	journey->payload = seat->payload;
	journey->flags = seat->flags;
	journey->id = seat->id;
	journey->undecided = false;
	journey->count = seat->few == SEAT_MANY ? seat->nmany : seat->few;
	if (seat->few != SEAT_MANY)
		seat_expand(seat, journey->few);
	else if (seat->nmany > JOURNEY_INLINE)
		journey->many = seat->many;
	else
		memcpy(journey->few, seat->many, seat->nmany * sizeof(*seat->many));
}

static int join_finish_front(struct join *join)
{
	const struct seat *seat = join_seat(join, join->front);
	int err = join->done(join->context, seat);
	join_release(join, seat);
	join->front++;
	join->count--;
	return err;
}

/* Ends the journeys that began more than the horizon ago. */
static int join_expire(struct join *join)
{
	int err = 0;

	while (join->count && !err && join_is_over(join, join_seat(join, join->front)))
		err = join_finish_front(join);
	return err;
}

/* Where the ring was not used yet: many pages at once cost a quarter less. If it fails, they come one by one. */
static void join_use_more(struct join *join)
{
	madvise(&join->ring[join->ring_used], RING_STEP * sizeof(*join->ring), MADV_POPULATE_WRITE);
	join->ring_used += RING_STEP;
}

/* *seat lives until the next one. 0, -ENOMEM or -ENOBUFS. */
static int join_add(struct join *join, uint32_t hash, struct seat **seat)
{
	uint32_t number = join->front + join->count;
	int err = 0;

	if (join->count == join->ring_size)
		err = join_expire(join);
	if (!err && join->count == join->ring_size)
		err = join_grow(join);
	if (err)
		return err;
	*seat = join_seat(join, number);
	if (*seat == &join->ring[join->ring_used])
		join_use_more(join);
	join_index_add(join, number, hash);
	join->count++;
	return 0;
}

/* Takes the newest one back. */
static void join_drop(struct join *join)
{
	join_release(join, join_seat(join, join->front + --join->count));
}

/* Makes the few many, with room for so many. */
static int seat_reserve(struct join *join, struct seat *seat, uint32_t count)
{
	bool few = seat->few != SEAT_MANY;
	uint32_t room = few ? JOURNEY_INLINE : seat->room;
	size_t more;
	struct sighting *grown;

	while (room < count)
		room *= 2;
	more = (room - (few ? 0 : seat->room)) * sizeof(struct sighting);
	if (!more)
		return 0;
	if (!join_may_grow(join, join->ring_size, join->ring_size, more))
		return -ENOBUFS;
	grown = reallocarray(few ? NULL : seat->many, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (few) {
		seat_expand(seat, grown);
		seat->nmany = seat->few;
		seat->few = SEAT_MANY;
	}
	seat->many = grown;
	seat->room = room;
	join->many += more;
	return 0;
}

/* Does the sighting come behind one of that time and probe, which was joined later? */
static bool comes_behind(const struct join *join, const struct sighting *sighting, uint64_t time_ns,
			 uint16_t probe)
{
	if (sighting->time_ns != time_ns)
		return sighting->time_ns > time_ns;
	return probe_input(join->probes, sighting->probe) > probe_input(join->probes, probe);
}

/* To `count` sightings those of the leg, each in its place. */
static void sightings_merge(const struct join *join, struct sighting *sightings, uint32_t count,
			    const struct leg *leg, uint32_t data)
{
	for (uint16_t left = leg->count; left; left--) {
		uint64_t time_ns = leg_time(leg, left - 1);
		uint16_t probe = leg->probes[left - 1];

		for (; count && comes_behind(join, &sightings[count - 1], time_ns, probe); count--)
			sightings[count + left - 1] = sightings[count - 1];
		sightings[count + left - 1] = (struct sighting){
			.time_ns = time_ns, .probe = probe, .segment = leg->segment, .data = data};
	}
}

/* Can few bytes hold all of them? */
static bool seat_holds(const struct seat *seat, const struct leg *leg)
{
	return seat->few + leg->count <= JOURNEY_INLINE && !leg->segment &&
	       leg_data(leg, seat) == seat_data(seat) &&
	       leg_time(leg, leg->count - 1) - seat->first_ns <= UINT32_MAX;
}

static void seat_compress(struct seat *seat, const struct sighting *sightings, uint32_t count)
{
	seat->few = count;
	for (uint32_t i = 0; i < count; i++) {
		seat->probes[i] = sightings[i].probe;
		if (i)
			seat->after_ns[i - 1] = sightings[i].time_ns - seat->first_ns;
	}
}

/* The leg's sightings, whatever they are like. */
static int seat_see(struct join *join, struct seat *seat, const struct leg *leg)
{
	uint32_t data = leg_data(leg, seat), count = seat->few;
	struct sighting few[JOURNEY_INLINE];
	int err;

	if (count != SEAT_MANY && seat_holds(seat, leg)) {
		seat_expand(seat, few);
		sightings_merge(join, few, count, leg, data);
		seat_compress(seat, few, count + leg->count);
		return 0;
	}
	err = seat_reserve(join, seat, (count == SEAT_MANY ? seat->nmany : count) + leg->count);
	if (err)
		return err;
	sightings_merge(join, seat->many, seat->nmany, leg, data);
	seat->nmany += leg->count;
	return 0;
}

/* All is at the same place in both, but for the number of sightings. */
_Static_assert(sizeof(struct seat) == sizeof(struct leg) &&
		       offsetof(struct seat, after_ns) == offsetof(struct leg, after_ns) &&
		       offsetof(struct seat, few) == offsetof(struct leg, count) &&
		       offsetof(struct seat, length) == offsetof(struct leg, length) &&
		       offsetof(struct seat, id) == offsetof(struct leg, id) &&
		       offsetof(struct seat, number) == offsetof(struct leg, number) &&
		       offsetof(struct seat, probes) == offsetof(struct leg, probes),
	       "a leg is copied");

static int join_begin(struct join *join, const struct leg *leg, uint32_t hash)
{
	struct seat *seat;
	int err = join_add(join, hash, &seat);

	if (err)
		return err;
	memcpy(seat, leg, sizeof(*seat));
	seat->few = leg->segment ? 0 : leg->count;
	if (!leg->segment)
		return 0;
	err = seat_see(join, seat, leg);
	if (err)
		join_drop(join);
	return err;
}

/* Is the leg all of the packet as it was, and behind all of the journey? Nearly always it is. */
static bool seat_goes_on(const struct seat *seat, const struct leg *leg)
{
	uint64_t after_ns = leg->first_ns - seat->first_ns;

	return (uint64_t)seat->few + leg->count <= JOURNEY_INLINE && leg->length == seat->length &&
	       leg->payload == seat->payload && leg->flags == seat->flags && !leg->segment &&
	       after_ns > (seat->few > 1 ? seat->after_ns[seat->few - 2] : 0) &&
	       after_ns + (leg->count > 1 ? leg->after_ns[leg->count - 2] : 0) <= UINT32_MAX;
}

static void seat_go_on(struct seat *seat, const struct leg *leg)
{
	uint32_t after_ns = leg->first_ns - seat->first_ns, at = seat->few;

	seat->after_ns[at - 1] = after_ns;
	seat->probes[at] = leg->probes[0];
	for (uint16_t i = 1; i < leg->count; i++) {
		seat->after_ns[at + i - 1] = after_ns + leg->after_ns[i - 1];
		seat->probes[at + i] = leg->probes[i];
	}
	seat->few += leg->count;
}

/* Cuts the leg where the journey's horizon is. */
static void join_cut(struct join *join, struct leg *leg, uint64_t first_ns)
{
	uint16_t count = leg->count;

	while (leg_time(leg, count - 1) - first_ns > join->horizon_ns)
		count--;
	leg_cut(leg, count, &join->rest);
	join->has_rest = true;
}

static int join_leg(struct join *join, const struct leg *leg, uint32_t hash)
{
	struct seat *seat;
	struct leg part;
	uint64_t first_ns;
	int err;

	join->now_ns = leg->first_ns;
	seat = join_index_find(join, leg->flow, leg->key, hash);
	first_ns = seat ? seat->first_ns : leg->first_ns;
	if (leg_time(leg, leg->count - 1) - first_ns > join->horizon_ns) {
		part = *leg;
		join_cut(join, &part, first_ns);
		leg = &part;
	}
	if (seat && seat_goes_on(seat, leg)) {
		seat_go_on(seat, leg);
		return 0;
	}
	err = seat ? seat_see(join, seat, leg) : join_begin(join, leg, hash);
	join->has_rest &= !err;
	return err;
}

int join_push(struct join *join, const struct leg *legs, size_t count, size_t *taken)
{
	uint32_t hashes[2][JOIN_AHEAD];
	int err = 0, side = 0;
	size_t end = join_ahead(count);

	join_index_fetch(join, legs, end, hashes[side]);
	for (*taken = 0; *taken < count && !err && !join->has_rest; side = !side) {
		const uint32_t *hash = hashes[side];
		size_t next = join_ahead(count - end);

		join_index_fetch(join, legs + end, next, hashes[!side]);
		join_index_fetch_seats(join, hash, end - *taken);
		for (; *taken < end && !err && !join->has_rest; *taken += !err)
			err = join_leg(join, &legs[*taken], *hash++);
		if (!err)
			err = join_expire(join);
		end += next;
	}
	return err;
}

bool join_rest(struct join *join, struct leg *rest)
{
	bool has_rest = join->has_rest;

	if (has_rest)
		*rest = join->rest;
	join->has_rest = false;
	return has_rest;
}

/* The sightings are copied, as the seat is. */
static int seat_keep(struct join *join, struct seat *seat)
{
	const struct sighting *many = seat->many;
	size_t size = seat_many(seat) * sizeof(*many);

	if (!size)
		return 0;
	seat->few = 0;
	if (!join_may_grow(join, join->ring_size, join->ring_size, size))
		return -ENOBUFS;
	seat->many = malloc(size);
	if (!seat->many)
		return -ENOMEM;
	memcpy(seat->many, many, size);
	seat->few = SEAT_MANY;
	seat->room = seat->nmany;
	join->many += size;
	return 0;
}

int join_adopt(struct join *join, const struct seat *adopted)
{
	struct seat *seat;
	int err = join_add(join, join_hash_packet(join, adopted->flow, adopted->key), &seat);

	if (err)
		return err;
	*seat = *adopted;
	err = seat_keep(join, seat);
	if (err)
		join_drop(join);
	else
		join->now_ns = adopted->first_ns;
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

int join_evict(struct join *join, seat_fn taker, void *context)
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
	       join_index_size(join->ring_size) + join->many;
}

size_t join_needed(const struct join *join)
{
	return join->needed;
}

void join_probes(struct join *join, const struct probe *probes)
{
	join->probes = probes;
}

uint64_t join_now(const struct join *join)
{
	return join->now_ns;
}

int join_open(struct join **join, uint64_t horizon_ns, seat_fn done, void *context)
{
	struct join *j = calloc(1, sizeof(*j));

	*join = NULL;
	if (!j)
		return -ENOMEM;
	j->ring_size = RING_MIN;
	j->ring_used = RING_STEP; /* the first come by themselves */
	j->ring = mmap(NULL, j->ring_size * sizeof(*j->ring), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	j->horizon_ns = horizon_ns < INT64_MAX ? horizon_ns : INT64_MAX;
	j->memory = SIZE_MAX;
	j->flow_mask = UINT64_MAX;
	j->done = done;
	j->context = context;
	if (j->ring == MAP_FAILED || join_index_make(j)) {
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
	if (join->ring != MAP_FAILED)
		munmap(join->ring, join->ring_size * sizeof(*join->ring));
	free(join->buckets);
	free(join);
}
