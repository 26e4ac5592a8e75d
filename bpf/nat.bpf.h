/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nat.bpf.h - what a packet was before this host changed its addresses and ports.
 *
 * The kernel's connection tracking knows: a packet that it translated carries a pointer to its
 * connection, until it leaves the stack. The connection has a tuple for each direction, in the form
 * that packets of this direction come in; the other one, turned round, is the form they leave in.
 */
#ifndef VNT_NAT_BPF_H
#define VNT_NAT_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include "kernel.h"
#include "memory.bpf.h"
#include "lib/tuple.h"

#define NFCT_POINTER    (~7ull) /* of skb->_nfct; the rest is enum ip_conntrack_info */
#define NFCT_REPLY      3       /* IP_CT_IS_REPLY: this one and all above */
#define NFCT_TRANSLATED 0x30    /* IPS_NAT_MASK: source, destination, or both */
#define NFCT_AF_INET    2

/* struct nf_conntrack_tuple. */
union tuple {
	struct {
		__u32 saddr[4];
		__be16 sport; /* ICMP: identifier */
		__u16 family;
		__u32 daddr[4];
		__be16 dport; /* ICMP: type and code */
		__u8 proto;
		__u8 direction;
	};
	__u64 words[5];
	struct vnt_flow flow; /* what it is turned into: the stack is small */
};
_Static_assert(sizeof(union tuple) == 40, "it is what the kernel has");

/* 0 where the kernel tracks no connections. */
static __always_inline __u64 connection_of(struct sk_buff *skb)
{
	if (!bpf_core_field_exists(skb->_nfct) || !bpf_core_type_exists(struct nf_conn))
		return 0;
	return skb->_nfct;
}

static __always_inline void read_words(__u64 *to, __u64 address, int count, bool direct)
{
	const struct rtnl_link_stats64 *memory;

	if (!direct) {
		if (bpf_probe_read_kernel(to, count * sizeof(*to), (const void *)address))
			__builtin_memset(to, 0, count * sizeof(*to));
		return;
	}
	memory = any_memory(address);
	VNT_UNROLL
	for (int i = 0; i < count; i++)
		to[i] = memory->words[i];
}

static __always_inline bool is_translated(__u64 connection, bool direct)
{
	__u64 address = connection & NFCT_POINTER, status;

	if (!address)
		return false;
	read_words(&status, address + bpf_core_field_offset(struct nf_conn, status), 1, direct);
	return status & NFCT_TRANSLATED;
}

static __always_inline void read_tuple(__u64 connection, bool reply, union tuple *tuple,
				       bool direct)
{
	__u64 address = connection & NFCT_POINTER;

	address += bpf_core_field_offset(struct nf_conn, tuplehash);
	address += bpf_core_field_offset(struct nf_conntrack_tuple_hash, tuple);
	if (reply)
		address += bpf_core_type_size(struct nf_conntrack_tuple_hash);
	read_words(tuple->words, address, sizeof(*tuple) / sizeof(tuple->words[0]), direct);
}

/* Makes of a tuple, where it lies, the flow of packets that have it, or that have it turned round. */
static __always_inline void tuple_to_flow(union tuple *tuple, bool turned)
{
	const bool icmp = tuple->proto == VNT_PROTO_ICMP || tuple->proto == VNT_PROTO_ICMPV6;
	const __u16 sport = bpf_ntohs(tuple->sport), dport = bpf_ntohs(tuple->dport);
	const __u16 family = tuple->family;
	const __u8 proto = tuple->proto;

	VNT_UNROLL
	for (int i = 0; i < 4; i++) { /* those of the destination move down behind the others */
		const __u32 source = tuple->saddr[i], destination = tuple->daddr[i];

		tuple->saddr[i] = turned ? destination : source;
		*(__u32 *)&tuple->flow.daddr[i * 4] = turned ? source : destination;
	}
	tuple->flow.sport = icmp || !turned ? sport : dport;
	tuple->flow.dport = icmp ? 0 : turned ? sport : dport;
	tuple->flow.ethertype = family == NFCT_AF_INET ? VNT_ETHERTYPE_IPV4 : VNT_ETHERTYPE_IPV6;
	tuple->flow.proto = proto;
	tuple->flow.pad = 0;
}

/*
 * True, and in before->flow what the packet was, if it is one of the connection: one in a tunnel may
 * have that of the tunnel.
 */
static __always_inline bool find_before(__u64 connection, __u64 flow, union tuple *before,
					bool direct)
{
	bool reply = (connection & ~NFCT_POINTER) >= NFCT_REPLY;

	read_tuple(connection, !reply, before, direct);
	tuple_to_flow(before, true);
	if (vnt_flow_hash(&before->flow) != flow)
		return false;
	read_tuple(connection, reply, before, direct);
	tuple_to_flow(before, false);
	return true;
}

#endif
