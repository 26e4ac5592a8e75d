// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "message.h"
#include "targets.h"
#include "bpf/host.h"
#include "lib/array.h"

static const char *const direction_names[VNT_DIRECTIONS] = {[VNT_RX] = "rx", [VNT_TX] = "tx"};

static int parse_list(struct targets *targets, const struct string_list *list,
		      int (*parse)(struct spec *, const char *, char *))
{
	char reason[SPEC_REASON_MAX];

	for (size_t i = 0; i < list->count; i++) {
		if (parse(&targets->specs[targets->nspecs++], list->items[i], reason)) {
			message_error("%s", reason);
			return EXIT_USAGE;
		}
	}
	return EXIT_DONE;
}

int targets_parse(struct targets *targets, const struct string_list *interfaces,
		  const struct string_list *probes)
{
	int code;

	targets->specs = calloc(interfaces->count + probes->count, sizeof(*targets->specs));
	if (!targets->specs) {
		message_error("%s", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	code = parse_list(targets, interfaces, spec_parse_interface);
	return code ? code : parse_list(targets, probes, spec_parse_probe);
}

static bool is_known(const struct targets *targets, const struct devtable_probe *probe)
{
	for (size_t i = 0; i < targets->nprobes; i++)
		if (targets->probes[i].direction == probe->direction &&
		    memcmp(&targets->probes[i].device, &probe->device, sizeof(probe->device)) == 0)
			return true;
	return false;
}

/* `device` as it was asked for; `index` is its place among those that were found. */
static int add_probe(struct targets *targets, const struct device *device, size_t index,
		     enum vnt_direction direction, const uint8_t *recording)
{
	const struct devtable_probe target = {
		.device = {.ifindex = device->ifindex, .netns = device->netns_inode},
		.direction = direction,
	};
	const struct media *media = &device->media;
	struct probe probe = {
		.netns = device->netns_inode,
		.ifindex = device->ifindex,
		.direction = direction == VNT_RX ? DIRECTION_RX : DIRECTION_TX,
		.from = direction == VNT_RX ? media->in : media->top,
		.to = direction == VNT_RX ? media->top : media->out,
	};
	int err;

	if (is_known(targets, &target))
		return 0;
	memcpy(probe.recording, recording, sizeof(probe.recording));
	snprintf(probe.name, sizeof(probe.name), "dev:%s%s%s:%s", device->netns,
		 *device->netns ? "/" : "", device->name, direction_names[direction]);
	err = trace_info_add_probe(&targets->info, &probe);
	if (err < 0)
		return err;
	targets->devices[targets->nprobes] = index;
	targets->probes[targets->nprobes++] = target;
	return 0;
}

/* Puts a device behind the `*count` different ones, if it is not one of them; returns its place. */
static size_t keep_device(struct device_list *list, size_t *count, const struct device *device)
{
	for (size_t i = 0; i < *count; i++)
		if (list->devices[i].ifindex == device->ifindex &&
		    list->devices[i].netns_inode == device->netns_inode)
			return i;
	list->devices[*count] = *device;
	return (*count)++;
}

/* Devices from `first` on came from `spec`; those that were known before are dropped. */
static int add_probes(struct targets *targets, const struct spec *spec, size_t first,
		      const uint8_t *recording)
{
	size_t need = targets->list.count * VNT_DIRECTIONS, count = first;
	int err;

	err = array_reserve(&targets->probes, &targets->probes_room, need,
			    sizeof(*targets->probes));
	if (!err)
		err = array_reserve(&targets->devices, &targets->devices_room, need,
				    sizeof(*targets->devices));
	for (size_t i = first; !err && i < targets->list.count; i++) {
		const struct device device = targets->list.devices[i];
		size_t index = keep_device(&targets->list, &count, &device);

		if (spec->rx)
			err = add_probe(targets, &device, index, VNT_RX, recording);
		if (!err && spec->tx)
			err = add_probe(targets, &device, index, VNT_TX, recording);
	}
	targets->list.count = count;
	return err;
}

static int find_all(struct targets *targets, const char *domain_name)
{
	uint8_t recording[16];
	struct domain domain;
	int err;

	if (getrandom(recording, sizeof(recording), 0) != sizeof(recording))
		return -errno;
	err = host_domain(&domain, domain_name);
	if (!err)
		err = trace_info_add_domain(&targets->info, &domain);
	for (size_t i = 0; err >= 0 && i < targets->nspecs; i++) {
		size_t first = targets->list.count;
		char reason[DEVICE_REASON_MAX];

		device_resolve(&targets->list, &targets->specs[i], reason);
		if (*reason) {
			message_error("%s", reason);
			targets->missing++;
		}
		err = add_probes(targets, &targets->specs[i], first, recording);
	}
	if (err < 0)
		return err;
	targets->left = targets->nprobes;
	targets->ended = calloc(targets->nprobes + 1, sizeof(*targets->ended));
	return targets->ended ? 0 : -ENOMEM;
}

int targets_find(struct targets *targets, const char *domain, bool strict)
{
	int err = find_all(targets, domain);

	if (err) {
		message_error("cannot set up probes: %s", strerror(-err));
		return EXIT_FAILED;
	}
	if (!targets->nprobes || (strict && targets->missing)) {
		/* What is missing was said already, unless bridges were found without a port. */
		if (!targets->missing)
			message_error("nothing to trace: no port found");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

void targets_release(struct targets *targets)
{
	free(targets->specs);
	device_list_release(&targets->list);
	trace_info_release(&targets->info);
	free(targets->probes);
	free(targets->devices);
	free(targets->ended);
}
