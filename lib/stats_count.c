// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "stats_private.h"

/* The packet counts for those that sampling left out. */
static void stats_weigh(struct stats *stats, uint32_t flow, const struct journey *journey,
			const struct sighting *seen, size_t n)
{
	struct weight weight;

	rates_weigh(stats->rates, journey, seen, n, &weight);
	flows_weigh(&stats->flows, flow, &weight, journey->length);
}

/* Puts the packet to the paths, unless it is not known of any probe that all like it are seen. */
static int stats_judge(struct stats *stats, uint32_t flow, const struct journey *journey,
		       const struct sighting *seen, size_t n)
{
	struct judged judged = {
		.seen = seen, .n = n, .blind = NOT_BLIND, .length = journey->length};
	uint64_t watched_ns;

	if (stats->sampling)
		rates_judge(stats->rates, journey, seen, n, &judged);
	if (!judged.n)
		return 0;
	if (stats->ranges.count)
		judged.ranges = &stats->ranges;
	/* Whoever observed less than that longer might have seen the packet otherwise. */
	watched_ns = add_saturated(seen[n - 1].time_ns, stats->longest_ns);
	return flows_journey(&stats->flows, flow, &judged, stats->epochs,
			     watched_ns ? epochs_until(stats->epochs, watched_ns - 1) : 0);
}

static int stats_packet(struct stats *stats, uint32_t flow, const struct journey *journey,
			const struct sighting *seen, size_t n)
{
	uint64_t last_ns = seen[n - 1].time_ns;
	bool twice = journey->undecided;

	stats->observed++;
	for (size_t i = 0; i < n; i++) {
		struct passed_count *passed = &stats->passed[seen[i].probe];

		if (passed->last_packet == stats->observed) {
			twice = true;
		} else {
			passed->last_packet = stats->observed;
			passed->packets++;
		}
	}
	flows_count(&stats->flows, flow, journey->length, seen[0].time_ns);
	if (last_ns - seen[0].time_ns > stats->longest_ns)
		stats->longest_ns = last_ns - seen[0].time_ns;
	if (stats->sampling)
		stats_weigh(stats, flow, journey, seen, n);
	if (!twice)
		return stats_judge(stats, flow, journey, seen, n);
	stats->ambiguous++;
	return 0;
}

/* A packet first seen then may have come by anywhere before and after. Those of flows with super-packets
 * come a horizon later than others. */
static int stats_window(struct stats *stats, uint64_t time_ns)
{
	uint64_t horizon_ns = stats->horizon_ns;
	uint64_t before_ns = segments_began(stats->segments) ? add_saturated(horizon_ns, horizon_ns)
							     : horizon_ns;

	return rates_move(stats->rates, time_ns > before_ns ? time_ns - before_ns : 0,
			  add_saturated(time_ns, horizon_ns));
}

int stats_journey(void *context, const struct journey *journey)
{
	const struct sighting *seen = journey_sightings(journey);
	struct stats *stats = context;
	uint32_t flow = flows_find(&stats->flows, journey->flow);
	size_t pass;
	int err = 0;

	if (flow == MAP_NONE)
		return -ENOMEM;
	if (stats->sampling)
		err = stats_window(stats, seen->time_ns);
	if (!err)
		err = flows_pass(&stats->flows, flow, seen, journey->count, &pass);
	for (size_t at = 0; at < journey->count && !err; at += pass)
		err = stats_packet(stats, flow, journey, seen + at, pass);
	return err;
}

/* What the trace had said until then. */
int stats_changes(struct stats *stats, uint64_t until_ns)
{
	int err = changes_tell(&stats->changes, until_ns, stats->epochs, stats->rates);

	stats->segment = epochs_segment(stats->epochs, until_ns);
	stats->sampling = rates_sampling(stats->rates);
	if (stats->sampling)
		segments_sample(stats->segments);
	return err;
}

__attribute__((noinline)) static int stats_journey_of(struct stats *stats, const struct seat *seat)
{
	struct journey journey;

	seat_journey(seat, &journey);
	return segments_put(stats->segments, &journey);
}

__attribute__((noinline)) static void stats_find_segment(struct stats *stats, uint64_t time_ns)
{
	stats->segment = epochs_segment(stats->epochs, time_ns);
}

/* What stats_packet() does, where flows_repeat() can do what that asks of the flows; not where anything starts or
 * ends before all who might have seen the packet would have. */
static int stats_repeat(struct stats *stats, uint32_t flow, const struct seat *seat)
{
	uint64_t first_ns = seat->first_ns, watched_ns;
	uint64_t took_ns = seat->few - 2 < JOURNEY_INLINE - 1 ? seat->after_ns[seat->few - 2] : 0;
	uint64_t longest_ns = took_ns > stats->longest_ns ? took_ns : stats->longest_ns;
	const struct segment *segment = &stats->segment;
	bool done = false;
	int err = 0;

	watched_ns = add_saturated(first_ns + took_ns, longest_ns);
	if (first_ns < segment->begin_ns || first_ns > segment->last_ns)
		stats_find_segment(stats, first_ns);
	if (watched_ns > segment->begin_ns && watched_ns - 1 <= segment->last_ns)
		err = flows_repeat(&stats->flows, flow, seat, segment->until, &done);
	if (err)
		return err;
	if (!done)
		return stats_journey_of(stats, seat);
	stats->longest_ns = longest_ns;
	stats->observed++;
	return 0;
}

