// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "legs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(BLOCK_ROWS <= UINT16_MAX + 1, "a leg's number is told from all others of the block");

int legs_open(struct legs *legs, size_t room)
{
	legs->legs = malloc(room * sizeof(*legs->legs));
	legs->counts = malloc(room * sizeof(*legs->counts));
	if (!legs->legs || !legs->counts)
		return -ENOMEM;
	legs->room = room;
	return 0;
}

void legs_close(struct legs *legs)
{
	free(legs->legs);
	free(legs->counts);
	*legs = (struct legs){0};
}

size_t legs_memory(const struct legs *legs)
{
	return legs->touched;
}

void legs_begin(struct legs *legs, uint16_t begin)
{
	legs->count = 0;
	legs->ncounts = 0;
	legs->begin = begin;
}

void legs_end(struct legs *legs, const struct legs_shape *shape)
{
	size_t used = legs->count * sizeof(*legs->legs) + legs->ncounts * sizeof(*legs->counts);

	legs->touched = used > legs->touched ? used : legs->touched;
	for (size_t i = 0; i < legs->ncounts; i++)
		legs->counts[i].probe = shape->probes[legs->counts[i].probe];
}

static void leg_begin(struct leg *leg, const struct packet *packet, uint16_t probe,
		      uint64_t time_ns)
{
	leg->flow = packet->flow;
	leg->key = packet->key;
	leg->first_ns = time_ns;
	leg->count = 1;
	leg->segment = packet->segment;
	leg->length = packet->length;
	leg->payload = packet->payload;
	leg->flags = packet->flags;
	leg->id = packet->id;
	leg->probes[0] = probe;
}

static uint16_t *legs_place(struct legs *legs, uint16_t probe, uint16_t cpu)
{
	return &legs->by_cpu[(probe * 8u + cpu) % COUNT(legs->by_cpu)];
}

/* Once in a while; the loop has no registers left for it. */
static __attribute__((noinline)) uint16_t legs_add_row(struct legs *legs, const struct chunk *chunk,
						       size_t i)
{
	legs->counts[legs->ncounts] = (struct count_row){
		.probe = chunk->probe[i],
		.cpu = chunk->cpu[i],
		.outer = chunk->outer[i],
		.first_ns = chunk->time[i],
	};
	return legs->ncounts++;
}

/* By probe, CPU and tunnel; a row is new if the last one in its place was of others. Probes are still those of the
 * trace. */
static void legs_count(struct legs *legs, const struct chunk *chunk, size_t count,
		       const struct packet *packets)
{
	struct count_row *rows = legs->counts;

	for (size_t i = 0; i < count; i++) {
		uint16_t *place = legs_place(legs, chunk->probe[i], chunk->cpu[i]);
		struct count_row *row = &rows[*place];

		if (*place >= legs->ncounts || row->probe != chunk->probe[i] ||
		    row->cpu != chunk->cpu[i] || row->outer != chunk->outer[i]) {
			*place = legs_add_row(legs, chunk, i);
			row = &rows[*place];
		}
		row->events++;
		row->bytes += packets[chunk->packet[i]].length;
		row->last_ns = chunk->time[i];
	}
}

static void legs_see(struct legs *legs, const struct legs_shape *shape, const struct chunk *chunk,
		     size_t count, struct packet *packets)
{
	const uint16_t *probes = shape->probes;
	const uint64_t span_ns = shape->span_ns;
	struct leg *all = legs->legs;
	uint32_t nlegs = legs->count;
	uint16_t begin = legs->begin;

	for (size_t i = 0; i < count; i++) {
		struct packet *packet = &packets[chunk->packet[i]];
		uint16_t at = packet->leg - begin;
		struct leg *leg = &all[at];
		uint64_t after_ns;

		if (at < nlegs && leg->count < LEG_MAX &&
		    (after_ns = chunk->time[i] - leg->first_ns) <= span_ns) {
			leg->after_ns[leg->count - 1] = after_ns;
			leg->probes[leg->count++] = probes[chunk->probe[i]];
			continue;
		}
		packet->leg = begin + nlegs;
		leg_begin(&all[nlegs++], packet, probes[chunk->probe[i]], chunk->time[i]);
	}
	legs->count = nlegs;
}

void legs_add(struct legs *legs, const struct legs_shape *shape, struct chunk *chunk, size_t count,
	      struct packet *packets)
{
	if (!legs->count)
		legs->first_ns = chunk->time[0];
	legs->last_ns = chunk->time[count - 1];
	timeline_map_all(shape->timeline, &legs->near, chunk->time, count);
	legs_count(legs, chunk, count, packets);
	legs_see(legs, shape, chunk, count, packets);
}

void leg_cut(struct leg *leg, uint16_t count, struct leg *rest)
{
	*rest = *leg;
	rest->count = leg->count - count;
	rest->first_ns = leg_time(leg, count);
	for (uint16_t i = 1; i < rest->count; i++)
		rest->after_ns[i - 1] = leg->after_ns[count + i - 1] - leg->after_ns[count - 1];
	memcpy(rest->probes, leg->probes + count, rest->count * sizeof(*rest->probes));
	leg->count = count;
}
