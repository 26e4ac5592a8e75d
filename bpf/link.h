/* SPDX-License-Identifier: GPL-2.0-only */
/* link.h - the network devices of the current namespace, by rtnetlink(7). */
#ifndef VNT_LINK_H
#define VNT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
	uint32_t ifindex;
	uint32_t master; /* ifindex of the bridge or bond it is a port of, or 0 */
	uint32_t linked; /* ifindex of the other end, or of the device below; 0 if it has none */
	int32_t linked_netns; /* and its namespace, as in netns.h; NETNS_NO_ID: the same */
	char name[16];
	char kind[16]; /* "bridge", "veth", "tun", "openvswitch", ...; "" for hardware */
	bool is_tap;   /* kind "tun": carries frames, not packets */
	bool is_loopback;
};

/* All devices; *links is the caller's to free. 0 or -errno. */
int link_list(struct link **links, size_t *count);

/* Is the device of this number in the namespace of this id (netns.h) gone, or that namespace? Where it
 * cannot be asked for another reason, it is taken as still there. */
bool link_is_gone(int32_t netns_id, uint32_t ifindex);

#endif
