/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * media.h - what packets come from and go to at a network device: the media of lib/trace.h.
 *
 * A device has two sides: its wire, or the device below it, or the switch whose own device it is; and
 * what is on top of it: the host's stack and devices that are stacked on it, or the switch that it is a
 * port of.
 */
#ifndef VNT_MEDIA_H
#define VNT_MEDIA_H

#include "link.h"
#include "netns.h"

struct media {
	uint64_t top;
	uint64_t
		in; /* of what it receives; the same as `out` but for wires, which have two directions */
	uint64_t out;
};

/* The network namespace that all of it is about is the current one. */
struct media_context {
	uint32_t inode; /* of the namespace */
	const struct link *links;
	size_t nlinks;
	struct netns_peers peers; /* of the namespace; looked for when one is needed */
	bool has_peers;
};

/*
 * `bridge` is the Open vSwitch bridge that the device is of, or NULL; `internal` says that it is the
 * switch's own device, not one that was made a port. Where the other end of a wire is in a namespace that
 * cannot be found, it leads outside.
 */
struct media media_find(struct media_context *context, const struct link *link,
			const struct link *bridge, bool internal);

#endif
