/* SPDX-License-Identifier: GPL-2.0-only */
/* grid.h - a table of text whose columns line up, however long a cell is. */
#ifndef VNT_GRID_H
#define VNT_GRID_H

#include <stddef.h>
#include <stdio.h>

struct grid {
	const char *align; /* one letter to each column: 'l' or 'r' */
	char **cells;      /* row by row */
	size_t count;
	size_t room;
	int err; /* of the first cell that could not be kept */
};

void grid_begin(struct grid *grid, const char *align);

/* Appends one cell, made clean for a terminal. Errors are told by grid_print(). */
void grid_cell(struct grid *grid, const char *text);
void grid_format(struct grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
void grid_cells(struct grid *grid, const char *const *texts); /* ends with NULL */

/* Writes all rows, each indented by two columns, and releases the grid. 0 or -errno. */
int grid_print(struct grid *grid, FILE *out);

/* The same with all cells on one line, `between` them; nothing if there are none. */
int grid_join(struct grid *grid, const char *between, FILE *out);

#endif
