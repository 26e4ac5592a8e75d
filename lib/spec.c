// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

static const struct {
	const char *prefix;
	enum spec_kind kind;
} kinds[] = {
	{"dev:", SPEC_DEVICE},
	{"port-of:", SPEC_PORTS},
};

static const struct {
	const char *suffix;
	bool rx;
	bool tx;
} directions[] = {
	{"rx", true, false},
	{"tx", false, true},
};

static int copy_name(char *to, size_t size, const char *from, size_t length, const char *what,
		     char *reason)
{
	if (!length || length >= size) {
		snprintf(reason, SPEC_REASON_MAX, "%s '%.*s' is %s", what, (int)length, from,
			 length ? "too long" : "empty");
		return -EINVAL;
	}
	memcpy(to, from, length);
	to[length] = '\0';
	return 0;
}

static int parse_direction(struct spec *spec, const char *suffix, char *reason)
{
	for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
		if (strcmp(suffix, directions[i].suffix) == 0) {
			spec->rx = directions[i].rx;
			spec->tx = directions[i].tx;
			return 0;
		}
	}
	snprintf(reason, SPEC_REASON_MAX, "direction '%s' is neither rx nor tx", suffix);
	return -EINVAL;
}

/* [NETNS/]IFNAME[:rx|:tx]: neither a namespace nor a device can have '/' or ':' in its name. */
static int parse_device(struct spec *spec, const char *text, char *reason)
{
	const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : text;
	size_t length = strcspn(name, ":");
	int err;

	spec->rx = spec->tx = true;
	if (slash) {
		err = copy_name(spec->netns, sizeof(spec->netns), text, slash - text,
				"network namespace", reason);
		if (err)
			return err;
	}
	err = copy_name(spec->device, sizeof(spec->device), name, length, "device name", reason);
	if (err)
		return err;
	return name[length] ? parse_direction(spec, name + length + 1, reason) : 0;
}

int spec_parse_interface(struct spec *spec, const char *text, char *reason)
{
	memset(spec, 0, sizeof(*spec));
	spec->kind = SPEC_INTERFACE;
	return parse_device(spec, text, reason);
}

int spec_parse_probe(struct spec *spec, const char *text, char *reason)
{
	memset(spec, 0, sizeof(*spec));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, length) == 0) {
			spec->kind = kinds[i].kind;
			return parse_device(spec, text + length, reason);
		}
	}
	snprintf(reason, SPEC_REASON_MAX,
		 "'%s' is not a probe: use dev:[NETNS/]IFNAME[:rx|:tx] or port-of:BRIDGE", text);
	return -EINVAL;
}
