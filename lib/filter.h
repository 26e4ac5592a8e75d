/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.h - a pcap-filter(7) expression as eBPF instructions.
 *
 * libpcap compiles the expression for Ethernet frames; the classic BPF is then translated to eBPF
 * that reads a struct vnt_view (packet.h) instead of a frame: bytes 12 and 13 are the view's
 * ethertype, bytes from 14 on are the view's header bytes, the length is the view's plus 14.
 * The link-layer addresses (bytes 0 to 11) are not in the view: what tests them is refused.
 */
#ifndef VNT_FILTER_H
#define VNT_FILTER_H

#include <stddef.h>

#define FILTER_REASON_MAX 256

/*
 * The instructions are a function body: r1 is the pointer to the struct vnt_view on the caller's
 * stack; r0 on exit is 1 if the packet matches, 0 if not. They call nothing and end with
 * BPF_EXIT. Every byte they read lies in the view, checked against view->available the way classic
 * BPF checks against the end of the packet (out of reach: no match).
 */
struct bpf_insn; /* of <linux/bpf.h>; libpcap has another one of this name */

struct filter {
	struct bpf_insn *insns;
	size_t count;
	unsigned int reach; /* bytes of the view, from its start, that it may look at */
};

/*
 * 0, or -EINVAL with one line in `reason` (FILTER_REASON_MAX bytes): libpcap's message, or what of
 * the expression cannot be evaluated in the kernel: link-layer addresses, VLAN and other link-type
 * extensions, a byte that lies beyond the view, or may do so by what the expression computes; only
 * what options of the IP header push out is not foreseen, and does not match. -ENOMEM.
 */
int filter_compile(struct filter *filter, const char *expression, char *reason);
void filter_release(struct filter *filter);

#endif
