/* SPDX-License-Identifier: GPL-2.0-only */
/* files.h - inputs and outputs of commands: "-" is standard input or output; errors are said here. */
#ifndef VNT_FILES_H
#define VNT_FILES_H

#include "options.h"
#include "lib/merge.h"

/* A descriptor to write a trace to (mode 0600, truncated), or -1. A terminal is refused. */
int files_create(const char *path);

/* Closes what files_create() opened; 0, or -errno after saying it. A file that is still empty is
 * removed: not even its header was written, so it is of no use to anybody. */
int files_close(int fd, const char *path);

/* The traces of all names as one, or NULL. With -v it says the domains, and what is known of their
 * clocks. */
struct merge *files_open_traces(const struct string_list *names, enum merge_clock clock);

/* "cannot write 'x'" or "cannot write to standard output", with the reason. */
void files_write_error(const char *path, int err);

#endif
