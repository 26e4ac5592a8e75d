// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "epochs.h"

#define NONE UINT32_MAX

struct change {
	uint64_t time_ns;
	uint32_t before; /* the change before of the same probe, or NONE */
	bool active;
};

struct epochs {
	const struct trace_info *info;
	struct change *changes;
	size_t count;
	size_t room;
	uint32_t *latest; /* change of each probe, then of each domain; NONE if there was none */
};

int epochs_open(struct epochs **epochs, const struct trace_info *info)
{
	size_t subjects = info->nprobes + info->ndomains;
	struct epochs *e = calloc(1, sizeof(*e));

	*epochs = NULL;
	if (!e)
		return -ENOMEM;
	e->info = info;
	e->latest = malloc((subjects + 1) * sizeof(*e->latest));
	if (!e->latest) {
		epochs_close(e);
		return -ENOMEM;
	}
	for (size_t i = 0; i < subjects; i++)
		e->latest[i] = NONE;
	*epochs = e;
	return 0;
}

static int epochs_add(struct epochs *epochs, size_t subject, uint64_t time_ns, bool active)
{
	struct change *change;
	int err;

	err = array_reserve(&epochs->changes, &epochs->room, epochs->count + 1, sizeof(*change));
	if (err)
		return err;
	change = &epochs->changes[epochs->count];
	if (epochs->count && time_ns < change[-1].time_ns)
		time_ns = change[-1].time_ns;
	*change = (struct change){time_ns, epochs->latest[subject], active};
	epochs->latest[subject] = epochs->count++;
	return 0;
}

int epochs_probe(struct epochs *epochs, const struct epoch_row *row)
{
	uint32_t latest = epochs->latest[row->probe];

	if (latest != NONE && epochs->changes[latest].active == (row->active != 0))
		return 0; /* says it again, or changes the sampling rate only */
	return epochs_add(epochs, row->probe, row->time_ns, row->active);
}

int epochs_domain(struct epochs *epochs, uint16_t domain, uint64_t time_ns)
{
	return epochs_add(epochs, epochs->info->nprobes + domain, time_ns, true);
}

uint32_t epochs_until(const struct epochs *epochs, uint64_t time_ns)
{
	size_t first = 0, end = epochs->count;

	/* What is asked about is recent. */
	if (!end || epochs->changes[end - 1].time_ns <= time_ns)
		return end;
	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (epochs->changes[middle].time_ns <= time_ns)
			first = middle + 1;
		else
			end = middle;
	}
	return end;
}

struct segment epochs_segment(const struct epochs *epochs, uint64_t time_ns)
{
	uint32_t until = epochs_until(epochs, time_ns);

	return (struct segment){
		.begin_ns = until ? epochs->changes[until - 1].time_ns : 0,
		.last_ns = until < epochs->count ? epochs->changes[until].time_ns - 1 : UINT64_MAX,
		.until = until,
	};
}

bool epochs_same(const struct epochs *epochs, uint32_t until, uint64_t time_ns)
{
	const struct change *next = epochs->changes + until;

	return (!until || next[-1].time_ns <= time_ns) &&
	       (until == epochs->count || time_ns < next->time_ns);
}

bool epochs_observed(const struct epochs *epochs, uint16_t probe, uint32_t from, uint32_t until)
{
	uint32_t at = epochs->latest[probe];
	bool active = true;

	if (at == NONE)
		at = epochs->latest[epochs->info->nprobes + epochs->info->probes[probe].domain];
	for (; at != NONE; at = epochs->changes[at].before) {
		active = epochs->changes[at].active;
		if (at < from)
			return active;
		if (at < until && !active)
			return false;
	}
	/* All its epochs are later; one that begins with an end was active up to it. */
	return !active;
}

void epochs_close(struct epochs *epochs)
{
	if (!epochs)
		return;
	free(epochs->changes);
	free(epochs->latest);
	free(epochs);
}
