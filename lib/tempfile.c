// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tempfile.h"

const char *tempfile_folder(void)
{
	const char *folder = secure_getenv("TMPDIR");

	return folder && *folder ? folder : "/var/tmp";
}

int tempfile_open(void)
{
	char path[PATH_MAX];
	int fd = open(tempfile_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* Not every file system can do that. */
	snprintf(path, sizeof(path), "%s/vnettrace-XXXXXX", tempfile_folder());
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

int tempfile_write(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t wrote = write(fd, at, size);

		if (wrote < 0 && errno != EINTR)
			return -errno;
		at += wrote > 0 ? wrote : 0;
		size -= wrote > 0 ? wrote : 0;
	}
	return 0;
}

int tempfile_read(int fd, void *bytes, size_t size)
{
	char *at = bytes;

	while (size) {
		ssize_t got = read(fd, at, size);

		if (!got)
			return -EIO;
		if (got < 0 && errno != EINTR)
			return -errno;
		at += got > 0 ? got : 0;
		size -= got > 0 ? got : 0;
	}
	return 0;
}
