/* SPDX-License-Identifier: GPL-2.0-only */
/* netns.h - a look into another network namespace, and back. */
#ifndef VNT_NETNS_H
#define VNT_NETNS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Moves the calling thread into a namespace: "" stays, a name in /run/netns, or "pid=N". *inode is
 * the namespace's. Returns a descriptor for netns_leave(), or -errno.
 */
int netns_enter(const char *netns, uint32_t *inode);

/*
 * The number by which our namespace knows another, given as above, also when no path leads there any
 * more; it does not keep it alive. NETNS_NO_ID where there is none: it needs CAP_NET_ADMIN.
 */
#define NETNS_NO_ID (-1)
int32_t netns_id(const char *netns);

/* The namespaces that the current one has a number for, of those that a name or a process leads to. */
struct netns_peer {
	int32_t id;
	uint32_t inode;
};

/* All zero has none. */
struct netns_peers {
	struct netns_peer *peers;
	size_t count;
	size_t room;
};

void netns_find_peers(struct netns_peers *peers);                       /* what can be found */
uint32_t netns_peer_inode(const struct netns_peers *peers, int32_t id); /* or 0 */
void netns_peers_release(struct netns_peers *peers);

/* Back to where netns_enter() came from. The way back cannot fail: we came from there. */
void netns_leave(int saved);

#endif
