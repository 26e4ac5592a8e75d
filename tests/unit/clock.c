// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/clock.h"

#define BOOT_A  "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B  "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_C  "cccccccc-0000-4000-8000-000000000003"
#define UNBOUND CLOCK_UNBOUNDED

/* The wall clock is `wall_ns` ahead of a monotonic clock that says 1000. */
static struct anchor_row anchor(int64_t wall_ns)
{
	return (struct anchor_row){.mono_ns = 1000, .real_ns = 1000 + wall_ns};
}

static struct domain domain(const char *boot_id, const char *method, int64_t offset_ns,
			    int64_t bound_ns)
{
	struct domain domain = {.clock = {.offset_ns = offset_ns, .bound_ns = bound_ns}};

	snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", boot_id);
	snprintf(domain.clock.method, sizeof(domain.clock.method), "%s", method);
	return domain;
}

static void check(const struct clock_fit *fit, const char *method, int64_t offset_ns,
		  int64_t bound_ns)
{
	cr_assert_str_eq(fit->method, method, "'%s', not '%s'", fit->method, method);
	cr_assert_eq(fit->offset_ns, offset_ns, "offset %ld, not %ld", (long)fit->offset_ns,
		     (long)offset_ns);
	cr_assert_eq(fit->bound_ns, bound_ns, "bound %ld, not %ld", (long)fit->bound_ns,
		     (long)bound_ns);
}

Test(clock, first_input_is_the_reference)
{
	const struct domain domains[] = {domain(BOOT_A, "reference", 0, 0),
					 domain(BOOT_A, "same", 0, 0),
					 domain(BOOT_B, "realtime", 300, UNBOUND)};
	const struct anchor_row anchors[3] = {anchor(5), anchor(5), anchor(305)};
	const struct clock_input input = {domains, 3, anchors};
	struct clock_fit fits[3];

	cr_assert_eq(clock_place(&input, NULL, 0, &anchors[0], fits), 0);
	check(&fits[0], "reference", 0, 0);
	check(&fits[1], "same", 0, 0);
	check(&fits[2], "realtime", 300, UNBOUND);
}

/* One more recording, placed beside a reference that was booted as A with a wall offset of 1000. */
static const struct {
	const char *boot_id;
	int64_t wall_ns; /* 0: no anchor */
	int64_t reference_wall_ns;
	int64_t shift_ns;
	const char *method;
	int64_t bound_ns;
} beside[] = {
	{BOOT_A, 1000, 1000, 0, "same", 0},
	{BOOT_A, 77777, 1000, 0, "same", 0}, /* the wall clock was set meanwhile: no matter */
	{BOOT_A, 0, 0, 0, "same", 0},
	{BOOT_B, 1300, 1000, 300, "realtime", UNBOUND},
	{BOOT_B, 400, 1000, -600, "realtime", UNBOUND},
	{BOOT_B, 0, 1000, 0, "none", UNBOUND},
	{BOOT_B, 1300, 0, 0, "none", UNBOUND},
	{"", 1300, 1000, 300, "realtime", UNBOUND},
};

Test(clock, a_recording_beside_the_reference)
{
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		const struct domain placed = domain(BOOT_A, "reference", 0, 0);
		const struct domain own = domain(beside[i].boot_id, "reference", 0, 0);
		const struct anchor_row none = {0}, mine = anchor(beside[i].wall_ns),
					reference = anchor(beside[i].reference_wall_ns);
		const struct clock_input input = {&own, 1, beside[i].wall_ns ? &mine : &none};
		struct clock_fit fit;

		cr_assert_eq(clock_place(&input, &placed, 1,
					 beside[i].reference_wall_ns ? &reference : &none, &fit),
			     beside[i].shift_ns, "row %zu", i);
		check(&fit, beside[i].method, beside[i].shift_ns, beside[i].bound_ns);
	}
}

