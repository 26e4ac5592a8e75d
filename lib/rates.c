// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "rates.h"
#include "sample.h"

#define LATE_MAX 1024 /* changes that a late one is put before; later ones count from there on */
#define PAST_MAX 4096 /* changes before the window that are kept */

struct change {
	uint64_t time_ns;
	uint32_t threshold;
	uint16_t probe;
};

struct rank {
	uint32_t least; /* threshold in the window */
	uint32_t set;   /* this probe and those of lower ranks */
	uint16_t probe;
};

struct rates {
	size_t nprobes;
	uint64_t flow_mask;
	bool sampling;
	bool stale;             /* ranks are not those of the window */
	struct change *changes; /* by time */
	size_t count;
	size_t room;
	size_t past;      /* changes before the window */
	size_t end;       /* and in it */
	uint32_t *before; /* per probe: threshold where the window begins */
	uint32_t *least;  /* and the lowest in it */
	uint32_t *latest; /* and of all */
	struct rank *ranks;
	size_t nranks;     /* probes that leave out anything in the window, the lowest rate first */
	struct paths sets; /* a set is the path of its probes by rank */
	struct sighting *kept;
};

int rates_open(struct rates **rates, size_t nprobes, uint64_t flow_mask)
{
	struct rates *r = calloc(1, sizeof(*r));

	*rates = NULL;
	if (!r)
		return -ENOMEM;
	r->nprobes = nprobes;
	r->flow_mask = flow_mask;
	r->before = calloc(nprobes + 1, sizeof(*r->before));
	r->least = calloc(nprobes + 1, sizeof(*r->least));
	r->latest = calloc(nprobes + 1, sizeof(*r->latest));
	r->ranks = calloc(nprobes + 1, sizeof(*r->ranks));
	r->kept = calloc(nprobes + 1, sizeof(*r->kept));
	if (!r->before || !r->least || !r->latest || !r->ranks || !r->kept) {
		rates_close(r);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nprobes; i++)
		r->before[i] = r->least[i] = r->latest[i] = VNT_SAMPLE_ALL;
	*rates = r;
	return 0;
}

int rates_add(struct rates *rates, const struct epoch_row *row)
{
	uint32_t threshold = row->sampling < UINT32_MAX ? ~(uint32_t)row->sampling : 0;
	struct change change = {row->time_ns, threshold, row->probe};
	size_t first = rates->past, at = rates->count;
	int err;

	if (!row->active || rates->latest[row->probe] == threshold)
		return 0;
	err = array_reserve(&rates->changes, &rates->room, rates->count + 1, sizeof(change));
	if (err)
		return err;
	if (rates->count > LATE_MAX && first < rates->count - LATE_MAX)
		first = rates->count - LATE_MAX;
	while (at > first && rates->changes[at - 1].time_ns > change.time_ns)
		at--;
	if (at && rates->changes[at - 1].time_ns > change.time_ns)
		change.time_ns = rates->changes[at - 1].time_ns;
	memmove(rates->changes + at + 1, rates->changes + at, (rates->count - at) * sizeof(change));
	rates->changes[at] = change;
	rates->count++;
	if (at < rates->end) {
		rates->end++;
		rates->stale = true;
	}
	rates->latest[row->probe] = threshold;
	rates->sampling = true;
	return 0;
}

bool rates_sampling(const struct rates *rates)
{
	return rates->sampling;
}

static int compare_ranks(const void *left, const void *right)
{
	const struct rank *a = left, *b = right;

	if (a->least != b->least)
		return a->least > b->least ? 1 : -1;
	return a->probe - b->probe;
}

static int rates_rank(struct rates *rates)
{
	uint32_t set = NOT_BLIND;
	int err = 0;

	memcpy(rates->least, rates->before, rates->nprobes * sizeof(*rates->least));
	for (size_t i = rates->past; i < rates->end; i++) {
		const struct change *change = &rates->changes[i];

		if (change->threshold < rates->least[change->probe])
			rates->least[change->probe] = change->threshold;
	}
	rates->nranks = 0;
	for (size_t i = 0; i < rates->nprobes; i++) {
		if (rates->least[i] != VNT_SAMPLE_ALL)
			rates->ranks[rates->nranks++] =
				(struct rank){.least = rates->least[i], .probe = i};
	}
	qsort(rates->ranks, rates->nranks, sizeof(*rates->ranks), compare_ranks);
	for (size_t i = 0; i < rates->nranks && !err; i++) {
		err = paths_extend(&rates->sets, set, rates->ranks[i].probe, &set);
		rates->ranks[i].set = set;
	}
	rates->stale = err != 0;
	return err;
}

static void rates_forget(struct rates *rates)
{
	rates->count -= rates->past;
	rates->end -= rates->past;
	memmove(rates->changes, rates->changes + rates->past,
		rates->count * sizeof(*rates->changes));
	rates->past = 0;
}

