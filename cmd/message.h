/* SPDX-License-Identifier: GPL-2.0-only */
/* message.h - what the program says on standard error: "vnettrace: COMMAND: text". */
#ifndef VNT_MESSAGE_H
#define VNT_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INCOMPLETE = 3, /* done, but something was not traced, lost or left out */
};

/* One command runs per process: its name and verbosity are set once, before anything is said. */
void message_setup(const char *command, bool quiet, bool verbose);

#define MESSAGE_FORMAT __attribute__((format(printf, 1, 2)))
MESSAGE_FORMAT void message_error(const char *format, ...);  /* always */
MESSAGE_FORMAT void message_note(const char *format, ...);   /* unless -q */
MESSAGE_FORMAT void message_detail(const char *format, ...); /* with -v */

/* Only where there is a terminal to see it, and not with -q: the last line of the screen, until the
 * next message or the next progress. "" takes it away. */
bool message_has_progress(void);
void message_progress(const char *text);

/* "s" unless the count is 1. */
const char *message_plural(uint64_t count);

/* log_fn: a warning from lib/ or bpf/; context is ignored. */
void message_log(void *context, const char *line);
void message_log_detail(void *context, const char *line);

/* Flushes stdout and says what went wrong with it: EXIT_FAILED, or `code`. */
int message_close_stdout(int code);

#endif
