// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "lib/utf8.h"

static struct {
	const char *command;
	bool quiet;
	bool verbose;
	bool progress; /* is on the screen */
} setup;

/* Warnings from lib/ may come from another thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void message_setup(const char *command, bool quiet, bool verbose)
{
	setup.command = command;
	setup.quiet = quiet;
	setup.verbose = verbose;
}

/* In one write, so that lines of several processes on one terminal do not mix. Names in it come from
 * files: a terminal must not obey them. */
static void say(const char *format, va_list arguments)
{
	char line[1024];
	int used;

	used = setup.command ? snprintf(line, sizeof(line), "vnettrace: %s: ", setup.command)
			     : snprintf(line, sizeof(line), "vnettrace: ");
	vsnprintf(line + used, sizeof(line) - used, format, arguments);
	utf8_clean(line);
	pthread_mutex_lock(&lock);
	fprintf(stderr, "%s%s\n", setup.progress ? "\r\033[K" : "", line);
	setup.progress = false;
	pthread_mutex_unlock(&lock);
}

#define SAY(format)                          \
	do {                                 \
		va_list arguments;           \
		va_start(arguments, format); \
		say(format, arguments);      \
		va_end(arguments);           \
	} while (0)

void message_error(const char *format, ...)
{
	SAY(format);
}

void message_note(const char *format, ...)
{
	if (!setup.quiet)
		SAY(format);
}

bool message_has_progress(void)
{
	return !setup.quiet && isatty(STDERR_FILENO);
}

void message_progress(const char *text)
{
	pthread_mutex_lock(&lock);
	if (*text || setup.progress)
		fprintf(stderr, "\r\033[K%s", text);
	setup.progress = *text;
	pthread_mutex_unlock(&lock);
}

void message_detail(const char *format, ...)
{
	if (setup.verbose)
		SAY(format);
}

const char *message_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

void message_log(void *context, const char *line)
{
	(void)context;
	message_error("%s", line);
}

void message_log_detail(void *context, const char *line)
{
	(void)context;
	message_detail("%s", line);
}

int message_close_stdout(int code)
{
	if (!ferror(stdout) && !fflush(stdout))
		return code;
	message_error("cannot write to standard output: %s", strerror(errno));
	return EXIT_FAILED;
}
