/* SPDX-License-Identifier: GPL-2.0-only */
/* shared.h - maps and constants that the BPF programs and their loader agree on. */
#ifndef VNT_SHARED_H
#define VNT_SHARED_H

#include <linux/types.h>

#define VNT_FLOW_SLOTS 4096 /* per CPU: flows whose 5-tuple was sent lately */

/* Immediate of the first instruction that the translated filter replaces. */
#define VNT_FILTER_MARKER 0x564e5446

#endif
