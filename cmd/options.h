/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * options.h - a command's options as one table.
 *
 * A row ties an option to a field of the command's configuration; options_parse() turns the rows
 * into argp(3) options, so that parsing and --help come from the same table.
 */
#ifndef VNT_OPTIONS_H
#define VNT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct string_list {
	char **items; /* point into argv */
	size_t count;
};

#define PORT_LIST_MAX 8

struct port_list {
	uint16_t ports[PORT_LIST_MAX];
	size_t count;
};

enum option_type {
	OPTION_FLAG,    /* bool */
	OPTION_STRING,  /* const char * */
	OPTION_LIST,    /* struct string_list: may be given several times */
	OPTION_COUNT,   /* uint64_t, at least 1 */
	OPTION_SECONDS, /* uint64_t nanoseconds, from decimal seconds greater than 0 */
	OPTION_SIZE,    /* uint64_t bytes, from a number with suffix K, M, G */
	OPTION_RATE,    /* uint64_t N, from 1/N; 1 to 2^32 */
	OPTION_PERCENT, /* double, from a number greater than 0, at most 100 */
	OPTION_PORTS,   /* struct port_list: may be given PORT_LIST_MAX times */
};

struct option_row {
	const char *name;
	int key; /* the letter, or a number above 255 for long options only */
	const char *argument;
	enum option_type type;
	size_t offset; /* of the field in the configuration */
	const char *help;
};

struct command {
	const char *name;
	const char *arguments;         /* for the usage line */
	const char *summary;           /* one line */
	const struct option_row *rows; /* ends with a NULL name */
	size_t operands;               /* offset of the struct string_list of operands */
	int (*run)(int argc, char **argv);
};

/* Fills *config; `argv` is used up. On a usage error prints one line and ends with EXIT_USAGE;
 * --help and --usage end with EXIT_DONE. */
void options_parse(const struct command *command, int argc, char **argv, void *config);

#endif
