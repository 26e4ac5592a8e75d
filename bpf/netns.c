// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netlink.h"
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

int32_t netns_id(const char *netns)
{
	struct id_message message = {
		.fd_header = {.rta_len = RTA_LENGTH(sizeof(message.fd)), .rta_type = NETNSA_FD},
		.id_header = {.rta_len = RTA_LENGTH(sizeof(message.id)), .rta_type = NETNSA_NSID},
	};
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
