// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "link.h"
#include "netns.h"
#include "ovs.h"

struct lookup {
	struct device_list *list;
	const struct spec *spec;
	uint32_t inode;
	int32_t netns_id;
	struct link *links;
	size_t count;
	struct media_context media;
	bool has_ovs;              /* in this namespace */
	const struct link *bridge; /* of Open vSwitch, whose ports are being added; or NULL */
};

static const struct link *find_link(const struct lookup *lookup, const char *name)
{
	for (size_t i = 0; i < lookup->count; i++)
		if (strcmp(lookup->links[i].name, name) == 0)
			return &lookup->links[i];
	return NULL;
}

static struct media find_media(struct lookup *lookup, const struct link *link)
{
	const struct link *bridge = lookup->bridge;
	char name[sizeof(link->name)];
	bool internal;

	if (!bridge && lookup->has_ovs && ovs_find_bridge(link->name, name))
		bridge = find_link(lookup, name);
	internal = bridge && (link == bridge || strcmp(link->kind, "openvswitch") == 0 ||
			      (link->is_tap && ovs_has_open(link->name)));
	return media_find(&lookup->media, link, bridge, internal);
}

static int list_add(struct lookup *lookup, const struct link *link)
{
	struct device_list *list = lookup->list;
	struct device *grown = realloc(list->devices, (list->count + 1) * sizeof(*grown)), *device;

	if (!grown)
		return -ENOMEM;
	list->devices = grown;
	device = &grown[list->count++];
	memset(device, 0, sizeof(*device));
	snprintf(device->netns, sizeof(device->netns), "%s", lookup->spec->netns);
	snprintf(device->name, sizeof(device->name), "%s", link->name);
	device->ifindex = link->ifindex;
	device->netns_inode = lookup->inode;
	device->netns_id = lookup->netns_id;
	device->media = find_media(lookup, link);
	return 0;
}

static int add_ovs_ports(struct lookup *lookup, const struct link *bridge, char *reason)
{
	char *ports, *name, *rest;
	int err = ovs_list_ports(bridge->name, &ports, reason);

	if (err)
		return err;
	lookup->bridge = bridge;
	for (name = strtok_r(ports, "\n", &rest); !err && name;
	     name = strtok_r(NULL, "\n", &rest)) {
		const struct link *link = find_link(lookup, name);

		if (link) /* patch and tunnel ports are no devices */
			err = list_add(lookup, link);
	}
	lookup->bridge = NULL;
	free(ports);
	return err;
}

/* 0; -ENODEV if it is no bridge; another -errno, and why in `reason` (OVS_REASON_MAX bytes). */
static int add_ports(struct lookup *lookup, const struct link *bridge, char *reason)
{
	size_t before = lookup->list->count;
	int err = 0;

	snprintf(reason, OVS_REASON_MAX, "%s", strerror(ENOMEM));
	if (strcmp(bridge->kind, "openvswitch") == 0 ||
	    (bridge->is_tap && ovs_may_own(bridge->name)))
		return add_ovs_ports(lookup, bridge, reason);
	for (size_t i = 0; !err && i < lookup->count; i++)
		if (lookup->links[i].master == bridge->ifindex)
			err = list_add(lookup, &lookup->links[i]);
	if (!err && before == lookup->list->count && strcmp(bridge->kind, "bridge") != 0)
		err = -ENODEV;
	return err;
}

static void explain_missing(const struct lookup *lookup, char *reason)
{
	int used = snprintf(reason, DEVICE_REASON_MAX, "no device '%s'", lookup->spec->device);

	if (*lookup->spec->netns)
		used += snprintf(reason + used, DEVICE_REASON_MAX - used,
				 " in network namespace '%s'", lookup->spec->netns);
	used += snprintf(reason + used, DEVICE_REASON_MAX - used, "; there are:");
	for (size_t i = 0; i < lookup->count; i++) {
		bool room = used < DEVICE_REASON_MAX - 32;

		used += snprintf(reason + used, DEVICE_REASON_MAX - used, " %s",
				 room ? lookup->links[i].name : "...");
		if (!room)
			break;
	}
}

