// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of sampled networks against the definitions, computed the slow way. */
#include "sampling.h"

static const uint32_t few[] = {1, 2, 3, 10, 0};
static const uint32_t mixed[] = {1, 2, 10, 100, 1000, 0};

static const struct world_config worlds[] = {
	{few, .drop_percent = 10},
	{few, .changing = true, .drop_percent = 10},
	{mixed, .changing = true, .drop_percent = 3},
	{mixed, .changing = true, .same = true, .drop_percent = 10},
	{few, .changing = true, .resegmented = true, .drop_percent = 5},
};

/* Sets of probes are bits; all routes of a flow are parts of one, so a set is a route too. */
struct verdict {
	uint32_t seen;
	uint32_t blind;
};

struct oracle {
	const struct world *world;
	const struct packet *order[PACKETS]; /* by first event */
	struct verdict verdicts[PACKETS];
	size_t count;
	uint64_t packets[FLOWS][1 << PROBES]; /* by where they were seen */
	uint64_t since[FLOWS][1 << PROBES];   /* the first of them */
	uint64_t sent[PROBES][PROBES], received[PROBES][PROBES];
	uint64_t complete, partial;
};

static int compare_first(const void *left, const void *right)
{
	const struct packet *a = *(const struct packet *const *)left;
	const struct packet *b = *(const struct packet *const *)right;

	if (a->times[0] != b->times[0])
		return a->times[0] > b->times[0] ? 1 : -1;
	return (a->key > b->key) - (a->key < b->key);
}

static uint32_t lowest_threshold(const struct world *world, uint16_t probe, uint64_t from_ns,
				 uint64_t until_ns)
{
	uint32_t lowest = world_threshold(world, probe, from_ns);

	for (size_t i = 0; i < world->nrates; i++) {
		const struct rate *rate = &world->rates[probe][i];

		if (rate->time_ns > from_ns && rate->time_ns <= until_ns &&
		    rate->threshold < lowest)
			lowest = rate->threshold;
	}
	return lowest;
}

static void judge(struct oracle *oracle)
{
	for (size_t i = 0; i < oracle->count; i++) {
		const struct packet *packet = oracle->order[i];
		uint64_t first_ns = packet->times[0];
		struct verdict *verdict = &oracle->verdicts[i];

		for (uint16_t p = 0; p < PROBES; p++)
			if (packet->level > lowest_threshold(oracle->world, p,
							     first_ns - HORIZON_NS,
							     first_ns + HORIZON_NS))
				verdict->blind |= 1u << p;
		for (size_t k = 0; k < packet->route.n; k++)
			verdict->seen |= 1u << packet->route.probes[k] & ~verdict->blind;
		if (!verdict->seen)
			continue;
		if (!oracle->packets[packet->flow][verdict->seen]++)
			oracle->since[packet->flow][verdict->seen] = i;
	}
}

static bool is_full(const struct oracle *oracle, size_t flow, uint32_t set)
{
	for (uint32_t more = 0; more < 1 << PROBES; more++)
		if (more != set && (more & set) == set && oracle->packets[flow][more])
			return false;
	return oracle->packets[flow][set] > 0;
}

/* The commonest full path that these are part of. */
static uint32_t owner(const struct oracle *oracle, size_t flow, uint32_t set)
{
	const uint64_t *packets = oracle->packets[flow], *since = oracle->since[flow];
	uint32_t best = 0;

	for (uint32_t more = 1; more < 1 << PROBES; more++) {
		if ((more & set) != set || !is_full(oracle, flow, more))
			continue;
		if (!best || packets[more] > packets[best] ||
		    (packets[more] == packets[best] && since[more] < since[best]))
			best = more;
	}
	return best;
}

static void pass(struct oracle *oracle, const struct route *route, uint32_t whole,
		 const struct verdict *verdict)
{
	int from = -1;

	for (size_t i = 0; i < route->n; i++) {
		uint16_t to = route->probes[i];

		if (!(whole >> to & 1))
			continue;
		if (from >= 0 && (verdict->seen >> from & 1) && !(verdict->blind >> to & 1)) {
			oracle->sent[from][to]++;
			oracle->received[from][to] += verdict->seen >> to & 1;
		}
		from = to;
	}
}

static struct oracle *oracle_make(const struct world *world)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));

	oracle->world = world;
	for (size_t i = 0; i < PACKETS; i++)
		if (world->packets[i].route.n)
			oracle->order[oracle->count++] = &world->packets[i];
	qsort(oracle->order, oracle->count, sizeof(oracle->order[0]), compare_first);
	judge(oracle);
	for (size_t i = 0; i < oracle->count; i++) {
		const struct verdict *verdict = &oracle->verdicts[i];
		size_t flow = oracle->order[i]->flow;
		uint32_t whole = verdict->seen ? owner(oracle, flow, verdict->seen) : 0;

		if (!whole)
			continue;
		pass(oracle, &world->routes[flow], whole, verdict);
		if (whole & ~verdict->seen & ~verdict->blind)
			oracle->partial++;
		else
			oracle->complete++;
	}
	return oracle;
}