/* The guest's wall clock is 5000 behind its host's, which KVM shows it. */
Test(clock, a_guest_that_sees_the_clock_of_its_host)
{
	const struct domain placed = domain(BOOT_A, "reference", 0, 0);
	const struct domain own = domain(BOOT_B, "reference", 0, 0);
	const struct anchor_row host = anchor(9000);
	struct anchor_row guest = anchor(4000);
	const struct clock_input input = {&own, 1, &guest};
	struct clock_fit fit;

	guest.ptp_real_ns = 777;
	guest.ptp_ns = 777 + 5000;
	guest.ptp_device = 1;
	cr_assert_eq(clock_place(&input, &placed, 1, &host, &fit), -5000);
	guest.ptp_device |= ANCHOR_PTP_KVM;
	cr_assert_eq(clock_place(&input, &placed, 1, &host, &fit), 0);
	check(&fit, "realtime", 0, UNBOUND);
}

Test(clock, domains_without_boot_id_share_nothing)
{
	const struct domain placed = domain("", "reference", 0, 0), own = placed;
	const struct anchor_row here = anchor(100), there = anchor(150);
	const struct clock_input input = {&own, 1, &there};
	struct clock_fit fit;

	cr_assert_eq(clock_place(&input, &placed, 1, &here, &fit), 50);
	check(&fit, "realtime", 50, UNBOUND);
}

/* What was placed by its wall clock stays there: a later recording of that machine joins it. */
Test(clock, a_recording_of_a_machine_that_was_placed_by_wall_clock)
{
	const struct domain placed[] = {domain(BOOT_A, "reference", 0, 0),
					domain(BOOT_B, "realtime", 300, UNBOUND)};
	const struct domain own = domain(BOOT_B, "reference", 0, 0);
	const struct anchor_row here = anchor(100), there = anchor(9999);
	const struct clock_input input = {&own, 1, &there};
	struct clock_fit fit;

	cr_assert_eq(clock_place(&input, placed, 2, &here, &fit), 300);
	check(&fit, "realtime", 300, UNBOUND);
}

/* B is the reference; of a merged file, A is known to B only by wall clocks. */
Test(clock, a_merged_input_that_is_placed_by_a_domain_of_no_exact_clock)
{
	const struct domain placed = domain(BOOT_B, "reference", 0, 0);
	const struct domain domains[] = {domain(BOOT_A, "reference", 0, 0),
					 domain(BOOT_B, "realtime", 300, UNBOUND),
					 domain(BOOT_C, "realtime", 50, UNBOUND)};
	const struct anchor_row anchors[3] = {anchor(1000), anchor(1300), anchor(1050)};
	const struct clock_input input = {domains, 3, anchors};
	struct clock_fit fits[3];

	cr_assert_eq(clock_place(&input, &placed, 1, &anchors[1], fits), -300);
	check(&fits[0], "realtime", -300, UNBOUND);
	check(&fits[1], "same", 0, 0);
	check(&fits[2], "realtime", -250, UNBOUND);
}

/* Both B and A are known: A is the exact one of the input, so that A decides. */
Test(clock, an_exact_domain_places_a_merged_input_before_others)
{
	const struct domain placed[] = {domain(BOOT_A, "reference", 0, 0),
					domain(BOOT_B, "realtime", 300, UNBOUND)};
	const struct domain domains[] = {domain(BOOT_C, "reference", 0, 0),
					 domain(BOOT_B, "realtime", 307, UNBOUND),
					 domain(BOOT_A, "same", 0, 0)};
	const struct anchor_row anchors[3] = {{0}};
	const struct clock_input input = {domains, 3, anchors};
	struct clock_fit fits[3];

	cr_assert_eq(clock_place(&input, placed, 2, &anchors[0], fits), 0);
	check(&fits[0], "same", 0, 0);
	check(&fits[1], "realtime", 307, UNBOUND);
	check(&fits[2], "same", 0, 0);
}

