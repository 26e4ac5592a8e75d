// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns.h"

static const char own_netns[] = "/proc/thread-self/ns/net";

static void netns_path(char *path, size_t size, const char *netns)
{
	if (!*netns)
		snprintf(path, size, "%s", own_netns);
	else if (strncmp(netns, "pid=", 4) == 0)
		snprintf(path, size, "/proc/%s/ns/net", netns + 4);
	else
		snprintf(path, size, "/run/netns/%s", netns);
}

int netns_enter(const char *netns, uint32_t *inode)
{
	char path[128];
	struct stat stat;
	int saved, fd, err = 0;

	netns_path(path, sizeof(path), netns);
	saved = open(own_netns, O_RDONLY | O_CLOEXEC);
	if (saved < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat)) {
		err = -errno;
		goto out;
	}
	*inode = stat.st_ino;
	if (*netns && setns(fd, CLONE_NEWNET))
		err = -errno;
out:
	if (fd >= 0)
		close(fd);
	if (err) {
		close(saved);
		return err;
	}
	return saved;
}

void netns_leave(int saved)
{
	if (setns(saved, CLONE_NEWNET) && errno != EPERM)
		abort();
	close(saved);
}
