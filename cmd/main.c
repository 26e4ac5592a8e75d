// SPDX-License-Identifier: GPL-2.0-only
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "message.h"

const char *argp_program_version = "vnettrace " VNETTRACE_VERSION;

static const struct command *const commands[] = {&command_record, &command_merge, &command_report};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char usage[] = "Usage: vnettrace [--help] [--usage] [--version] COMMAND [OPTION...]\n";

static int help(void)
{
	fputs(usage, stdout);
	puts("Trace packets through virtualized networks, hop by hop.\n\nCommands:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	puts("\n      --help     Give this help list\n"
	     "      --usage    Give a short usage message\n"
	     "      --version  Print program version\n\n"
	     "See 'vnettrace COMMAND --help' and vnettrace(1).");
	return message_close_stdout(EXIT_DONE);
}

static int short_usage(void)
{
	fputs(usage, stdout);
	return message_close_stdout(EXIT_DONE);
}

static int version(void)
{
	puts(argp_program_version);
	return message_close_stdout(EXIT_DONE);
}

static const struct {
	const char *name;
	int (*run)(void);
} options[] = {
	{"--help", help},       {"-?", help},    {"--usage", short_usage},
	{"--version", version}, {"-V", version},
};

/*
 * A file that is opened later must not take the place of a standard stream that was closed. What is
 * put there instead is open the wrong way round: using it fails as before.
 */
static int fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	int err = fill_standard_streams();

	if (err) {
		message_error("cannot open '/dev/null': %s", strerror(-err));
		return EXIT_FAILED;
	}
	signal(SIGXFSZ, SIG_IGN); /* write(2) says it */
	if (argc < 2) {
		message_error("no command given; see 'vnettrace --help'");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i]->name) == 0) {
			message_setup(commands[i]->name, false, false);
			return commands[i]->run(argc - 1, argv + 1);
		}
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(argv[1], options[i].name) == 0)
			return options[i].run();
	message_error("unknown %s '%s'; see 'vnettrace --help'",
		      argv[1][0] == '-' ? "option" : "command", argv[1]);
	return EXIT_USAGE;
}
