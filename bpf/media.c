// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "media.h"
#include "lib/map.h"
#include "lib/trace.h"

enum side {
	SIDE_TOP = 1,
	SIDE_WIRE,
	SIDE_SWITCH,
};

static uint64_t medium(uint32_t inode, uint32_t ifindex, enum side side)
{
	return map_hash(map_hash(map_hash(0, inode), ifindex), side) | 2;
}

static const struct link *find_link(const struct media_context *context, uint32_t ifindex)
{
	for (size_t i = 0; i < context->nlinks; i++)
		if (context->links[i].ifindex == ifindex)
			return &context->links[i];
	return NULL;
}

static bool is_kind(const struct link *link, const char *kind)
{
	return link && strcmp(link->kind, kind) == 0;
}

/* The namespace of the device that it is linked to; 0 if it cannot be found. */
static uint32_t linked_inode(struct media_context *context, const struct link *link)
{
	if (link->linked_netns == NETNS_NO_ID)
		return context->inode;
	if (!context->has_peers) {
		netns_find_peers(&context->peers);
		context->has_peers = true;
	}
	return netns_peer_inode(&context->peers, link->linked_netns);
}

static void find_below(struct media_context *context, const struct link *link, struct media *media)
{
	uint32_t inode = link->linked ? linked_inode(context, link) : 0;
	bool ends_here = !*link->kind || is_kind(link, "tun") || is_kind(link, "veth");

	if (is_kind(link, "veth") && inode) {
		media->in = medium(context->inode, link->ifindex, SIDE_WIRE);
		media->out = medium(inode, link->linked, SIDE_WIRE);
	} else if (ends_here && !link->is_loopback) {
		media->in = media->out = MEDIUM_OUTSIDE;
	} else if (inode) {
		media->in = media->out = medium(inode, link->linked, SIDE_TOP);
	}
}

struct media media_find(struct media_context *context, const struct link *link,
			const struct link *bridge, bool internal)
{
	const struct link *master = find_link(context, link->master);
	struct media media = {.top = medium(context->inode, link->ifindex, SIDE_TOP)};
	uint64_t own = medium(context->inode, link->ifindex, SIDE_SWITCH);

	find_below(context, link, &media);
	if (bridge)
		own = medium(context->inode, bridge->ifindex, SIDE_SWITCH);
	if (is_kind(link, "bridge") || internal)
		media.in = media.out = own;
	else if (bridge)
		media.top = own;
	else if (is_kind(master, "bridge"))
		media.top = medium(context->inode, master->ifindex, SIDE_SWITCH);
	return media;
}
