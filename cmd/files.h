/* SPDX-License-Identifier: GPL-2.0-only */
/* files.h - inputs and outputs of commands: "-" is standard input or output; errors are said here. */
#ifndef VNT_FILES_H
#define VNT_FILES_H

#include "options.h"
#include "lib/merge.h"

/* Where a trace is written to. */
struct output {
	const char *path; /* as given; outlives this */
	int fd;
	bool created; /* the file was not there before */
};

/* Is the output a regular file that is read, too? If so, says it. */
bool files_overlap(const char *output, const struct string_list *inputs);

/* 0, or -errno after saying it; a terminal is refused. A new file has mode 0600; one that exists keeps
 * what it holds until writer_open(). */
int files_open_output(struct output *output, const char *path);

/* Closes what files_open_output() opened; 0, or -errno after saying it. A file that is new and of no
 * use is removed: not to be kept, or empty, so that not even its header was written. */
int files_close_output(struct output *output, bool keep);

/* The traces of all names as one, or NULL. `clock` is "auto", "none", or the name of a file of clocks
 * (lib/clock_table.h). With -v it says the domains, and what is known of their clocks. */
struct merge *files_open_traces(const struct string_list *names, const char *clock);

/* Bytes of memory that the process takes now; 0 if that is not known. */
uint64_t files_resident(void);

/* Is there memory for the merge as it is now, and for so many bytes more? If not, says it. *left is what
 * is left of it. */
bool files_check_memory(const struct merge *merge, uint64_t memory, uint64_t more, uint64_t *left);

/* Says why merge_next() failed. */
void files_read_error(const struct merge *merge, int err);

#define DEFAULT_MEMORY (1ull << 30)

/* "cannot write 'x'" or "cannot write to standard output", with the reason. */
void files_write_error(const char *path, int err);

#endif
