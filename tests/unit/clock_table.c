// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock_table.h"

static int read_text(struct clock_table *table, const char *text, char *reason)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");
	int err = clock_table_read(table, file, reason);

	fclose(file);
	return err;
}

Test(clock_table, rows)
{
	char reason[CLOCK_TABLE_REASON_MAX];
	struct clock_table table = {0};
	const struct clock_row *row;

	cr_assert_eq(read_text(&table,
			       "# from yesterday\n\n-5 1.5 300 1000 h2\n"
			       "7\t-2e-3  unbounded 0 web 1",
			       reason),
		     0);
	cr_assert_eq(table.count, 2);
	row = clock_table_find(&table, "h2");
	cr_assert_not_null(row);
	cr_assert_str_eq(row->fit.method, "file");
	cr_assert_eq(row->fit.offset_ns, -5);
	cr_assert_eq(row->fit.drift_ppm, 1.5);
	cr_assert_eq(row->fit.bound_ns, 300);
	cr_assert_eq(row->at_ns, 1000);
	row = clock_table_find(&table, "web 1");
	cr_assert_not_null(row);
	cr_assert_eq(row->fit.bound_ns, CLOCK_UNBOUNDED);
	cr_assert_eq(row->fit.drift_ppm, -2e-3);
	cr_assert_null(clock_table_find(&table, "h3"));
	clock_table_release(&table);
}

Test(clock_table, refused)
{
	static const char *const texts[] = {
		"x",
		"1 2 3 4",
		"1 2 3 4 ",
		"1 2 -3 4 h",
		"1 2 3 -4 h",
		"99999999999999999999 1 1 1 h",
		"1.5 2 3 4 h",
		"1 2 unbound 4 h",
		"1 2 3x 4 h",
		"1 2 3 4 h\n1 2 3 4 h",
		" # no comment\n",
		"1 2 unbounded4 h",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char reason[CLOCK_TABLE_REASON_MAX] = "";
		struct clock_table table = {0};

		cr_assert_eq(read_text(&table, texts[i], reason), -EINVAL, "'%s'", texts[i]);
		cr_assert(strstr(reason, "line "), "'%s'", reason);
		clock_table_release(&table);
	}
}

/* Time would stand still, or go back. */
Test(clock_table, drifts_of_no_clock)
{
	static const char *const drifts[] = {"-1000000", "-1000001", "-2e6", "-100001", "100001",
					     "1e300",    "inf",      "-inf", "nan"};
	char text[64], reason[CLOCK_TABLE_REASON_MAX];
	struct clock_table table = {0};

	for (size_t i = 0; i < sizeof(drifts) / sizeof(drifts[0]); i++) {
		snprintf(text, sizeof(text), "1 %s 3 4 h", drifts[i]);
		cr_assert_eq(read_text(&table, text, reason), -EINVAL, "'%s'", text);
		cr_assert(strstr(reason, "line 1: no clock drifts by "), "'%s'", reason);
	}
	cr_assert_eq(read_text(&table, "1 -1e5 3 4 a\n1 1e5 3 4 b", reason), 0);
	cr_assert_eq(table.count, 2);
	clock_table_release(&table);
}
