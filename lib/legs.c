// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "legs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int legs_open(struct legs *legs, size_t room)
{
	*legs = (struct legs){
		.room = room,
		.legs = malloc(room * sizeof(*legs->legs)),
		.counts = malloc(room * sizeof(*legs->counts)),
	};
	return legs->legs && legs->counts ? 0 : -ENOMEM;
}

void legs_close(struct legs *legs)
{
	free(legs->legs);
	free(legs->counts);
	*legs = (struct legs){0};
}

size_t legs_memory(const struct legs *legs)
{
	return legs->room * (sizeof(*legs->legs) + sizeof(*legs->counts));
}

static void count_begin(struct count_row *row, const struct vnt_event *event, uint16_t probe,
			uint64_t time_ns)
{
	*row = (struct count_row){
		.probe = probe, .cpu = event->cpu, .outer = event->outer, .first_ns = time_ns};
}

static bool count_is_of(const struct count_row *row, const struct vnt_event *event, uint16_t probe)
{
	return row->probe == probe && row->cpu == event->cpu && row->outer == event->outer;
}

static void leg_begin(struct leg *leg, const struct vnt_event *event, uint16_t probe,
		      uint64_t time_ns)
{
	leg->flow = event->flow;
	leg->key = event->key;
	leg->first_ns = time_ns;
	leg->count = 1;
	leg->segment = event->segment;
	leg->length = event->length;
	leg->payload = event->payload;
	leg->flags = event->flags;
	leg->id = event->id;
	leg->probes[0] = probe;
}

void legs_make(struct legs_maker *maker, struct legs *legs, const struct vnt_event *events,
	       size_t count, const struct timeline *timeline, size_t *near, const uint16_t *probes)
{
	struct timeline_piece piece = {0};
	struct count_row *counts = legs->counts;
	size_t nlegs = 0, ncounts = 0;
	struct leg *all = legs->legs;
	uint64_t last_ns = 0;

	if (count)
		piece = timeline_at(timeline, near, events->time_ns, &last_ns);
	for (const struct vnt_event *event = events; event < events + count; event++) {
		uint16_t probe = probes[event->probe], at;
		uint16_t *place = &maker->by_cpu[(probe * 8u + event->cpu) % COUNT(maker->by_cpu)];
		struct count_row *row = &counts[*place];
		struct leg *leg;
		uint64_t time_ns;

		if (event->time_ns > last_ns)
			piece = timeline_at(timeline, near, event->time_ns, &last_ns);
		time_ns = timeline_apply(&piece, event->time_ns);
		if (*place >= ncounts || !count_is_of(row, event, probe)) {
			*place = ncounts;
			row = &counts[ncounts++];
			count_begin(row, event, probe, time_ns);
		}
		row->events++;
		row->bytes += event->length;
		row->last_ns = time_ns;

		place = &maker->by_packet[event->packet % COUNT(maker->by_packet)];
		at = *place;
		leg = &all[at];
		if (at >= nlegs || maker->packets[at] != event->packet || !event->packet ||
		    leg->count == LEG_MAX || time_ns - leg->first_ns > maker->span_ns) {
			*place = nlegs;
			maker->packets[nlegs] = event->packet;
			leg_begin(&all[nlegs++], event, probe, time_ns);
			continue;
		}
		leg->after_ns[leg->count - 1] = time_ns - leg->first_ns;
		leg->probes[leg->count++] = probe;
	}
	legs->count = nlegs;
	legs->ncounts = ncounts;
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
