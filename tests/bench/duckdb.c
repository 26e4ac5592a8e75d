// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs statements with a DuckDB that is there as a shared library only, and prints the rows of each:
 *
 *   bench-duckdb LIBRARY DATABASE STATEMENT...
 */
#include <dlfcn.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>

/* The part of duckdb.h that is needed: its C interface is stable since 1.0. */
struct duckdb_result {
	uint64_t deprecated[3];
	void *deprecated_columns;
	char *deprecated_error_message;
	void *internal_data;
};

static struct {
	int (*open)(const char *path, void **database);
	int (*connect)(void *database, void **connection);
	int (*query)(void *connection, const char *statement, struct duckdb_result *result);
	const char *(*result_error)(struct duckdb_result *result);
	uint64_t (*column_count)(struct duckdb_result *result);
	uint64_t (*row_count)(struct duckdb_result *result);
	char *(*value_varchar)(struct duckdb_result *result, uint64_t column, uint64_t row);
	void (*free)(void *value);
	void (*destroy_result)(struct duckdb_result *result);
	void (*disconnect)(void **connection);
	void (*close)(void **database);
} duckdb;

static const struct {
	const char *name;
	void *function;
} functions[] = {
	{"duckdb_open", &duckdb.open},
	{"duckdb_connect", &duckdb.connect},
	{"duckdb_query", &duckdb.query},
	{"duckdb_result_error", &duckdb.result_error},
	{"duckdb_column_count", &duckdb.column_count},
	{"duckdb_row_count", &duckdb.row_count},
	{"duckdb_value_varchar", &duckdb.value_varchar},
	{"duckdb_free", &duckdb.free},
	{"duckdb_destroy_result", &duckdb.destroy_result},
	{"duckdb_disconnect", &duckdb.disconnect},
	{"duckdb_close", &duckdb.close},
};

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);

	if (!library)
		errx(1, "%s", dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *symbol = dlsym(library, functions[i].name);

		if (!symbol)
			errx(1, "%s", dlerror());
		*(void **)functions[i].function = symbol;
	}
}

static void run(void *connection, const char *statement)
{
	struct duckdb_result result;

	if (duckdb.query(connection, statement, &result))
		errx(1, "%s", duckdb.result_error(&result));
	for (uint64_t row = 0; row < duckdb.row_count(&result); row++) {
		for (uint64_t column = 0; column < duckdb.column_count(&result); column++) {
			char *value = duckdb.value_varchar(&result, column, row);

			printf("%s%s", column ? "\t" : "", value ? value : "NULL");
			duckdb.free(value);
		}
		putchar('\n');
	}
	duckdb.destroy_result(&result);
}

int main(int argc, char **argv)
{
	void *database, *connection;

	if (argc < 4)
		errx(2, "usage: bench-duckdb LIBRARY DATABASE STATEMENT...");
	load(argv[1]);
	if (duckdb.open(argv[2], &database) || duckdb.connect(database, &connection))
		errx(1, "cannot open '%s'", argv[2]);
	for (int i = 3; i < argc; i++)
		run(connection, argv[i]);
	duckdb.disconnect(&connection);
	duckdb.close(&database);
	return 0;
}
