// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "loss.h"

#define NOT_SEEN UINT32_MAX

static uint64_t pair_key(uint16_t from, uint16_t to)
{
	return (uint64_t)from << 16 | to;
}

static int loss_add_row(struct loss *loss, uint16_t from, uint16_t to)
{
	int err;

	if (map_find(&loss->by_pair, pair_key(from, to)) != MAP_NONE)
		return 0;
	err = array_reserve(&loss->rows, &loss->room, loss->count + 1, sizeof(*loss->rows));
	if (!err)
		err = map_add(&loss->by_pair, pair_key(from, to), loss->count);
	if (!err)
		loss->rows[loss->count++] = (struct loss_report){.from = from, .to = to};
	return err;
}

int loss_open(struct loss *loss, const struct stats *stats, const struct path_report *paths,
	      size_t npaths)
{
	size_t probes = stats->info->nprobes + 1;
	int err = 0;

	*loss = (struct loss){.stats = stats};
	loss->probes = calloc(probes, sizeof(*loss->probes));
	loss->sightings = calloc(probes, sizeof(*loss->sightings));
	loss->scratch = calloc(probes, sizeof(*loss->scratch));
	if (!loss->probes || !loss->sightings || !loss->scratch)
		err = -ENOMEM;
	for (size_t i = 0; i < npaths && !err; i++) {
		for (size_t k = 1; k < paths[i].nprobes && !err; k++)
			err = loss_add_row(loss, paths[i].probes[k - 1], paths[i].probes[k]);
	}
	if (err)
		loss_release(loss);
	return err;
}

/* The full variant whose packets these are too: of those that contain it the one with most, the
 * oldest of equals. */
static const struct variant *flow_owner(const struct flows *flows, const struct flow *flow,
					const struct variant *part)
{
	const struct variant *owner = NULL;

	if (part->full)
		return part;
	for (uint32_t i = flow->variants; i != NO_VARIANT; i = flows->variants[i].next) {
		const struct variant *whole = &flows->variants[i];

		if (whole->full && (!owner || whole->count >= owner->count) &&
		    paths_contains(&flows->paths, whole->path, part->path))
			owner = whole;
	}
	return owner;
}

static void watch_add(const struct watch *watch, const struct stats *stats, uint32_t sighting,
		      uint16_t probe, struct amount *amount)
{
	if (sighting < watch->begin || sighting >= watch->end ||
	    rates_blind(stats->rates, watch->blind, probe) ||
	    !epochs_observed(stats->epochs, probe, watch->from, watch->until))
		return;
	amount->packets += watch->count;
	amount->bytes += watch->bytes;
}

/* Packets of the variant that the probe would have seen at the time of that sighting or later. */
static struct amount variant_watched(const struct variant *variant, const struct stats *stats,
				     uint32_t sighting, uint16_t probe)
{
	struct amount amount = {0};

	watch_add(&variant->watch, stats, sighting, probe, &amount);
	for (size_t i = 0; i < variant->nwatches; i++)
		watch_add(&variant->watches[i], stats, sighting, probe, &amount);
	return amount;
}

/* What became of the variant's packets between the `from`th and the `to`th probe of its path. */
static struct passage loss_passage(const struct loss *loss, const struct variant *variant,
				   size_t from, size_t to)
{
	const struct amount all = {variant->count, variant->bytes};

	if (loss->sightings[from] == NOT_SEEN)
		return (struct passage){0};
	if (loss->sightings[to] != NOT_SEEN)
		return (struct passage){.sent = all, .received = all};
	return (struct passage){.sent = variant_watched(variant, loss->stats, loss->sightings[from],
							loss->probes[to])};
}

/* Was a packet of the variant at hand seen at all probes of the whole, but those that were blind to it? */
static bool loss_is_complete(const struct loss *loss, uint32_t blind)
{
	for (size_t i = 0; i < loss->length; i++) {
		if (loss->sightings[i] == NOT_SEEN &&
		    !rates_blind(loss->stats->rates, blind, loss->probes[i]))
			return false;
	}
	return true;
}

static void loss_complete(struct loss *loss, const struct watch *watch)
{
	/* A packet has one watch that begins with its first sighting; copies are not packets. */
	if (watch->begin || watch->copy)
		return;
	if (loss_is_complete(loss, watch->blind))
		loss->complete += watch->count;
	else
		loss->partial += watch->count;
}

/* Makes the variant the one at hand. */
static void loss_place(struct loss *loss, const struct variant *owner,
		       const struct variant *variant)
{
	const struct paths *paths = &loss->stats->flows.paths;
	size_t seen = paths->paths[variant->path].length;

	loss->length = paths->paths[owner->path].length;
	paths_probes(paths, owner->path, loss->probes);
	paths_probes(paths, variant->path, loss->scratch);
	for (size_t i = 0, k = 0; i < loss->length; i++)
		loss->sightings[i] = k < seen && loss->scratch[k] == loss->probes[i] ? k++
										     : NOT_SEEN;
}

