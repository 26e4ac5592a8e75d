// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ovs.h"

#define NO_BRIDGE 2 /* exit status of br-exists */

static bool has_line(const char *path, const char *wanted)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[128];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strcmp(line, wanted) == 0;
	fclose(file);
	return found;
}

/* `comm` is the path /proc/PID/comm. */
static bool has_open(const char *comm, const char *device)
{
	char pattern[64], line[64];
	bool found = false;
	glob_t files = {};

	snprintf(pattern, sizeof(pattern), "%.*sfdinfo/*", (int)(strlen(comm) - strlen("comm")),
		 comm);
	snprintf(line, sizeof(line), "iff:\t%s\n", device);
	glob(pattern, GLOB_NOSORT, NULL, &files);
	for (size_t i = 0; !found && i < files.gl_pathc; i++)
		found = has_line(files.gl_pathv[i], line);
	globfree(&files);
	return found;
}

bool ovs_has_open(const char *device)
{
	bool found = false;
	glob_t files = {};

	glob("/proc/[0-9]*/comm", GLOB_NOSORT, NULL, &files);
	for (size_t i = 0; !found && i < files.gl_pathc; i++)
		found = has_line(files.gl_pathv[i], "ovs-vswitchd\n") &&
			has_open(files.gl_pathv[i], device);
	globfree(&files);
	return found;
}

static bool may_exist(const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/db.sock", folder);
	return !access(path, F_OK) || (errno != ENOENT && errno != ENOTDIR);
}

bool ovs_may_own(const char *device)
{
	const char *folder = getenv("OVS_RUNDIR");

	return ovs_has_open(device) || (folder && may_exist(folder)) ||
	       may_exist("/var/run/openvswitch");
}

bool ovs_is_in(uint32_t netns_inode)
{
	bool found = false;
	glob_t files = {};
	char path[64];
	struct stat stat_netns;

	glob("/proc/[0-9]*/comm", GLOB_NOSORT, NULL, &files);
	for (size_t i = 0; !found && i < files.gl_pathc; i++) {
		const char *comm = files.gl_pathv[i];

		snprintf(path, sizeof(path), "%.*sns/net", (int)(strlen(comm) - strlen("comm")),
			 comm);
		found = has_line(comm, "ovs-vswitchd\n") && !stat(path, &stat_netns) &&
			stat_netns.st_ino == netns_inode;
	}
	globfree(&files);
	return found;
}

/* Standard output and standard error of a command; its wait status, or -1 with errno. */
static int run(const char *command, char **output)
{
	FILE *pipe = popen(command, "re");
	size_t size = 0;

	*output = NULL;
	if (!pipe)
		return -1;
	if (getdelim(output, &size, '\0', pipe) < 0) {
		free(*output);
		*output = strdup("");
	}
	return pclose(pipe);
}

static void last_line(char *text, char *reason)
{
	size_t length = strlen(text);
	const char *line;

	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	line = strrchr(text, '\n');
	snprintf(reason, OVS_REASON_MAX, "%s", line ? line + 1 : text);
}

/* Device names may hold what a shell or ovs-vsctl interprets; bridges' names do not. */
static bool is_plain(const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *name != '-' && strspn(name, plain) == strlen(name);
}

int ovs_list_ports(const char *bridge, char **ports, char *reason)
{
	char command[128];
	int status;

	if (!is_plain(bridge))
		return -ENODEV;
	snprintf(command, sizeof(command),
		 "exec ovs-vsctl --timeout=5 br-exists %s -- list-ports %s 2>&1", bridge, bridge);
	status = run(command, ports);
	if (status == 0 && *ports)
		return 0;
	if (status < 0 || !*ports)
		snprintf(reason, OVS_REASON_MAX, "%s", strerror(errno));
	else
		last_line(*ports, reason);
	free(*ports);
	return status > 0 && WIFEXITED(status) && WEXITSTATUS(status) == NO_BRIDGE ? -ENODEV : -EIO;
}

bool ovs_find_bridge(const char *device, char bridge[16])
{
	char command[160], *line;
	int status;

	if (!is_plain(device))
		return false;
	snprintf(command, sizeof(command),
		 "{ ovs-vsctl --timeout=5 br-exists %s && echo %s || "
		 "ovs-vsctl --timeout=5 iface-to-br %s; } 2>/dev/null",
		 device, device, device);
	status = run(command, &line);
	if (status == 0 && line)
		snprintf(bridge, 16, "%.*s", (int)strcspn(line, "\n"), line);
	free(line);
	return status == 0;
}
