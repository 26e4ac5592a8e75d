// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>

#include "lib/latency.h"

/* Each probe is in the domain of its number. */
Test(latency, bound_between_two_domains)
{
	struct domain domains[] = {
		{.boot_id = "a", .clock = {.bound_ns = 0}},
		{.boot_id = "a", .clock = {.bound_ns = 0}},
		{.boot_id = "b", .clock = {.bound_ns = 30}},
		{.boot_id = "c", .clock = {.bound_ns = 12}},
		{.boot_id = "d", .clock = {.bound_ns = CLOCK_UNBOUNDED}},
		{.boot_id = "d", .clock = {.bound_ns = CLOCK_UNBOUNDED}},
		{.boot_id = "", .clock = {.bound_ns = CLOCK_UNBOUNDED}},
		{.boot_id = "", .clock = {.bound_ns = CLOCK_UNBOUNDED}},
		{.boot_id = "e", .clock = {.bound_ns = INT64_MAX}},
	};
	struct probe probes[] = {{.domain = 0}, {.domain = 1}, {.domain = 2},
				 {.domain = 3}, {.domain = 4}, {.domain = 5},
				 {.domain = 6}, {.domain = 7}, {.domain = 8}};
	const struct trace_info info = {domains, 9, probes, 9};
	static const struct {
		uint16_t from;
		uint16_t to;
		int64_t bound_ns;
	} rows[] = {
		{0, 1, 0},
		{0, 2, 30},
		{2, 3, 42},
		{3, 4, CLOCK_UNBOUNDED},
		{4, 4, 0},
		{4, 5, 0}, /* booted together */
		{6, 7, CLOCK_UNBOUNDED},
		{2, 8, CLOCK_UNBOUNDED}, /* more than a number holds */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(latency_bound(&info, rows[i].from, rows[i].to), rows[i].bound_ns,
			     "row %zu", i);
		cr_assert_eq(latency_bound(&info, rows[i].to, rows[i].from), rows[i].bound_ns,
			     "row %zu", i);
	}
}
