// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "stamping.h"

static const struct {
	const char *name;
	unsigned int flag;
} protocols[] = {{"tcp", STAMP_TCP}, {"udp", STAMP_UDP}};

static unsigned int find_protocol(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strlen(protocols[i].name) == length &&
		    memcmp(protocols[i].name, name, length) == 0)
			return protocols[i].flag;
	return 0;
}

unsigned int stamping_parse(const char *text)
{
	unsigned int flags = 0, flag;

	for (;; text++) {
		size_t length = strcspn(text, ",");

		flag = find_protocol(text, length);
		if (!flag)
			return 0;
		flags |= flag;
		text += length;
		if (!*text)
			return flags;
	}
}

/* Each device once that has a probe which sees its stamps: one for packets that leave it. */
static size_t list_devices(const struct targets *targets, const struct device **devices)
{
	size_t count = 0;

	for (size_t i = 0; i < targets->nprobes; i++)
		if (targets->probes[i].direction == VNT_TX)
			devices[count++] = &targets->list.devices[targets->devices[i]];
	return count;
}

int stamping_open(struct stamp **stamp, unsigned int protocols, const struct targets *targets,
		  const struct filter *filter)
{
	const struct device **devices = calloc(targets->nprobes + 1, sizeof(const struct device *));
	struct stamp_options options = {.protocols = protocols,
					.devices = devices,
					.filter = filter,
					.log = message_log_detail};
	char reason[TRACER_REASON_MAX];
	int code = EXIT_FAILED;

	if (devices)
		options.ndevices = list_devices(targets, devices);
	if (!devices)
		message_error("%s", strerror(ENOMEM));
	else if (!options.ndevices)
		message_error("nothing to stamp: no probe sees what a device sends");
	else if (stamp_open(stamp, &options, reason))
		message_error("%s", reason);
	else
		code = EXIT_DONE;
	free(devices);
	return code;
}
