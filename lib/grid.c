// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>

#include "array.h"
#include "grid.h"
#include "utf8.h"

#define INDENT 2
#define GAP    2

void grid_begin(struct grid *grid, const char *align)
{
	*grid = (struct grid){.align = align};
}

/* Takes ownership of `text`. */
static void grid_take(struct grid *grid, char *text)
{
	if (!text)
		grid->err = -ENOMEM;
	if (!grid->err)
		grid->err = array_reserve(&grid->cells, &grid->room, grid->count + 1,
					  sizeof(*grid->cells));
	if (grid->err) {
		free(text);
		return;
	}
	utf8_clean(text);
	grid->cells[grid->count++] = text;
}

void grid_cell(struct grid *grid, const char *text)
{
	grid_take(grid, strdup(text));
}

void grid_format(struct grid *grid, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	grid_take(grid, text);
}

void grid_cells(struct grid *grid, const char *const *texts)
{
	for (; *texts; texts++)
		grid_cell(grid, *texts);
}

/* Spaces before a cell, if it is aligned right, are held back until something follows them. */
static void grid_print_row(char *const *row, const char *align, const size_t *widths, FILE *out)
{
	size_t spaces = INDENT;

	for (size_t i = 0; align[i]; i++) {
		size_t fill = widths[i] - utf8_columns(row[i]);

		if (align[i] == 'r')
			spaces += fill;
		if (*row[i]) {
			fprintf(out, "%*s%s", (int)spaces, "", row[i]);
			spaces = 0;
		}
		spaces += GAP + (align[i] == 'l' ? fill : 0);
	}
	putc('\n', out);
}

static void grid_release(struct grid *grid)
{
	for (size_t i = 0; i < grid->count; i++)
		free(grid->cells[i]);
	free(grid->cells);
	*grid = (struct grid){0};
}

int grid_print(struct grid *grid, FILE *out)
{
	size_t columns = strlen(grid->align);
	size_t *widths = calloc(columns, sizeof(*widths));
	int err = grid->err;

	if (!widths)
		err = -ENOMEM;
	for (size_t i = 0; i < grid->count && !err; i++) {
		size_t width = utf8_columns(grid->cells[i]);

		if (width > widths[i % columns])
			widths[i % columns] = width;
	}
	for (size_t i = 0; i + columns <= grid->count && !err; i += columns)
		grid_print_row(grid->cells + i, grid->align, widths, out);
	free(widths);
	grid_release(grid);
	return err;
}

int grid_join(struct grid *grid, const char *between, FILE *out)
{
	int err = grid->err;

	for (size_t i = 0; i < grid->count && !err; i++) {
		if (i)
			fputs(between, out);
		fputs(grid->cells[i], out);
	}
	if (grid->count)
		putc('\n', out);
	grid_release(grid);
	return err;
}