int rates_move(struct rates *rates, uint64_t from_ns, uint64_t until_ns)
{
	for (; rates->past < rates->count; rates->past++) {
		const struct change *change = &rates->changes[rates->past];

		if (change->time_ns > from_ns)
			break;
		rates->before[change->probe] = change->threshold;
		rates->stale = true;
	}
	if (rates->end < rates->past)
		rates->end = rates->past;
	for (; rates->end < rates->count; rates->end++) {
		if (rates->changes[rates->end].time_ns > until_ns)
			break;
		rates->stale = true;
	}
	if (rates->past > PAST_MAX && rates->past > rates->count / 2)
		rates_forget(rates);
	return rates->stale ? rates_rank(rates) : 0;
}

static uint32_t rates_threshold(const struct rates *rates, const struct sighting *sighting)
{
	uint32_t threshold = rates->before[sighting->probe];

	for (size_t i = rates->past; i < rates->end; i++) {
		const struct change *change = &rates->changes[i];

		if (change->time_ns > sighting->time_ns)
			break;
		if (change->probe == sighting->probe)
			threshold = change->threshold;
	}
	return threshold;
}

static bool spans_two(uint64_t key, uint32_t data)
{
	uint32_t first = key, last = first + data - 1;

	return data && first >> VNT_SAMPLE_WINDOW_LOG != last >> VNT_SAMPLE_WINDOW_LOG;
}

/* The probability that a packet is kept, `p` being that of a window or of a packet without any. */
static double packet_probability(double p, uint64_t key, uint32_t data)
{
	if (data > VNT_SAMPLE_WINDOW)
		return 1;
	return spans_two(key, data) ? p * (2 - p) : p;
}

/* What sampling goes by of TCP data; else 0. */
static uint32_t tcp_data(const struct journey *journey, const struct sighting *seen)
{
	return journey->flags & VNT_PACKET_TCP_DATA ? seen->data : 0;
}

/* Of two windows the one with the lower level: because of the other one alone it may not be here. */
static uint64_t packet_unit(const struct journey *journey, uint32_t data)
{
	uint64_t flow = journey->flow, key = journey->key;
	uint32_t window = (uint32_t)key >> VNT_SAMPLE_WINDOW_LOG;

	if (!data)
		return key;
	return window + (vnt_sample_level(flow, key, data, VNT_PACKET_TCP_DATA) !=
			 vnt_sample_level(flow, key, 1, VNT_PACKET_TCP_DATA));
}

/*
 * Horvitz-Thompson: samples are nested, so it is in the trace because of where it was likeliest. A part of
 * a super-packet that is there because of another part only counts nothing.
 */
void rates_weigh(const struct rates *rates, const struct journey *journey,
		 const struct sighting *seen, size_t n, struct weight *weight)
{
	double likeliest = 0, unit = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t threshold = rates_threshold(rates, &seen[i]);
		double p = ((double)threshold + 1) / ((double)VNT_SAMPLE_ALL + 1);
		double packet = packet_probability(p, journey->key, tcp_data(journey, &seen[i]));

		if (seen[i].segment && vnt_sample_level(journey->flow, journey->key, seen[i].data,
							journey->flags) > threshold)
			continue;
		unit = p > unit ? p : unit;
		likeliest = packet > likeliest ? packet : likeliest;
	}
	*weight = (struct weight){0};
	if (likeliest > 0)
		*weight = (struct weight){1 / likeliest, 1 / unit,
					  packet_unit(journey, tcp_data(journey, &seen[0]))};
}

static uint32_t rates_set(const struct rates *rates, uint32_t level)
{
	size_t begin = 0, end = rates->nranks;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (rates->ranks[middle].least < level)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin ? rates->ranks[begin - 1].set : NOT_BLIND;
}

/*
 * By the first byte alone, because a packet may be cut up elsewhere; and also where it was seen all
 * the same, because there one that was lost would not count.
 */
void rates_judge(struct rates *rates, const struct journey *journey, const struct sighting *seen,
		 size_t n, struct judged *judged)
{
	uint32_t level = vnt_sample_level(journey->flow & rates->flow_mask, journey->key, 1,
					  journey->flags & VNT_PACKET_TCP_DATA);

	*judged = (struct judged){seen, n, rates_set(rates, level), journey->length};
	if (judged->blind == NOT_BLIND)
		return;
	judged->seen = rates->kept;
	judged->n = 0;
	for (size_t i = 0; i < n; i++)
		if (level <= rates->least[seen[i].probe])
			rates->kept[judged->n++] = seen[i];
}

bool rates_blind(const struct rates *rates, uint32_t set, uint16_t probe)
{
	while (set != NOT_BLIND && rates->sets.paths[set].probe != probe)
		set = rates->sets.paths[set].parent;
	return set != NOT_BLIND;
}

void rates_close(struct rates *rates)
{
	if (!rates)
		return;
	paths_release(&rates->sets);
	free(rates->changes);
	free(rates->before);
	free(rates->least);
	free(rates->latest);
	free(rates->ranks);
	free(rates->kept);
	free(rates);
}
