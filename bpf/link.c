// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "netlink.h"
#include "netns.h"

/* Large enough for any message of a link dump: the kernel sizes them to the reader's buffer. */
#define DUMP_BUFFER (32 * 1024)

static void copy_string(char *to, size_t size, const struct rtattr *attribute)
{
	snprintf(to, size, "%.*s", (int)RTA_PAYLOAD(attribute), (const char *)RTA_DATA(attribute));
}

static void parse_tun(struct link *link, const struct rtattr *data)
{
	const struct rtattr *attribute = RTA_DATA(data);
	int left = RTA_PAYLOAD(data);

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == IFLA_TUN_TYPE)
			link->is_tap = *(const uint8_t *)RTA_DATA(attribute) == IFF_TAP;
}

static void parse_linkinfo(struct link *link, const struct rtattr *info)
{
	const struct rtattr *attribute = RTA_DATA(info);
	int left = RTA_PAYLOAD(info);

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == IFLA_INFO_KIND)
			copy_string(link->kind, sizeof(link->kind), attribute);
		else if (attribute->rta_type == IFLA_INFO_DATA && strcmp(link->kind, "tun") == 0)
			parse_tun(link, attribute);
	}
}

static void parse_link(struct link *link, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const struct rtattr *attribute = IFLA_RTA(info);
	int left = IFLA_PAYLOAD(message);

	memset(link, 0, sizeof(*link));
	link->ifindex = info->ifi_index;
	link->is_loopback = info->ifi_flags & IFF_LOOPBACK;
	link->linked_netns = NETNS_NO_ID;
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		switch (attribute->rta_type) {
		case IFLA_IFNAME:
			copy_string(link->name, sizeof(link->name), attribute);
			break;
		case IFLA_MASTER:
			link->master = *(const uint32_t *)RTA_DATA(attribute);
			break;
		case IFLA_LINK:
			link->linked = *(const uint32_t *)RTA_DATA(attribute);
			break;
		case IFLA_LINK_NETNSID:
			link->linked_netns = *(const int32_t *)RTA_DATA(attribute);
			break;
		case IFLA_LINKINFO:
			parse_linkinfo(link, attribute);
			break;
		}
	}
}

/* 1 when the dump is complete, 0 when more messages follow, or -errno. */
static int parse_messages(const void *buffer, int length, struct link **links, size_t *count)
{
	const struct nlmsghdr *message = buffer;

	for (; NLMSG_OK(message, (unsigned int)length); message = NLMSG_NEXT(message, length)) {
		struct link *grown;

		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
		if (message->nlmsg_type != RTM_NEWLINK)
			continue;
		grown = realloc(*links, (*count + 1) * sizeof(**links));
		if (!grown)
			return -ENOMEM;
		*links = grown;
		parse_link(&grown[(*count)++], message);
	}
	return 0;
}

int link_list(struct link **links, size_t *count)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};
	char *buffer = malloc(DUMP_BUFFER);
	int fd, err = 0;

	*links = NULL;
	*count = 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (!buffer || fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		err = buffer ? -errno : -ENOMEM;
	while (!err) {
		ssize_t length = recv(fd, buffer, DUMP_BUFFER, 0);

		err = length < 0 ? -errno : parse_messages(buffer, length, links, count);
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	if (err < 0) {
		free(*links);
		*links = NULL;
		return err;
	}
	return 0;
}

bool link_is_gone(int32_t netns_id, uint32_t ifindex)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr id_header;
		int32_t id;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST},
		.info = {.ifi_index = ifindex},
		.id_header = {.rta_len = RTA_LENGTH(sizeof(request.id)),
			      .rta_type = IFLA_TARGET_NETNSID},
		.id = netns_id,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer;
	int err;

	if (netns_id == NETNS_NO_ID)
		return false;
	err = netlink_ask(&request.header, &answer.header, sizeof(answer));
	return err == -ENODEV || err == -EINVAL; /* EINVAL: no namespace has this id */
}
