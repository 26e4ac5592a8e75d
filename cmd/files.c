// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "message.h"

int files_create(const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0) {
		if (!isatty(STDOUT_FILENO))
			return STDOUT_FILENO;
		message_error(
			"a trace is not for a terminal: redirect standard output, or use -o FILE");
		return -1;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		message_error("cannot open '%s': %s", path, strerror(errno));
	return fd;
}

int files_close(int fd, const char *path)
{
	struct stat stat;
	int err;

	if (fd == STDOUT_FILENO)
		return 0;
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode) && !stat.st_size)
		unlink(path);
	err = close(fd) ? -errno : 0;
	if (err)
		files_write_error(path, err);
	return err;
}

void files_write_error(const char *path, int err)
{
	if (strcmp(path, "-") == 0)
		message_error("cannot write to standard output: %s", strerror(-err));
	else
		message_error("cannot write '%s': %s", path, strerror(-err));
}

static void explain_open(const char *name, int err)
{
	static const struct {
		int err;
		const char *reason;
	} reasons[] = {
		{-ENODATA, "is empty"},
		{-EINVAL, "is not a trace file"},
		{-EBADMSG, "is damaged: no copy of its header is intact"},
		{-EPROTONOSUPPORT, "was written by a newer version of vnettrace"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].err == err) {
			message_error("'%s' %s", name, reasons[i].reason);
			return;
		}
	}
	message_error("cannot read '%s': %s", name, strerror(-err));
}

static struct reader *open_trace(const char *name)
{
	struct reader *reader = NULL;
	int fd = STDIN_FILENO, err;

	if (strcmp(name, "-") == 0) {
		name = "standard input";
	} else {
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			message_error("cannot open '%s': %s", name, strerror(errno));
			return NULL;
		}
	}
	err = reader_open(&reader, fd, name, message_log, NULL);
	if (err)
		explain_open(name, err);
	return reader;
}

/* Readers of all names, NULL if one of them cannot be opened. */
static struct reader **open_traces(const struct string_list *names)
{
	struct reader **readers = calloc(names->count, sizeof(*readers));

	if (!readers) {
		message_error("%s", strerror(ENOMEM));
		return NULL;
	}
	for (size_t i = 0; i < names->count; i++) {
		readers[i] = open_trace(names->items[i]);
		if (readers[i])
			continue;
		while (i--)
			reader_close(readers[i]);
		free(readers);
		return NULL;
	}
	return readers;
}

static void describe(const struct trace_info *info)
{
	for (size_t i = 0; i < info->ndomains; i++) {
		const struct domain *domain = &info->domains[i];

		message_detail(
			"domain '%s': host %s, kernel %s, boot %s, clock '%s' shifted by %lld ns",
			domain->name, domain->hostname, domain->kernel, domain->boot_id,
			domain->clock.method, (long long)domain->clock.offset_ns);
	}
}

struct merge *files_open_traces(const struct string_list *names, enum merge_clock clock)
{
	struct reader **readers = open_traces(names);
	char reason[MERGE_REASON_MAX];
	struct merge *merge;

	if (!readers)
		return NULL;
	if (merge_open(&merge, readers, names->count, clock, message_log, NULL, reason))
		message_error("%s", reason);
	else
		describe(merge_info(merge));
	free(readers);
	return merge;
}