/* A packet is complete if all its copies are. */
static void loss_branched(struct loss *loss, const struct flow *flow,
			  const struct branched *branched)
{
	const struct flows *flows = &loss->stats->flows;
	const struct fork *fork = forks_of(flows->forks, &flows->paths.paths[branched->path]);
	bool complete = true;

	for (size_t i = 0; i < fork->count && complete; i++) {
		uint32_t path = flows->forks->leaves[fork->begin + i].path;
		const struct variant *variant =
			&flows->variants[flows_find_variant(flows, flow - flows->flows, path)];

		loss_place(loss, flow_owner(flows, flow, variant), variant);
		complete = loss_is_complete(loss, branched->blind);
	}
	if (complete)
		loss->complete += branched->count;
	else
		loss->partial += branched->count;
}

/* Events that the ledger says were missed at the probe, or may have been. */
static double probe_missed(const struct stats *stats, uint16_t probe)
{
	return (double)stats->probes[probe].missed +
	       (double)stats->domains[stats->info->probes[probe].domain].missed_somewhere;
}

static void loss_variant(struct loss *loss, const struct variant *owner,
			 const struct variant *variant, struct passage *ends)
{
	size_t length;
	struct passage passage;

	loss_place(loss, owner, variant);
	length = loss->length;
	loss_complete(loss, &variant->watch);
	for (size_t i = 0; i < variant->nwatches; i++)
		loss_complete(loss, &variant->watches[i]);
	for (size_t i = 1; i < length; i++) {
		uint64_t key = pair_key(loss->probes[i - 1], loss->probes[i]);
		struct loss_report *row = &loss->rows[map_find(&loss->by_pair, key)];

		passage = loss_passage(loss, variant, i - 1, i);
		row->sent += passage.sent.packets;
		row->sent_bytes += passage.sent.bytes;
		row->received += passage.received.packets;
		row->received_bytes += passage.received.bytes;
	}
	if (length > 1) {
		passage = loss_passage(loss, variant, 0, length - 1);
		ends->sent.packets += passage.sent.packets;
		ends->received.packets += passage.received.packets;
		if (ends->missed_to < probe_missed(loss->stats, loss->probes[length - 1]))
			ends->missed_to = probe_missed(loss->stats, loss->probes[length - 1]);
	}
}

/* Of packets that were not seen, how many were lost for sure: a gap of the tracer explains the others. */
static uint64_t passage_lost(const struct passage *passage)
{
	uint64_t unseen = passage->sent.packets - passage->received.packets;

	return (double)unseen > passage->missed_to ? unseen - (uint64_t)passage->missed_to : 0;
}

double loss_flow(struct loss *loss, const struct flow *flow)
{
	const struct flows *flows = &loss->stats->flows;
	struct passage ends = {0};

	for (uint32_t i = flow->variants; i != NO_VARIANT; i = flows->variants[i].next) {
		const struct variant *variant = &flows->variants[i];

		loss_variant(loss, flow_owner(flows, flow, variant), variant, &ends);
	}
	for (uint32_t i = flow->branched; i != MAP_NONE; i = flows->branched[i].next)
		loss_branched(loss, flow, &flows->branched[i]);
	return ends.sent.packets ? (double)passage_lost(&ends) / (double)ends.sent.packets : 0;
}

static void loss_ratios(struct loss_report *row, double missed_from, double missed_to)
{
	const struct passage passage = {
		{row->sent, row->sent_bytes}, {row->received, row->received_bytes}, missed_to};
	double sent = row->sent, unseen = row->sent - row->received;

	row->lost = passage_lost(&passage);
	if (!row->sent)
		return;
	row->lost_bytes = row->sent_bytes - row->received_bytes;
	if ((double)row->lost < unseen) /* of those that the tracer may have missed */
		row->lost_bytes = (double)row->lost_bytes * (double)row->lost / unseen;
	row->ratio = (double)row->lost / sent;
	row->ratio_min = (double)row->lost / (sent + missed_from);
	row->ratio_max = (unseen + missed_from) / (sent + missed_from);
}

void loss_take(struct loss *loss, struct report *report)
{
	for (size_t i = 0; i < loss->count; i++) {
		struct loss_report *row = &loss->rows[i];

		loss_ratios(row, probe_missed(loss->stats, row->from),
			    probe_missed(loss->stats, row->to));
	}
	report->complete = loss->complete;
	report->partial = loss->partial;
	report->losses = loss->rows;
	report->nlosses = loss->count;
	loss->rows = NULL;
	loss->count = 0;
}

void loss_release(struct loss *loss)
{
	free(loss->rows);
	free(loss->probes);
	free(loss->sightings);
	free(loss->scratch);
	map_release(&loss->by_pair);
	*loss = (struct loss){0};
}
