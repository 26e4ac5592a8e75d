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
#include <bpf/bpf_helpers.h>

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

struct ipv6_devconf {
	__s32 mtu6;
};

struct inet6_dev {
	struct ipv6_devconf cnf;
};

struct net_device {
	possible_net_t nd_net;
	int ifindex;
	unsigned int mtu;
	struct inet6_dev *ip6_ptr;
};

struct sock_common {
	__u16 skc_num;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
};

struct dst_entry {
	unsigned long _metrics;
};

struct rtable {
	struct dst_entry dst;
	__u32 rt_pmtu : 31;
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

struct nf_conntrack_tuple {
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2]; /* original, reply */
	unsigned long status;
};

struct sk_buff {
	struct sock *sk;
	unsigned long _nfct;
	struct net_device *dev;
	unsigned long _skb_refdst;
	__u8 ip_summed : 2;
	unsigned int len;
	unsigned int data_len;
	__be16 protocol;
	__u16 network_header;
	unsigned int end; /* offset of struct skb_shared_info from head */
	unsigned char *head;
	unsigned char *data;
};

struct skb_shared_info {
	unsigned short gso_size;
	unsigned int gso_type;
};

#pragma clang attribute pop

/* Of gso_type: packets that are cut behind their TCP or UDP header. Not those that become fragments. */
#define SKB_GSO_TCPV4  (1 << 0)
#define SKB_GSO_TCPV6  (1 << 4)
#define SKB_GSO_UDP_L4 (1 << 17)
#define SKB_GSO_CUT    (SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_UDP_L4)

/* Absent before Linux 6.2. */
extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;

/* Absent before Linux 6.4, and not for tracepoints before 6.12. */
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *dynptr) __ksym __weak;

#endif
