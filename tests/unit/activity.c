// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>

#include "lib/activity.h"

#define PROBES 3

static struct activity activity;
static struct batch made;

static void note(enum batch_type type, const void *rows, size_t count)
{
	activity_note(&activity, &(struct batch){.type = type, .count = count, .rows = rows});
}

static void note_event(uint64_t time_ns)
{
	const struct batch batch = {
		.type = BATCH_EVENTS, .count = 1, .first_ns = time_ns, .last_ns = time_ns};

	activity_note(&activity, &batch);
}

/* Probes 0 and 2 are active from 100 on; an event at 500. */
static void begin(void)
{
	const struct epoch_row rows[] = {{100, 0, 1}, {100, 1, 1}, {100, 2, 1}, {200, 1, 0}};

	cr_assert_eq(activity_open(&activity, PROBES), 0);
	note(BATCH_EPOCHS, rows, 4);
	note_event(500);
	cr_assert(!activity_next(&activity, &made));
}

static void check_made(uint64_t time_ns, uint64_t active)
{
	cr_assert(activity_next(&activity, &made));
	cr_assert_eq(made.type, BATCH_EPOCHS);
	cr_assert_eq(made.count, 2);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(made.epochs[i].time_ns, time_ns);
		cr_assert_eq(made.epochs[i].active, active);
		cr_assert_eq(made.epochs[i].probe, 2 * i);
	}
}

TestSuite(activity, .init = begin);

Test(activity, a_trace_that_breaks_off_ends_what_it_left_active)
{
	cr_assert(!activity_complete(&activity));
	activity_end(&activity);
	check_made(500, 0);
	cr_assert(!activity_next(&activity, &made));
	activity_end(&activity);
	cr_assert(!activity_next(&activity, &made), "only once");
	activity_release(&activity);
}

Test(activity, a_trace_that_ended_well_needs_nothing)
{
	const struct epoch_row rows[] = {{600, 0, 0}, {600, 2, 0}};

	note(BATCH_EPOCHS, rows, 1);
	cr_assert(!activity_complete(&activity));
	note(BATCH_EPOCHS, rows + 1, 1);
	cr_assert(activity_complete(&activity));
	activity_end(&activity);
	cr_assert(!activity_next(&activity, &made));
	activity_release(&activity);
}

Test(activity, a_trace_that_breaks_off_before_it_began)
{
	activity_release(&activity);
	cr_assert_eq(activity_open(&activity, PROBES), 0);
	cr_assert(!activity_complete(&activity));
	activity_end(&activity);
	cr_assert(!activity_next(&activity, &made));
	activity_release(&activity);
}

/* Probe 2 samples: behind damage its rate may be another one. */
Test(activity, a_probe_that_samples_stays_paused_behind_damage)
{
	const struct loss_row damaged = {500, 700, 3, 0, ANY_PROBE, 0, LOSS_DAMAGED_FILE};
	const struct epoch_row samples = {450, 2, 1, 7}, again = {800, 2, 1, 9};

	note(BATCH_EPOCHS, &samples, 1);
	note(BATCH_LOSSES, &damaged, 1);
	check_made(500, 0);
	cr_assert(activity_next(&activity, &made));
	cr_assert_eq(made.count, 1);
	cr_assert_eq(made.epochs[0].probe, 0);
	cr_assert_eq(made.epochs[0].active, 1);
	cr_assert(!activity_next(&activity, &made));
	note(BATCH_EPOCHS, &again, 1);
	activity_end(&activity);
	check_made(800, 0);
	activity_release(&activity);
}

Test(activity, damage_without_missing_events_pauses_those_that_sample)
{
	const struct epoch_row samples = {450, 2, 1, 7};

	activity_gap(&activity);
	cr_assert(!activity_next(&activity, &made), "none of them does");
	note(BATCH_EPOCHS, &samples, 1);
	activity_gap(&activity);
	cr_assert(activity_next(&activity, &made));
	cr_assert_eq(made.count, 1);
	cr_assert_eq(made.epochs[0].probe, 2);
	cr_assert_eq(made.epochs[0].time_ns, 500);
	cr_assert_eq(made.epochs[0].active, 0);
	activity_gap(&activity);
	cr_assert(!activity_next(&activity, &made), "it has ended already");
	activity_release(&activity);
}

Test(activity, a_damaged_range_is_a_pause)
{
	const struct loss_row full = {500, 600, 3, 0, 0, 0, LOSS_RING_FULL};
	const struct loss_row damaged = {500, 700, 3, 0, ANY_PROBE, 0, LOSS_DAMAGED_FILE};

	note(BATCH_LOSSES, &full, 1);
	cr_assert(!activity_next(&activity, &made), "the ledger is no gap of known extent");
	note(BATCH_LOSSES, &damaged, 1);
	check_made(500, 0);
	check_made(700, 1);
	cr_assert(!activity_next(&activity, &made));
	activity_end(&activity);
	check_made(700, 0);
	activity_release(&activity);
}
