// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

int netlink_ask(const struct nlmsghdr *request, struct nlmsghdr *answer, size_t size)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;

	if (fd < 0)
		return -errno;
	if (send(fd, request, request->nlmsg_len, 0) < 0 || recv(fd, answer, size, 0) < 0)
		err = -errno;
	close(fd);
	if (!err && answer->nlmsg_type == NLMSG_ERROR)
		err = ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
	return err;
}
