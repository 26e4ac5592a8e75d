/* SPDX-License-Identifier: GPL-2.0-only */
/* shared.h - maps and constants that the BPF programs and their loader agree on. */
#ifndef VNT_SHARED_H
#define VNT_SHARED_H

#include "lib/layout.h"
#include "lib/tunnel.h"

/* Immediate of the first instruction that the translated filter replaces. */
#define VNT_FILTER_MARKER 0x564e5446

#ifdef __bpf__
/* The loader puts the translated filter in place of the instructions from the marker on, and moves the
 * other subprograms. */
static __noinline int filter(const struct vnt_view *view)
{
	int match = VNT_FILTER_MARKER;

	asm volatile("" : "+r"(match) : "r"(view));
	return match;
}
#endif

#endif
