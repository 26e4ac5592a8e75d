/* SPDX-License-Identifier: GPL-2.0-only */
/* netlink.h - one question to rtnetlink(7), one answer. */
#ifndef VNT_NETLINK_H
#define VNT_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>

/*
 * Asks in the current network namespace; *answer is cut off at `size` bytes, more than those of a
 * struct nlmsgerr. 0, or -errno, which may be the kernel's answer. A request that changes something
 * needs NLM_F_ACK.
 */
int netlink_ask(const struct nlmsghdr *request, struct nlmsghdr *answer, size_t size);

#endif
