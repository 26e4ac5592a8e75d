// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "array.h"
#include "clock_table.h"

#define DRIFT_MAX_PPM 100000

/* The number at *at, which then moves behind it and the blanks that follow. False if there is none. */
static bool take_number(const char **at, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(*at, &end, 10);
	if (end == *at || errno || !strchr(" \t", *end))
		return false;
	*at = end + strspn(end, " \t");
	return true;
}

static bool take_drift(const char **at, double *drift)
{
	char *end;

	*drift = strtod(*at, &end);
	if (end == *at || !strchr(" \t", *end))
		return false;
	*at = end + strspn(end, " \t");
	return true;
}

static bool take_bound(const char **at, int64_t *bound)
{
	static const char word[] = "unbounded";
	size_t length = strlen(word);

	if (strncmp(*at, word, length) || !strchr(" \t", (*at)[length]))
		return take_number(at, bound) && *bound >= 0;
	*bound = CLOCK_UNBOUNDED;
	*at += length + strspn(*at + length, " \t");
	return true;
}

static bool parse_row(struct clock_row *row, const char *line)
{
	int64_t at_ns;

	*row = (struct clock_row){.fit = {.method = "file"}};
	if (!take_number(&line, &row->fit.offset_ns) || !take_drift(&line, &row->fit.drift_ppm) ||
	    !take_bound(&line, &row->fit.bound_ns) || !take_number(&line, &at_ns) || at_ns < 0)
		return false;
	row->at_ns = at_ns;
	return (size_t)snprintf(row->name, sizeof(row->name), "%s", line) < sizeof(row->name) &&
	       *row->name;
}

static int add_line(struct clock_table *table, const char *line, size_t number, char *reason)
{
	struct clock_row row;

	if (!*line || *line == '#')
		return 0;
	if (!parse_row(&row, line)) {
		snprintf(reason, CLOCK_TABLE_REASON_MAX,
			 "line %zu is not OFFSET_NS DRIFT_PPM BOUND_NS AT_NS NAME", number);
		return -EINVAL;
	}
	if (!(fabs(row.fit.drift_ppm) <= DRIFT_MAX_PPM)) {
		snprintf(reason, CLOCK_TABLE_REASON_MAX,
			 "line %zu: no clock drifts by %g ppm; %d either way are the most", number,
			 row.fit.drift_ppm, DRIFT_MAX_PPM);
		return -EINVAL;
	}
	if (clock_table_find(table, row.name)) {
		snprintf(reason, CLOCK_TABLE_REASON_MAX, "line %zu: '%s' for the second time",
			 number, row.name);
		return -EINVAL;
	}
	if (array_reserve(&table->rows, &table->room, table->count + 1, sizeof(*table->rows)))
		return -ENOMEM;
	table->rows[table->count++] = row;
	return 0;
}

int clock_table_read(struct clock_table *table, FILE *file, char *reason)
{
	size_t size = 0, number = 0;
	char *line = NULL;
	int err = 0;

	while (!err) {
		errno = 0;
		if (getline(&line, &size, file) < 0) {
			err = -errno;
			break;
		}
		line[strcspn(line, "\n")] = '\0';
		err = add_line(table, line, ++number, reason);
	}
	free(line);
	return err;
}

const struct clock_row *clock_table_find(const struct clock_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}

void clock_table_release(struct clock_table *table)
{
	free(table->rows);
	*table = (struct clock_table){0};
}
