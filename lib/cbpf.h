/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cbpf.h - classic BPF, as libpcap makes it for Ethernet frames, to eBPF over a struct vnt_view.
 *
 * Used by filter.c only; what the result reads and returns is said in filter.h.
 */
#ifndef VNT_CBPF_H
#define VNT_CBPF_H

#include <stdint.h>

#include "filter.h"

/* libpcap's and the kernel's headers cannot be included together: this is the type of both. */
struct cbpf_insn {
	uint16_t code;
	uint8_t jt;
	uint8_t jf;
	uint32_t k;
};

/* Fills *filter. 0, -ENOMEM, or -EINVAL with one line in `reason` (FILTER_REASON_MAX bytes). */
int cbpf_translate(struct filter *filter, const struct cbpf_insn *code, uint32_t count,
		   char *reason);

#endif
