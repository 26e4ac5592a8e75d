// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "drain.h"
#include "lib/datagrams.h"
#include "lib/order.h"

struct cpu {
	uint64_t head;         /* of its ring, at the last run */
	uint64_t watermark_ns; /* nothing older will come */
};

struct drain {
	struct tracer *tracer;
	struct order *order;
	uint32_t ring_slots;
	drain_announced_fn announced;
	void *context;
	uint64_t run_ns;      /* of the last run */
	uint64_t interval_ns; /* between the last two */
	uint64_t fullest;     /* most slots that one CPU reserved in it */
	struct cpu cpus[];
};

int drain_open(struct drain **drain, struct tracer *tracer, uint32_t ring_slots,
	       drain_announced_fn announced, void *context)
{
	unsigned int cpus = tracer_cpus(tracer);
	struct drain *self = calloc(1, sizeof(*self) + cpus * sizeof(struct cpu));

	*drain = NULL;
	if (!self || order_open(&self->order, cpus)) {
		free(self);
		return -ENOMEM;
	}
	self->tracer = tracer;
	self->ring_slots = ring_slots;
	self->announced = announced;
	self->context = context;
	*drain = self;
	return 0;
}

/* The record of a super-packet, just read. */
static int add_datagrams(struct drain *drain, unsigned int number, const struct vnt_slot *slot)
{
	uint64_t words = tracer_position(drain->tracer, number) - slot->follow, all = 0;
	uint32_t count = slot->follow * VNT_SLOT_WORDS;
	int err = 0;

	for (uint32_t i = 0; i < count && !err; i++) {
		const struct vnt_slot *at =
			tracer_slot(drain->tracer, number, words + i / VNT_SLOT_WORDS);
		uint64_t word = at->words[i % VNT_SLOT_WORDS];
		struct vnt_event event;

		if (!i)
			all = word;
		if (!vnt_datagram_event(&slot->event, i, all, word, &event))
			break;
		err = order_add(drain->order, number, &event);
	}
	return err;
}

static int add_event(struct drain *drain, unsigned int number, const struct vnt_slot *slot)
{
	return slot->follow ? add_datagrams(drain, number, slot)
			    : order_add(drain->order, number, &slot->event);
}

/*
 * Empties one ring. Whatever was reserved before `now_ns` lies before the head that is read after
 * it, and whatever is reserved later is younger (ring.h): once all up to that head is read, no event
 * older than `now_ns` can come from this CPU.
 */
static int drain_cpu(struct drain *drain, unsigned int number, uint64_t now_ns, uint64_t from_ns)
{
	uint64_t head = tracer_head(drain->tracer, number);
	struct cpu *cpu = &drain->cpus[number];
	const struct vnt_slot *slot;
	int err = 0;

	if (head - cpu->head > drain->fullest)
		drain->fullest = head - cpu->head;
	cpu->head = head;

	/* A writer that stays interrupted on another CPU must not make this queue grow for ever. */
	if (order_held(drain->order, number) > 4 * (size_t)drain->ring_slots)
		return 0;
	while (!err && tracer_position(drain->tracer, number) != head) {
		slot = tracer_next(drain->tracer, number);
		if (!slot)
			break;
		if (slot->kind == VNT_SLOT_NOTHING)
			continue;
		if (slot->kind != VNT_SLOT_EVENT)
			err = drain->announced(drain->context, slot);
		else if (slot->event.time_ns >= from_ns)
			err = add_event(drain, number, slot);
	}
	if (tracer_position(drain->tracer, number) == head)
		cpu->watermark_ns = now_ns;
	tracer_release(drain->tracer, number);
	return err;
}

int drain_run(struct drain *drain, uint64_t now_ns, uint64_t from_ns, uint64_t *watermark_ns)
{
	int err = 0;

	drain->interval_ns = now_ns - drain->run_ns;
	drain->run_ns = now_ns;
	drain->fullest = 0;
	*watermark_ns = now_ns;
	for (unsigned int i = 0; !err && i < tracer_cpus(drain->tracer); i++) {
		err = drain_cpu(drain, i, now_ns, from_ns);
		if (drain->cpus[i].watermark_ns < *watermark_ns)
			*watermark_ns = drain->cpus[i].watermark_ns;
	}
	return err;
}

size_t drain_take(struct drain *drain, uint64_t until_ns, struct vnt_event *out, size_t max)
{
	return order_take(drain->order, until_ns, out, max);
}

uint64_t drain_patience(const struct drain *drain)
{
	uint64_t quarter = drain->ring_slots / 4;

	if (!drain->fullest)
		return UINT64_MAX;
	return (double)drain->interval_ns * quarter / drain->fullest;
}

void drain_close(struct drain *drain)
{
	if (!drain)
		return;
	order_close(drain->order);
	free(drain);
}
