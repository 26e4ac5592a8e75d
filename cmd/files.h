/* SPDX-License-Identifier: GPL-2.0-only */
/* files.h - inputs and outputs of commands: "-" is standard input or output; errors are said here. */
#ifndef VNT_FILES_H
#define VNT_FILES_H

#include "options.h"
#include "lib/reader.h"

/* A descriptor to write a trace to (mode 0600, truncated), or -1. A terminal is refused. */
int files_create(const char *path);

/* Closes what files_create() opened; 0, or -errno after saying it. A file that is still empty is
 * removed: not even its header was written, so it is of no use to anybody. */
int files_close(int fd, const char *path);

/* Readers of all names; 0, or -1 with none open. *readers is the caller's to free. */
int files_open_traces(const struct string_list *names, struct reader ***readers);

/* With -v: the domains and what is known of their clocks. */
void files_describe(const struct trace_info *info);

/* "cannot write 'x'" or "cannot write to standard output", with the reason. */
void files_write_error(const char *path, int err);

#endif
