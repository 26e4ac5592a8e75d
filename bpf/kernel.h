/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel.h - the kernel types that the probes read, reduced to the fields they read.
 *
 * CO-RE: libbpf relocates every access to the layout of the running kernel by name, so neither
 * offsets nor missing fields matter here.
 */
#ifndef VNT_KERNEL_H
#define VNT_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	possible_net_t nd_net;
	int ifindex;
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;
	__be16 protocol;
	__u16 network_header;
	unsigned char *head;
	unsigned char *data;
};

#pragma clang attribute pop

#endif
