// SPDX-License-Identifier: GPL-2.0-only
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "options.h"

struct parse {
	const struct command *command;
	char *config;
};

static _Noreturn void usage_error(const struct parse *parse, const char *what, const char *subject)
{
	message_error("%s '%s'; see 'vnettrace %s --help'", what, subject, parse->command->name);
	exit(EXIT_USAGE);
}

static void *allocate(void *old, size_t size)
{
	void *new = realloc(old, size);

	if (!new) {
		message_error("%s", strerror(ENOMEM));
		exit(EXIT_FAILED);
	}
	return new;
}

static bool add_string(void *field, const char *text)
{
	struct string_list *list = field;

	list->items = allocate(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = (char *)text;
	return true;
}

static bool set_flag(void *field, const char *text)
{
	(void)text;
	*(bool *)field = true;
	return true;
}

static bool set_string(void *field, const char *text)
{
	*(const char **)field = text;
	return true;
}

static bool parse_number(const char *text, uint64_t *value, char **end)
{
	errno = 0;
	*value = strtoull(text, end, 10);
	return *end != text && !errno && !strchr(text, '-');
}

static bool set_count(void *field, const char *text)
{
	char *end;

	return parse_number(text, field, &end) && !*end && *(uint64_t *)field;
}

static bool set_seconds(void *field, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds > 0) || seconds > 1e9)
		return false;
	*(uint64_t *)field = llround(seconds * 1e9);
	return true;
}

static bool set_size(void *field, const char *text)
{
	static const char suffixes[] = "KMG";
	uint64_t value, unit = 1;
	const char *suffix;
	char *end;

	if (!parse_number(text, &value, &end) || !value)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end);
		if (!suffix || end[1])
			return false;
		unit = 1024ull << 10 * (suffix - suffixes);
	}
	return !__builtin_mul_overflow(value, unit, (uint64_t *)field);
}

static const struct {
	bool (*set)(void *field, const char *text);
	const char *wanted;
} types[] = {
	[OPTION_FLAG] = {set_flag, ""},
	[OPTION_STRING] = {set_string, ""},
	[OPTION_LIST] = {add_string, ""},
	[OPTION_COUNT] = {set_count, "not a count of 1 or more:"},
	[OPTION_SECONDS] = {set_seconds, "not a number of seconds greater than 0:"},
	[OPTION_SIZE] = {set_size, "not a size (a number, with K, M or G):"},
};

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
	struct parse *parse = state->input;

	if (key == ARGP_KEY_ARG) {
		add_string(parse->config + parse->command->operands, argument);
		return 0;
	}
	for (const struct option_row *row = parse->command->rows; row->name; row++) {
		if (row->key != key)
			continue;
		if (!types[row->type].set(parse->config + row->offset, argument))
			usage_error(parse, types[row->type].wanted, argument);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* argp itself would say it in two lines, without the command's name. */
static _Noreturn void explain(const struct parse *parse, char **argv, int index)
{
	const char *text = argv[index - 1];

	if (index > 1 && text[0] == '-') {
		for (const struct option_row *row = parse->command->rows; row->name; row++) {
			bool is_long = strncmp(text, "--", 2) == 0 &&
				       strcmp(text + 2, row->name) == 0;
			bool is_short = row->key < 256 && text[1] != '-' &&
					text[strlen(text) - 1] == row->key;

			if (row->argument && (is_long || is_short))
				usage_error(parse, "missing argument of option", text);
		}
	} else if (argv[index]) {
		text = argv[index];
	}
	usage_error(parse, "unknown option", text);
}

void options_parse(const struct command *command, int argc, char **argv, void *config)
{
	struct parse parse = {.command = command, .config = config};
	char name[64], *before = argv[0];
	struct argp_option *rows;
	size_t count = 0;
	struct argp argp = {
		.parser = parse_one, .args_doc = command->arguments, .doc = command->summary};
	int index = 1, err;

	while (command->rows[count].name)
		count++;
	rows = allocate(NULL, (count + 1) * sizeof(*rows));
	memset(rows, 0, (count + 1) * sizeof(*rows));
	for (size_t i = 0; i < count; i++) {
		rows[i].name = command->rows[i].name;
		rows[i].key = command->rows[i].key;
		rows[i].arg = command->rows[i].argument;
		rows[i].doc = command->rows[i].help;
	}
	argp.options = rows;
	snprintf(name, sizeof(name), "vnettrace %s", command->name);
	argv[0] = name;
	err = argp_parse(&argp, argc, argv, ARGP_NO_ERRS, &index, &parse);
	argv[0] = before;
	free(rows);
	if (err)
		explain(&parse, argv, index);
}
