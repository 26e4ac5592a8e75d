// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "join_private.h"

#define RING_MIN 256
#define RING_MAX (1u << 28)

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

	if (size >= RING_MAX || !join_may_grow(join, 2 * size, 3 * size, 0))
		return -ENOBUFS;
	ring = reallocarray(join->ring, 2 * size, sizeof(*ring));
	if (!ring)
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

/* *seat lives until the next one. 0, -ENOMEM or -ENOBUFS. */
static int join_add(struct join *join, uint32_t hash, struct seat **seat)
{
	int err = 0;

	if (join->count == join->ring_size)
		err = join_expire(join);
	if (!err && join->count == join->ring_size)
		err = join_grow(join);
	if (err)
		return err;
	join_index_add(join, join->front + join->count, hash);
	*seat = join_seat(join, join->front + join->count++);
	return 0;
}

/* Takes the newest one back. */
static void join_drop(struct join *join)
{
	join_release(join, join_seat(join, join->front + --join->count));
}

/* Makes the few many, or doubles the many. */
static int seat_grow(struct join *join, struct seat *seat)
{
	bool few = seat->few != SEAT_MANY;
	uint32_t count = few ? seat->few : seat->nmany;
	uint32_t room = !few ? 2 * seat->room : count < JOURNEY_INLINE ? JOURNEY_INLINE : 2 * count;
	size_t more = (room - (few ? 0 : seat->room)) * sizeof(struct sighting);
	struct sighting *grown;

	if (!join_may_grow(join, join->ring_size, join->ring_size, more))
		return -ENOBUFS;
	grown = reallocarray(few ? NULL : seat->many, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	if (few)
		seat_expand(seat, grown);
	seat->few = SEAT_MANY;
	seat->many = grown;
	seat->nmany = count;
	seat->room = room;
	join->many += more;
	return 0;
}

static int seat_see_many(struct join *join, struct seat *seat, const struct sighting *sighting)
{
	int err = 0;

	if (seat->few != SEAT_MANY || seat->nmany == seat->room)
		err = seat_grow(join, seat);
	if (!err)
		seat->many[seat->nmany++] = *sighting;
	return err;
}

/* The next sighting, whatever it is like. */
static int seat_see(struct join *join, struct seat *seat, const struct vnt_event *event)
{
	uint64_t after_ns = join->now_ns - seat->first_ns;
	const struct sighting sighting = {
		.time_ns = join->now_ns,
		.probe = event->probe,
		.segment = event->segment,
		.data = event->segment ? event->payload
				       : packet_data(event->flags, seat->flags, event->length,
						     event->payload),
	};

	if (seat->few >= JOURNEY_INLINE || after_ns > UINT32_MAX || sighting.segment ||
	    sighting.data != seat_data(seat))
		return seat_see_many(join, seat, &sighting);
	if (seat->few)
		seat->after_ns[seat->few - 1] = after_ns;
	seat->probes[seat->few++] = sighting.probe;
	return 0;
}

static int join_begin(struct join *join, const struct vnt_event *event, uint32_t hash)
{
	struct seat *seat;
	int err = join_add(join, hash, &seat);

	if (err)
		return err;
	seat->flow = event->flow;
	seat->key = event->key;
	seat->number = join->number;
	seat->first_ns = join->now_ns;
	seat->few = 0;
	seat->length = event->length;
	seat->payload = event->payload;
	seat->flags = event->flags;
	seat->id = event->id;
	err = seat_see(join, seat, event);
	if (err)
		join_drop(join);
	return err;
}

/* Nearly always the packet is as it was when it was seen first. */
static int join_event(struct join *join, const struct vnt_event *event, uint32_t hash)
{
	struct seat *seat;
	uint64_t after_ns;

	if (event->time_ns > join->now_ns)
		join->now_ns = event->time_ns;
	seat = join_index_find(join, event->flow, event->key, hash);
	if (!seat)
		return join_begin(join, event, hash);
	after_ns = join->now_ns - seat->first_ns;
	if (seat->few >= JOURNEY_INLINE || after_ns > UINT32_MAX || event->segment ||
	    event->flags != seat->flags || event->payload != seat->payload ||
	    event->length != seat->length)
		return seat_see(join, seat, event);
	seat->after_ns[seat->few - 1] = after_ns;
	seat->probes[seat->few++] = event->probe;
	return 0;
}

int join_push_some(struct join *join, const struct vnt_event *events, const uint32_t *numbers,
		   size_t count, size_t *taken)
{
	uint32_t hashes[2][JOIN_AHEAD];
	int err = 0, side = 0;
	size_t end = join_ahead(count);

	join_index_fetch(join, events, end, hashes[side]);
	for (*taken = 0; *taken < count && !err; side = !side) {
		const uint32_t *hash = hashes[side];
		size_t next = join_ahead(count - end);

		join_index_fetch(join, events + end, next, hashes[!side]);
		join_index_fetch_seats(join, hash, end - *taken);
		for (; *taken < end && !err; *taken += !err) {
			if (numbers)
				join->number = numbers[*taken];
			err = join_event(join, &events[*taken], *hash++);
			join->number += !err;
		}
		if (!err)
			err = join_expire(join);
		end += next;
	}
	return err;
}

int join_push(struct join *join, const struct vnt_event *events, size_t count)
{
	size_t taken;

	return join_push_some(join, events, NULL, count, &taken);
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

/* When it was seen last. */
static uint64_t seat_last(const struct seat *seat)
{
	if (seat->few == SEAT_MANY)
		return seat->many[seat->nmany - 1].time_ns;
	return seat->first_ns + (seat->few > 1 ? seat->after_ns[seat->few - 2] : 0);
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
	else if (seat_last(seat) > join->now_ns)
		join->now_ns = seat_last(seat);
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
	j->ring = malloc(j->ring_size * sizeof(*j->ring));
	j->horizon_ns = horizon_ns < INT64_MAX ? horizon_ns : INT64_MAX;
	j->memory = SIZE_MAX;
	j->flow_mask = UINT64_MAX;
	j->done = done;
	j->context = context;
	if (!j->ring || join_index_make(j)) {
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
	free(join->buckets);
	free(join);
}
