// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "legs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct count_row *legs_add_count(struct legs *legs, const struct vnt_event *event,
					uint16_t probe, uint64_t time_ns)
{
	struct count_row *row = &legs->counts[legs->ncounts++];

	*row = (struct count_row){
		.probe = probe, .cpu = event->cpu, .outer = event->outer, .first_ns = time_ns};
	return row;
}

static void legs_count(struct legs_maker *maker, struct legs *legs, const struct vnt_event *event,
		       uint16_t probe, uint64_t time_ns)
{
	uint16_t *at = &maker->by_cpu[(probe * 8u + event->cpu) % COUNT(maker->by_cpu)];
	struct count_row *row = &legs->counts[*at];

	if (*at >= legs->ncounts || row->probe != probe || row->cpu != event->cpu ||
	    row->outer != event->outer) {
		*at = legs->ncounts;
		row = legs_add_count(legs, event, probe, time_ns);
	}
	row->events++;
	row->bytes += event->length;
	row->last_ns = time_ns;
}

static void legs_add(struct legs *legs, const struct vnt_event *event, uint16_t probe,
		     uint64_t time_ns)
{
	struct leg *leg = &legs->legs[legs->count++];

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

static void legs_see(struct legs_maker *maker, struct legs *legs, const struct vnt_event *event,
		     uint16_t probe, uint64_t time_ns)
{
	uint16_t *at = &maker->by_packet[event->packet % COUNT(maker->by_packet)];
	struct leg *leg = &legs->legs[*at];

	if (*at < legs->count && maker->packets[*at] == event->packet && event->packet &&
	    leg->count < LEG_MAX && time_ns - leg->first_ns <= maker->span_ns) {
		leg->after_ns[leg->count - 1] = time_ns - leg->first_ns;
		leg->probes[leg->count++] = probe;
		return;
	}
	*at = legs->count;
	maker->packets[*at] = event->packet;
	legs_add(legs, event, probe, time_ns);
}

void legs_make(struct legs_maker *maker, struct legs *legs, const struct vnt_event *events,
	       size_t count, const struct timeline *timeline, size_t *near, const uint16_t *probes)
{
	legs->count = 0;
	legs->ncounts = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t time_ns = timeline_map(timeline, near, events[i].time_ns);
		uint16_t probe = probes[events[i].probe];

		legs_count(maker, legs, &events[i], probe, time_ns);
		legs_see(maker, legs, &events[i], probe, time_ns);
	}
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