/* Where some are held. */
__attribute__((noinline)) static int stats_reach(struct stats *stats, uint32_t flow,
						 const struct seat *seat)
{
	bool held;
	int err = segments_reach(stats->segments, seat->flow, seat->first_ns, &held);

	if (err)
		return err;
	return held ? stats_journey_of(stats, seat) : stats_repeat(stats, flow, seat);
}

/* flow: its index, or MAP_NONE: it has none yet. */
static int stats_seat(struct stats *stats, const struct seat *seat, uint32_t flow)
{
	if (flow == MAP_NONE || stats->sampling || stats->ranges.count)
		return stats_journey_of(stats, seat);
	if (!segments_idle(stats->segments))
		return stats_reach(stats, flow, seat);
	return stats_repeat(stats, flow, seat);
}

static int gathered_count(const struct gathered *gathered, struct stats *stats)
{
	uint32_t found[FLOWS_AHEAD];
	int err = 0;

	for (size_t at = 0, n; at < gathered->count && !err; at += n) {
		const struct seat *seats = gathered->seats + at;

		n = gathered->count - at < FLOWS_AHEAD ? gathered->count - at : FLOWS_AHEAD;
		flows_prefetch(&stats->flows, seats, n, found);
		for (size_t i = 0; i < n && !err; i++)
			err = stats_seat(stats, &seats[i], found[i]);
	}
	return err;
}

void stats_count(struct task *task, unsigned int thread)
{
	struct stats *stats = (struct stats *)((char *)task - offsetof(struct stats, task));

	stats->flows.backlog.thread = thread;
	stats->err = gathered_count(stats->counting, stats);
	stats->flows.backlog.thread = 0;
}

/* Waits until what was handed over is counted. */
static int stats_wait(struct stats *stats)
{
	if (stats->pool)
		pool_wait(stats->pool, &stats->task, 0);
	stats->counted_flows = stats->flows.count;
	return stats->err;
}

/* Hands over what was gathered. */
static int stats_hand_over(struct stats *stats)
{
	struct gathered *counted = stats->counting;
	int err = stats_wait(stats);

	if (err)
		return err;
	stats->counting = stats->gathering;
	stats->gathering = counted;
	counted->count = counted->nmany = 0;
	if (stats->pool)
		pool_submit(stats->pool, &stats->task);
	else
		stats_count(&stats->task, 0);
	return stats->pool ? 0 : stats->err;
}

int stats_settle(struct stats *stats)
{
	int err = stats->gathering->count ? stats_hand_over(stats) : 0;

	return err ? err : stats_wait(stats);
}

static void gathered_add(struct gathered *gathered, const struct seat *seat)
{
	struct seat *added = &gathered->seats[gathered->count++];
	uint32_t many = seat_many(seat);

	*added = *seat;
	if (!many)
		return;
	added->many =
		memcpy(gathered->many + gathered->nmany, seat->many, many * sizeof(*seat->many));
	gathered->nmany += many;
}

__attribute__((noinline)) static int stats_gather(struct stats *stats, const struct seat *seat)
{
	uint32_t many = seat_many(seat);
	int err = 0;

	if (many > GATHERED_MANY)
		err = stats_settle(stats);
	else if (stats->gathering->count == (stats->pool ? GATHERED_MAX : FLOWS_AHEAD) ||
		 many > GATHERED_MANY - stats->gathering->nmany)
		err = stats_hand_over(stats);
	if (err)
		return err;
	if (many > GATHERED_MANY)
		return stats_journey_of(stats, seat);
	gathered_add(stats->gathering, seat);
	return 0;
}

/* With nobody to hand it to and nothing to fetch it is counted at once: flows become only more, so that none was
 * gathered before. */
static inline int stats_take(struct stats *stats, const struct seat *seat)
{
	if (stats->pool || !flows_cached(&stats->flows))
		return stats_gather(stats, seat);
	stats->counted_flows = stats->flows.count;
	return stats_seat(stats, seat, map_find(&stats->flows.by_hash, seat->flow));
}

__attribute__((noinline)) static int stats_take_changed(struct stats *stats, uint64_t until_ns,
							const struct seat *seat)
{
	int err = stats_settle(stats);

	if (!err)
		err = stats_changes(stats, until_ns);
	return err ? err : stats_take(stats, seat);
}

int stats_joined(void *context, const struct seat *seat)
{
	struct stats *stats = context;
	uint64_t until_ns = add_saturated(seat->first_ns, stats->horizon_ns);

	if (changes_due(&stats->changes, until_ns))
		return stats_take_changed(stats, until_ns, seat);
	return stats_take(stats, seat);
}
