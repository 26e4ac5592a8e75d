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

/* argp(3) can be told to leave errors to us, but then it prints no help either: both are done here. */
#define ARGP_FLAGS (ARGP_NO_ERRS | ARGP_NO_HELP)
#define KEY_USAGE  0x1000

static const struct argp_option common_rows[] = {
	{"help", '?', NULL, 0, "Give this help list", -1},
	{"usage", KEY_USAGE, NULL, 0, "Give a short usage message", -1},
	{"version", 'V', NULL, 0, "Print program version", -1},
	{},
};

struct parse {
	const struct command *command;
	const struct argp *argp;
	char *name; /* "vnettrace COMMAND" */
	char *config;
	int next; /* argument after those that were parsed before an error */
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
	*(uint64_t *)field = ceil(seconds * 1e9);
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

static bool set_rate(void *field, const char *text)
{
	uint64_t *value = field;
	char *end;

	return strncmp(text, "1/", 2) == 0 && parse_number(text + 2, value, &end) && !*end &&
	       *value && *value <= 1ull << 32;
}

static bool set_percent(void *field, const char *text)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%") != 0) || !(percent > 0) || percent > 100)
		return false;
	*(double *)field = percent;
	return true;
}

static bool add_port(void *field, const char *text)
{
	struct port_list *list = field;
	uint64_t port;
	char *end;

	if (!parse_number(text, &port, &end) || *end || !port || port > UINT16_MAX ||
	    list->count == PORT_LIST_MAX)
		return false;
	list->ports[list->count++] = port;
	return true;
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
	[OPTION_RATE] = {set_rate, "not a rate like 1/100:"},
	[OPTION_PORTS] = {add_port, "not a port, or one more than 8:"},
	[OPTION_PERCENT] = {set_percent, "not a percentage greater than 0:"},
};

static _Noreturn void print_help(const struct parse *parse, unsigned int flags)
{
	argp_help(parse->argp, stdout, flags, parse->name);
	exit(message_close_stdout(EXIT_DONE));
}

static _Noreturn void print_version(void)
{
	puts(argp_program_version);
	exit(message_close_stdout(EXIT_DONE));
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
	struct parse *parse = state->input;

	switch (key) {
	case ARGP_KEY_ERROR:
		parse->next = state->next;
		return 0;
	case ARGP_KEY_ARG:
		add_string(parse->config + parse->command->operands, argument);
		return 0;
	case '?':
		print_help(parse, ARGP_HELP_STD_HELP & ~(ARGP_HELP_EXIT_OK | ARGP_HELP_EXIT_ERR));
	case KEY_USAGE:
		print_help(parse, ARGP_HELP_USAGE);
	case 'V':
		print_version();
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

static const struct option_row *find_row(const struct parse *parse, const char *text)
{
	for (const struct option_row *row = parse->command->rows; row->name; row++) {
		if (strncmp(text, "--", 2) == 0 ? strcmp(text + 2, row->name) == 0
						: text[strlen(text) - 1] == row->key)
			return row;
	}
	return NULL;
}

/* Which argument argp stumbled over, and why: the last one that getopt took, or, while it is still in
 * a cluster of letters, the next. */
static _Noreturn void explain(const struct parse *parse, char **argv)
{
	const char *text = argv[parse->next - 1];
	const struct option_row *row = *text ? find_row(parse, text) : NULL;

	if (row && row->argument)
		usage_error(parse, "missing argument of option", text);
	if ((row || text[0] != '-') && argv[parse->next])
		text = argv[parse->next];
	usage_error(parse, "unknown option", text);
}

/* The command's rows and the common ones, as argp wants them. */
static struct argp_option *make_options(const struct command *command)
{
	const size_t common = sizeof(common_rows) / sizeof(common_rows[0]);
	struct argp_option *options;
	size_t count = 0;

	while (command->rows[count].name)
		count++;
	options = allocate(NULL, (count + common) * sizeof(*options));
	memset(options, 0, count * sizeof(*options));
	for (size_t i = 0; i < count; i++) {
		options[i].name = command->rows[i].name;
		options[i].key = command->rows[i].key;
		options[i].arg = command->rows[i].argument;
		options[i].doc = command->rows[i].help;
	}
	memcpy(options + count, common_rows, sizeof(common_rows));
	return options;
}

void options_parse(const struct command *command, int argc, char **argv, void *config)
{
	char name[64];
	struct argp_option *options = make_options(command);
	const struct argp argp = {
		.options = options,
		.parser = parse_one,
		.args_doc = command->arguments,
		.doc = command->summary,
	};
	struct parse parse = {.command = command, .argp = &argp, .name = name, .config = config};
	int err;

	snprintf(name, sizeof(name), "vnettrace %s", command->name);
	err = argp_parse(&argp, argc, argv, ARGP_FLAGS, NULL, &parse);
	free(options);
	if (err)
		explain(&parse, argv);
}
