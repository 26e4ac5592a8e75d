// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "message.h"

static bool is_standard(const char *path)
{
	return strcmp(path, "-") == 0;
}

/* The regular file that a name stands for. */
static bool find_file(const char *name, int standard_fd, struct stat *file)
{
	int err = is_standard(name) ? fstat(standard_fd, file) : stat(name, file);

	return !err && S_ISREG(file->st_mode);
}

bool files_overlap(const char *output, const struct string_list *inputs)
{
	struct stat out, in;

	if (!find_file(output, STDOUT_FILENO, &out))
		return false;
	for (size_t i = 0; i < inputs->count; i++) {
		if (!find_file(inputs->items[i], STDIN_FILENO, &in) || in.st_dev != out.st_dev ||
		    in.st_ino != out.st_ino)
			continue;
		message_error("output '%s' is also an input", output);
		return true;
	}
	return false;
}

int files_open_output(struct output *output, const char *path)
{
	static const int flags = O_WRONLY | O_CREAT | O_CLOEXEC;

	*output = (struct output){.path = path, .fd = STDOUT_FILENO};
	if (is_standard(path)) {
		if (!isatty(STDOUT_FILENO))
			return 0;
		message_error(
			"a trace is not for a terminal: redirect standard output, or use -o FILE");
		return -EINVAL;
	}
	output->fd = open(path, flags | O_EXCL, 0600);
	output->created = output->fd >= 0;
	if (output->fd < 0 && errno == EEXIST)
		output->fd = open(path, flags, 0600);
	if (output->fd < 0) {
		message_error("cannot open '%s': %s", path, strerror(errno));
		return -EIO;
	}
	flock(output->fd, LOCK_EX | LOCK_NB); /* says that it grows, see is_growing() */
	return 0;
}

int files_close_output(struct output *output, bool keep)
{
	struct stat stat;
	int err;

	if (output->fd == STDOUT_FILENO)
		return 0;
	if (output->created && (!keep || (!fstat(output->fd, &stat) && !stat.st_size)))
		unlink(output->path);
	err = close(output->fd) ? -errno : 0;
	if (err)
		files_write_error(output->path, err);
	return err;
}

void files_write_error(const char *path, int err)
{
	const char *reason = err == -ETIMEDOUT ? "its reader has stalled" : strerror(-err);

	if (is_standard(path))
		message_error("cannot write to standard output: %s", reason);
	else
		message_error("cannot write '%s': %s", path, reason);
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

/* Whoever writes a trace holds a lock on it, which the kernel takes away however that ends. */
static bool is_growing(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB))
		return errno == EWOULDBLOCK;
	flock(fd, LOCK_UN);
	return false;
}

static struct reader *open_trace(const char *name)
{
	struct reader *reader = NULL;
	int fd = STDIN_FILENO, err;
	bool growing;

	if (is_standard(name)) {
		name = "standard input";
	} else {
		fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			message_error("cannot open '%s': %s", name, strerror(errno));
			return NULL;
		}
	}
	growing = is_growing(fd);
	err = reader_open(&reader, fd, name, message_log, NULL);
	if (err)
		explain_open(name, err);
	else if (growing)
		reader_set_growing(reader);
	return reader;
}

/* Every input is open all the time, and there may be many. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Readers of all names, NULL if one of them cannot be opened. */
static struct reader **open_traces(const struct string_list *names)
{
	struct reader **readers = calloc(names->count, sizeof(*readers));

	if (!readers) {
		message_error("%s", strerror(ENOMEM));
		return NULL;
	}
	allow_many_files();
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

static bool read_clocks(const char *name, struct clock_table *clocks)
{
	char reason[CLOCK_TABLE_REASON_MAX];
	FILE *file = fopen(name, "re");
	int err;

	if (!file) {
		message_error("cannot open '%s': %s", name, strerror(errno));
		return false;
	}
	err = clock_table_read(clocks, file, reason);
	if (err)
		message_error("cannot read '%s': %s", name,
			      err == -EINVAL ? reason : strerror(-err));
	fclose(file);
	return !err;
}

/* CPUs that this process may run on. */
static unsigned int count_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);
}

uint64_t files_resident(void)
{
	static int fd = -1; /* it is asked often */
	unsigned long long pages = 0;
	char line[128] = "";

	if (fd < 0)
		fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, line, sizeof(line) - 1, 0) > 0)
		sscanf(line, "%*u %llu", &pages);
	return pages * sysconf(_SC_PAGESIZE);
}

bool files_check_memory(const struct merge *merge, uint64_t memory, uint64_t more, uint64_t *left)
{
	uint64_t needed = merge_memory(merge) + more;
	unsigned long long megabytes = needed / (1 << 20) + 1;

	if (needed > memory) {
		message_error("--memory is too small: %lluM are needed to read these files",
			      megabytes);
		return false;
	}
	*left = memory - needed;
	return true;
}

void files_read_error(const struct merge *merge, int err)
{
	char reason[MERGE_REASON_MAX];

	merge_explain(merge, err, reason);
	message_error("%s", reason);
}

struct merge *files_open_traces(const struct string_list *names, const char *clock)
{
	static const struct {
		const char *name;
		enum merge_clock clock;
		bool file;
	} choices[] =
		{
			{"auto", MERGE_CLOCK_AUTO},
			{"none", MERGE_CLOCK_NONE},
			{NULL, MERGE_CLOCK_AUTO, true},
		},
	  *choice = choices;
	struct clock_table clocks = {};
	struct reader **readers = NULL;
	char reason[MERGE_REASON_MAX];
	struct merge *merge = NULL;

	while (choice->name && strcmp(choice->name, clock) != 0)
		choice++;
	if (!choice->file || read_clocks(clock, &clocks))
		readers = open_traces(names);
	if (readers && names->count > 1 && message_has_progress())
		message_progress("looking for clocks");
	if (readers && merge_open(&merge, readers, names->count, choice->clock,
				  choice->file ? &clocks : NULL, message_log, NULL, reason))
		message_error("%s", reason);
	message_progress("");
	if (merge && merge_threads(merge, count_cpus()))
		message_detail(
			"there are fewer threads than CPUs"); /* and it goes on without them */
	if (merge)
		describe(merge_info(merge));
	free(readers);
	clock_table_release(&clocks);
	return merge;
}
