// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <math.h>

#include "lib/rates.h"
#include "lib/sample.h"

#define NPROBES 4

static struct rates *rates;

static void begin(void)
{
	cr_assert_eq(rates_open(&rates, NPROBES, UINT64_MAX), 0);
}

static void end(void)
{
	rates_close(rates);
	rates_close(NULL);
}

TestSuite(rates, .init = begin, .fini = end);

static void change(uint64_t time_ns, uint16_t probe, uint64_t n)
{
	const struct epoch_row row = {time_ns, probe, 1, (uint32_t)~vnt_sample_threshold(n)};

	cr_assert_eq(rates_add(rates, &row), 0);
}

/* A packet of this level, seen at all probes: a bit for each one that is blind to it. */
static unsigned int blind(uint32_t level, uint64_t from_ns, uint64_t until_ns)
{
	struct journey journey = {.count = 1};
	struct sighting seen[NPROBES] = {{.probe = 0}, {.probe = 1}, {.probe = 2}, {.probe = 3}};
	unsigned int bits = 0, left = 0;
	struct judged judged;

	/* Some key has it, nearly. */
	while (vnt_sample_level(journey.flow, journey.key, 0, 0) >> 20 != level >> 20)
		journey.key++;
	cr_assert_eq(rates_move(rates, from_ns, until_ns), 0);
	rates_judge(rates, &journey, seen, NPROBES, &judged);
	for (unsigned int i = 0; i < judged.n; i++)
		left |= 1u << judged.seen[i].probe;
	for (unsigned int i = 0; i < NPROBES; i++)
		bits |= (unsigned int)rates_blind(rates, judged.blind, i) << i;
	cr_assert_eq(left, ~bits & ((1u << NPROBES) - 1));
	return bits;
}

#define OF(n) ((uint32_t)(UINT32_MAX / (n)))

Test(rates, only_what_leaves_out_anything_samples)
{
	const struct epoch_row ended = {5, 0, 0, 77};

	change(0, 0, 1);
	cr_assert_eq(rates_add(rates, &ended), 0);
	cr_assert_not(rates_sampling(rates));
	change(0, 3, 2);
	cr_assert(rates_sampling(rates));
}

Test(rates, a_window_has_its_lowest_rates)
{
	change(0, 0, 4);
	change(100, 0, 2);
	change(150, 1, 8);
	change(200, 1, 1);
	cr_assert_eq(blind(OF(3), 10, 99), 1);
	cr_assert_eq(blind(OF(3), 50, 100), 1);
	cr_assert_eq(blind(OF(5), 60, 149), 0);
	cr_assert_eq(blind(OF(9), 99, 150), 0);
	cr_assert_eq(blind(OF(5), 99, 150), 2);
	cr_assert_eq(blind(OF(3), 99, 199), 3);
	cr_assert_eq(blind(OF(3), 100, 199), 2);
	cr_assert_eq(blind(OF(1) - 1, 199, 200), 3);
	cr_assert_eq(blind(OF(1) - 1, 200, 300), 1);
}

Test(rates, late_changes_come_in_their_place)
{
	change(0, 2, 2);
	change(300, 3, 9);
	change(200, 2, 20); /* of another file */
	change(250, 2, 2);
	cr_assert_eq(blind(OF(3), 10, 199), 0);
	cr_assert_eq(blind(OF(3), 10, 200), 4);
	cr_assert_eq(blind(OF(3), 260, 299), 0);
	cr_assert_eq(blind(OF(3), 260, 300), 8);
	change(100, 0, 9); /* long past: from here on */
	cr_assert_eq(blind(OF(3), 310, 400), 9);
}

Test(rates, said_again_is_no_change)
{
	for (uint64_t i = 0; i < 10; i++)
		change(1000 - i, 1, 5);
	cr_assert_eq(blind(OF(3), 1, 990), 0);
	cr_assert_eq(blind(OF(3), 1, 1000), 2);
}

Test(rates, of_a_day)
{
	for (uint64_t i = 1; i < 20000; i++) {
		change(i * 10, 0, i % 3 + 1);
		change(i * 10, 1, 3 - i % 3);
		if (i % 100)
			continue;
		cr_assert_eq(blind(OF(1) - 1, i * 10, i * 10 + 1),
			     (i % 3 ? 1u : 0) | (i % 3 != 2 ? 2u : 0), "%lu", i);
		cr_assert_eq(blind(OF(4), i * 10, i * 10 + 1), 0);
	}
}

Test(rates, hostile_rows)
{
	const struct epoch_row row = {UINT64_MAX, 0, UINT64_MAX, UINT64_MAX};
	struct sighting seen = {.time_ns = UINT64_MAX};
	struct weight weight;

	cr_assert_eq(rates_add(rates, &row), 0);
	for (uint64_t i = 100000; i-- > 0;) /* each before all others */
		change(i, 1 + i % 3, 2 + i % 5);
	cr_assert_eq(rates_move(rates, UINT64_MAX, UINT64_MAX), 0);
	rates_weigh(rates, &(struct journey){.count = 1}, &seen, 1, &weight);
	cr_assert(weight.packets == 4294967296.0 && isfinite(weight.units));
}

/* TCP data: a packet in two windows is likelier to be there, but stands for one of them. */
Test(rates, weights)
{
	const uint32_t half = VNT_SAMPLE_WINDOW / 2;
	struct sighting seen[] = {{.probe = 1}, {.probe = 0}};
	struct journey journey = {.count = 2, .key = half};
	struct weight weight;

	change(0, 0, 4);
	change(0, 1, 8);
	cr_assert_eq(rates_move(rates, 0, 10), 0);
	rates_weigh(rates, &journey, seen, 2, &weight);
	cr_assert(weight.packets == 4 && weight.units == 4 && weight.unit == half);
	rates_weigh(rates, &journey, seen, 1, &weight);
	cr_assert(weight.packets == 8 && weight.units == 8);
	journey.flags = VNT_PACKET_TCP_DATA;
	seen[0].data = half;
	rates_weigh(rates, &journey, seen, 1, &weight);
	cr_assert(weight.packets == 8 && weight.units == 8 && weight.unit == 0);
	seen[0].data = half + 1;
	rates_weigh(rates, &journey, seen, 1, &weight);
	cr_assert(fabs(weight.packets - 64. / 15) < 1e-12 && weight.units == 8);
	cr_assert_eq(weight.unit, vnt_sample_hash(0, 1) < vnt_sample_hash(0, 0));
	seen[0].data = VNT_SAMPLE_WINDOW + 1;
	rates_weigh(rates, &journey, seen, 1, &weight);
	cr_assert(weight.packets == 1 && weight.units == 8);
}