Test(clock, the_weaker_of_two_methods_is_said)
{
	const struct domain placed = domain(BOOT_C, "reference", 0, 0);
	const struct domain domains[] = {domain(BOOT_A, "reference", 0, 0),
					 domain(BOOT_B, "realtime", 300, UNBOUND),
					 domain("", "none", 0, UNBOUND)};
	const struct anchor_row none[3] = {{0}}, real[3] = {anchor(10), anchor(310), {0}},
				reference = anchor(4);
	const struct clock_input unread = {domains, 3, none}, read = {domains, 3, real};
	struct clock_fit fits[3];

	cr_assert_eq(clock_place(&unread, &placed, 1, &reference, fits), 0);
	check(&fits[0], "none", 0, UNBOUND);
	check(&fits[1], "none", 300, UNBOUND);
	check(&fits[2], "none", 0, UNBOUND);
	cr_assert_eq(clock_place(&read, &placed, 1, &reference, fits), 6);
	check(&fits[0], "realtime", 6, UNBOUND);
	check(&fits[1], "realtime", 306, UNBOUND);
	check(&fits[2], "none", 6, UNBOUND);
}

Test(clock, bounds_add_up)
{
	const struct domain placed[] = {domain(BOOT_A, "reference", 0, 0),
					domain(BOOT_B, "packets", 40, 7)};
	const struct domain domains[] = {domain(BOOT_B, "reference", 0, 0),
					 domain(BOOT_C, "packets", 5, 11),
					 domain("", "packets", 5, INT64_MAX)};
	const struct anchor_row anchors[3] = {{0}};
	const struct clock_input input = {domains, 3, anchors};
	struct clock_fit fits[3];

	cr_assert_eq(clock_place(&input, placed, 2, &anchors[0], fits), 40);
	check(&fits[0], "packets", 40, 7);
	check(&fits[1], "packets", 45, 18);
	check(&fits[2], "packets", 45, UNBOUND);
}

/* Files are hostile: no number in them overflows anything (UBSan looks on). */
Test(clock, extreme_numbers)
{
	static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_MIN + 1};
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);

	for (size_t i = 0; i < count * count * count * count; i++) {
		int64_t a = numbers[i % count], b = numbers[i / count % count],
			c = numbers[i / count / count % count],
			d = numbers[i / count / count / count];
		const struct domain placed[] = {domain(BOOT_A, "reference", 0, 0),
						domain(BOOT_B, "realtime", a, b < 0 ? UNBOUND : b)};
		const struct domain domains[] = {domain(d & 1 ? BOOT_B : BOOT_C, "reference", c, 0),
						 domain(BOOT_C, "realtime", d, a)};
		const struct anchor_row anchors[] = {{.mono_ns = a, .real_ns = b}, {.mono_ns = 1}};
		const struct anchor_row reference = {.mono_ns = c, .real_ns = d};
		const struct clock_input input = {domains, 2, anchors};
		struct clock_fit fits[2];

		clock_place(&input, placed, 2, &reference, fits);
		cr_assert(fits[0].bound_ns >= UNBOUND && fits[1].bound_ns >= UNBOUND);
	}
}

Test(clock, left_alone)
{
	const struct domain reference = domain(BOOT_A, "reference", 0, 0);
	const struct domain domains[] = {
		domain(BOOT_B, "reference", 0, 0), domain(BOOT_A, "realtime", 300, UNBOUND),
		domain(BOOT_A, "same", 0, 0), domain("", "reference", 0, 0)};
	const struct clock_input input = {domains, 4, NULL};
	struct clock_fit fits[4];

	clock_leave(&input, &reference, fits);
	check(&fits[0], "none", 0, UNBOUND);
	check(&fits[1], "none", 300, UNBOUND); /* a merge shifted it: no longer that clock */
	check(&fits[2], "none", 0, 0);
	check(&fits[3], "none", 0, UNBOUND);
}

/* Offsets of a hostile file: as far apart as numbers can be, and the shift has no negative. */
Test(clock, offsets_at_the_ends_of_the_range)
{
	const struct domain placed = {
		.boot_id = "a",
		.clock = {.method = "reference", .offset_ns = INT64_MIN},
	};
	const struct domain domain = {.boot_id = "a", .clock = {.method = "same"}};
	const struct anchor_row anchor = {.domain = 0};
	const struct clock_input input = {&domain, 1, &anchor};
	struct clock_fit fit;

	cr_assert_eq(clock_place(&input, &placed, 1, &anchor, &fit), INT64_MIN);
	cr_assert_eq(fit.offset_ns, INT64_MIN);
	cr_assert_eq(fit.bound_ns, 0);
}
