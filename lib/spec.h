/* SPDX-License-Identifier: GPL-2.0-only */
/* spec.h - probe specifications as the user writes them (design: "probe syntax"). */
#ifndef VNT_SPEC_H
#define VNT_SPEC_H

#include <stdbool.h>

#define SPEC_REASON_MAX 256
#define SPEC_NETNS_MAX  64
#define SPEC_DEVICE_MAX 16 /* IFNAMSIZ */

enum spec_kind {
	SPEC_DEVICE,    /* dev:[NETNS/]IFNAME[:rx|:tx] */
	SPEC_PORTS,     /* port-of:[NETNS/]BRIDGE */
	SPEC_INTERFACE, /* -i [NETNS/]IFNAME[:rx|:tx]: the device and, if it is a bridge, its ports */
};

struct spec {
	enum spec_kind kind;
	char netns[SPEC_NETNS_MAX]; /* "" for the namespace we are in, a name, or "pid=N" */
	char device[SPEC_DEVICE_MAX];
	bool rx;
	bool tx;
};

/* Parse the argument of -p or -i. 0, or -EINVAL with one line in `reason` (SPEC_REASON_MAX bytes). */
int spec_parse_probe(struct spec *spec, const char *text, char *reason);
int spec_parse_interface(struct spec *spec, const char *text, char *reason);

#endif