static int resolve_ports(struct lookup *lookup, const struct link *link, char *reason)
{
	const struct spec *spec = lookup->spec;
	size_t before = lookup->list->count;
	char why[OVS_REASON_MAX];
	int err = add_ports(lookup, link, why);

	if (!err || (err == -ENODEV && spec->kind == SPEC_INTERFACE))
		return 0; /* not a bridge: the device alone was meant */
	if (err == -ENODEV)
		snprintf(reason, DEVICE_REASON_MAX, "'%s' is not a bridge with known ports",
			 spec->device);
	else
		snprintf(reason, DEVICE_REASON_MAX, "cannot list the ports of '%s': %s",
			 spec->device, why);
	lookup->list->count = before;
	return spec->kind == SPEC_INTERFACE ? 0 : err;
}

static int resolve_here(struct lookup *lookup, char *reason)
{
	const struct spec *spec = lookup->spec;
	const struct link *link;
	int err;

	err = link_list(&lookup->links, &lookup->count);
	if (err) {
		snprintf(reason, DEVICE_REASON_MAX, "cannot list network devices: %s",
			 strerror(-err));
		return err;
	}
	lookup->media.inode = lookup->inode;
	lookup->media.links = lookup->links;
	lookup->media.nlinks = lookup->count;
	lookup->has_ovs = ovs_is_in(lookup->inode);
	link = find_link(lookup, spec->device);
	if (!link) {
		explain_missing(lookup, reason);
		return -ENODEV;
	}
	if (spec->kind != SPEC_PORTS && list_add(lookup, link)) {
		snprintf(reason, DEVICE_REASON_MAX, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	return spec->kind == SPEC_DEVICE ? 0 : resolve_ports(lookup, link, reason);
}

static int explain_netns(const char *netns, int err, char *reason)
{
	if (err == -EPERM)
		snprintf(reason, DEVICE_REASON_MAX,
			 "no permission to look into network namespace '%s': needs CAP_SYS_ADMIN",
			 netns);
	else if (err == -ENOENT)
		snprintf(reason, DEVICE_REASON_MAX, "no network namespace '%s'", netns);
	else
		snprintf(reason, DEVICE_REASON_MAX, "cannot enter network namespace '%s': %s",
			 netns, strerror(-err));
	return err;
}

int device_resolve(struct device_list *list, const struct spec *spec, char *reason)
{
	struct lookup lookup = {.list = list, .spec = spec};
	size_t before = list->count;
	int saved, err;

	*reason = '\0';
	lookup.netns_id = netns_id(spec->netns);
	saved = netns_enter(spec->netns, &lookup.inode);
	if (saved < 0)
		return explain_netns(spec->netns, saved, reason);
	err = resolve_here(&lookup, reason);
	netns_leave(saved);
	netns_peers_release(&lookup.media.peers);
	free(lookup.links);
	if (err)
		list->count = before;
	return err;
}

/* Gone for sure: what cannot be looked up for another reason is taken as still there. */
static bool is_gone(const struct device *device, int sock)
{
	struct ifreq request = {.ifr_ifindex = device->ifindex};

	return sock >= 0 && ioctl(sock, SIOCGIFNAME, &request) && errno == ENODEV;
}

static bool share_netns(const struct device *a, const struct device *b)
{
	return a->netns_inode == b->netns_inode && strcmp(a->netns, b->netns) == 0;
}

/*
 * Goes to the devices' namespace, as netns_enter(). -ENOENT: its name is not there any more, or means
 * another one now.
 */
static int enter_again(const struct device *device)
{
	uint32_t inode = 0;
	int saved = netns_enter(device->netns, &inode);

	if (saved < 0 || inode == device->netns_inode)
		return saved;
	netns_leave(saved);
	return -ENOENT;
}

/* Checks the run of devices from `first` on that share a namespace; returns where the next begins. */
static size_t check_netns(struct device_list *list, size_t first, size_t *gone)
{
	const struct device *head = &list->devices[first];
	int saved = enter_again(head), sock = -1;
	size_t i;

	if (saved >= 0)
		sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (i = first; i < list->count && share_netns(&list->devices[i], head); i++) {
		struct device *device = &list->devices[i];

		if (device->gone)
			continue;
		device->gone = saved == -ENOENT ? link_is_gone(device->netns_id, device->ifindex)
						: is_gone(device, sock);
		*gone += device->gone;
	}
	if (sock >= 0)
		close(sock);
	if (saved >= 0)
		netns_leave(saved);
	return i;
}

size_t device_check(struct device_list *list)
{
	size_t gone = 0;

	for (size_t i = 0; i < list->count;)
		i = check_netns(list, i, &gone);
	return gone;
}

void device_list_release(struct device_list *list)
{
	free(list->devices);
	memset(list, 0, sizeof(*list));
}