static void check_losses(const struct oracle *oracle)
{
	const struct report *report = &oracle->world->report;
	uint64_t sent = 0, want = 0;

	for (size_t i = 0; i < report->nlosses; i++) {
		const struct loss_report *row = &report->losses[i];

		cr_assert_eq(row->sent, oracle->sent[row->from][row->to]);
		cr_assert_eq(row->received, oracle->received[row->from][row->to]);
		cr_assert_eq(row->lost, row->sent - row->received);
		cr_assert(row->ratio_min == row->ratio && row->ratio_max == row->ratio);
		sent += row->sent;
	}
	for (size_t i = 0; i < PROBES * PROBES; i++)
		want += oracle->sent[i / PROBES][i % PROBES];
	cr_assert_eq(sent, want, "a pair is not reported");
}

static void check_packets(const struct oracle *oracle)
{
	const struct report *report = &oracle->world->report;
	uint64_t full = 0, on_paths = 0;

	cr_assert_eq(report->observed, oracle->count);
	cr_assert_eq(report->ambiguous, 0);
	cr_assert_eq(report->complete, oracle->complete);
	cr_assert_eq(report->partial, oracle->partial);
	for (size_t i = 0; i < FLOWS; i++)
		for (uint32_t set = 1; set < 1 << PROBES; set++)
			full += is_full(oracle, i, set) ? oracle->packets[i][set] : 0;
	for (size_t i = 0; i < report->npaths; i++) {
		on_paths += report->paths[i].packets;
		cr_assert(report->paths[i].nprobes == 1 ||
			  report->paths[i].end_to_end.count == report->paths[i].packets);
	}
	cr_assert_eq(on_paths, full);
}

/* Of every probe: what is there and what is not are together what came by, to the last byte. */
static void check_probes(const struct world *world)
{
	const struct report *report = &world->report;
	uint64_t ledger[PROBES] = {0}, domains[DOMAINS] = {0};

	for (size_t i = 0; i < report->nledger; i++) {
		const struct ledger_report *row = &report->ledger[i];

		cr_assert_eq(row->cause, LOSS_SAMPLED);
		cr_assert(row->first_ns <= row->last_ns && row->cpu < CPUS);
		cr_assert_eq(row->domain, world->probes[row->probe].domain);
		ledger[row->probe] += row->count;
	}
	for (size_t i = 0; i < PROBES; i++) {
		const struct probe_report *row = &report->probes[i];

		cr_assert_eq(row->events + row->sampled_out, world->all[i].events);
		cr_assert_eq(row->bytes, world->all[i].bytes);
		cr_assert_eq(row->sampled_out, ledger[i]);
		cr_assert_eq(row->lost, 0);
		domains[row->domain] += row->sampled_out;
	}
	for (size_t i = 0; i < DOMAINS; i++) {
		cr_assert_eq(report->domains[i].sampled_out, domains[i]);
		cr_assert_eq(report->domains[i].lost, 0);
	}
}

Test(sampling, random_networks)
{
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		for (uint64_t seed = 1; seed <= 12; seed++) {
			struct world *world = world_run(seed, &worlds[i]);
			struct oracle *oracle = oracle_make(world);

			check_packets(oracle);
			check_losses(oracle);
			check_probes(world);
			free(oracle);
			world_free(world);
		}
	}
}

/* Nothing is dropped, so nothing is lost, whatever each probe leaves out and when. */
Test(sampling, nothing_is_lost_because_of_it)
{
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		struct world_config config = worlds[i];

		config.drop_percent = 0;
		for (uint64_t seed = 1; seed <= 25; seed++) {
			struct world *world = world_run(seed, &config);
			const struct report *report = &world->report;
			uint64_t sent = 0;

			for (size_t k = 0; k < report->nlosses; k++) {
				cr_assert_eq(report->losses[k].lost, 0, "%zu seed %lu: %lu of %lu",
					     i, seed, report->losses[k].lost,
					     report->losses[k].sent);
				sent += report->losses[k].sent;
			}
			for (size_t k = 0; k < report->nflows; k++)
				cr_assert_eq(report->flows[k].loss_ratio, 0);
			cr_assert(config.rates != few || sent > 0);
			cr_assert_eq(report->partial, 0);
			world_free(world);
		}
	}
}
