// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netlink.h"
#include "netns.h"
#include "lib/array.h"

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

struct id_message {
	struct nlmsghdr header;
	struct rtgenmsg family;
	uint8_t pad[3];
	struct rtattr fd_header;
	uint32_t fd;
	struct rtattr id_header; /* not in a question for it */
	int32_t id;
};

static int32_t find_id(const struct rtattr *attribute, int left)
{
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == NETNSA_NSID)
			return *(const int32_t *)RTA_DATA(attribute);
	return NETNS_NO_ID;
}

static int32_t ask_id(struct id_message *message)
{
	struct {
		struct nlmsghdr header;
		char rest[256];
	} answer;
	int length = NLMSG_SPACE(sizeof(struct rtgenmsg));

	message->header.nlmsg_type = RTM_GETNSID;
	message->header.nlmsg_flags = NLM_F_REQUEST;
	message->header.nlmsg_len = offsetof(struct id_message, id_header);
	if (netlink_ask(&message->header, &answer.header, sizeof(answer)))
		return NETNS_NO_ID;
	return find_id((const struct rtattr *)((char *)&answer + length),
		       answer.header.nlmsg_len - length);
}

/* Numbers are mostly given out from 0 on and anew: one made from the inode is not soon another's. */
static int assign_id(struct id_message *message, uint32_t inode)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;

	message->header.nlmsg_type = RTM_NEWNSID;
	message->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	message->header.nlmsg_len = sizeof(*message);
	message->id = inode & INT32_MAX;
	return netlink_ask(&message->header, &answer.header, sizeof(answer));
}

static const struct id_message id_message = {
	.fd_header = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = NETNSA_FD},
	.id_header = {.rta_len = RTA_LENGTH(sizeof(int32_t)), .rta_type = NETNSA_NSID},
};

int32_t netns_id(const char *netns)
{
	struct id_message message = id_message;
	int32_t id = NETNS_NO_ID;
	struct stat stat;
	char path[128];
	int fd;

	if (!*netns) /* we stay in it */
		return id;
	netns_path(path, sizeof(path), netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return id;
	message.fd = fd;
	id = ask_id(&message);
	if (id == NETNS_NO_ID && !fstat(fd, &stat) && !assign_id(&message, stat.st_ino))
		id = ask_id(&message);
	close(fd);
	return id;
}

static bool is_peer(const struct netns_peers *peers, uint32_t inode)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->peers[i].inode == inode)
			return true;
	return false;
}

/* Most paths lead to namespaces that are known already. */
static void find_peer(struct netns_peers *peers, const char *path)
{
	struct id_message message = id_message;
	struct stat stat_before, stat_opened;
	int fd;

	if (stat(path, &stat_before) || is_peer(peers, stat_before.st_ino))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	message.fd = fd;
	if (!fstat(fd, &stat_opened) &&
	    !array_reserve(&peers->peers, &peers->room, peers->count + 1, sizeof(*peers->peers)))
		peers->peers[peers->count++] =
			(struct netns_peer){.id = ask_id(&message), .inode = stat_opened.st_ino};
	close(fd);
}

void netns_find_peers(struct netns_peers *peers)
{
	static const char *const patterns[] = {"/run/netns/*", "/proc/[0-9]*/ns/net"};
	glob_t paths = {};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		glob(patterns[i], GLOB_NOSORT | (i ? GLOB_APPEND : 0), NULL, &paths);
	for (size_t i = 0; i < paths.gl_pathc; i++)
		find_peer(peers, paths.gl_pathv[i]);
	globfree(&paths);
}

uint32_t netns_peer_inode(const struct netns_peers *peers, int32_t id)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->peers[i].id == id)
			return peers->peers[i].inode;
	return 0;
}

void netns_peers_release(struct netns_peers *peers)
{
	free(peers->peers);
	*peers = (struct netns_peers){0};
}
