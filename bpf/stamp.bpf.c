// SPDX-License-Identifier: GPL-2.0-only
/*
 * stamp.bpf.c - the programs that write stamps (lib/stamp.h) into packets.
 *
 * Only what a socket of this host sends, and only in the namespace of that socket: a packet that is
 * forwarded, or that has left another stack already, was seen by probes before, and a stamp would make
 * it another packet. What does not match FILTER is left alone.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "kernel.h"
#include "shared.h"

#define TC_ACT_UNSPEC    (-1) /* the next program decides; TCX_NEXT is the same */
#define AF_INET          2
#define CHECKSUM_PARTIAL 3
#define UDP_MIN          28 /* bytes of a datagram, with IP's */
#define IP_MAX           65535
#define DST_NOREF        1ul
#define METRICS_FLAGS    3ul
#define METRIC_MTU       1 /* RTAX_MTU - 1 */
#define TCP_ACK          0x100000
#define TCP_HEADER_WORDS 5

char LICENSE[] SEC("license") = "GPL";

__u32 next_id; /* starts anywhere: not where an earlier recording did */

/* The namespaces whose connections are stamped. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* inode */
	__type(value, __u8);
	__uint(max_entries, 1);
} namespaces SEC(".maps");

/* The connections that are stamped: the flag that asks for it outlives a recording. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u8);
} connections SEC(".maps");

/* A datagram that is about to leave. Offsets are from the start of the frame. */
struct datagram {
	__u32 ip;
	__u32 udp;
	__u32 ip_length;
	__u32 udp_length;
	bool ipv6;
};

static __always_inline bool load_view(struct __sk_buff *skb, struct vnt_view *view, __u32 ip)
{
	__u32 available = skb->len - ip;

	vnt_set_extent(view, bpf_ntohs(skb->protocol), available, available);
	if (available > VNT_HEADER_MAX)
		available = VNT_HEADER_MAX;
	asm volatile("" : "+r"(available)); /* two bounds, as the verifier wants them, not one */
	return available >= UDP_MIN && !bpf_skb_load_bytes(skb, ip, view->header, available);
}

/* True if it is UDP, whole, and ends where IP does: so it has no options, and no stamp, yet. */
static __always_inline bool find_datagram(struct datagram *datagram, const struct vnt_view *view)
{
	struct vnt_packet packet;
	__u32 udp;

	vnt_packet_parse(view, 0, &packet);
	if (packet.proto != VNT_PROTO_UDP || packet.stamp_at || packet.length != view->length ||
	    packet.flags & (VNT_PACKET_FRAGMENT | VNT_PACKET_SHORT))
		return false;
	udp = packet.length - packet.payload - 8;
	datagram->udp = datagram->ip + udp;
	datagram->ip_length = packet.length;
	datagram->udp_length = packet.payload + 8;
	datagram->ipv6 = view->ethertype == VNT_ETHERTYPE_IPV6;
	return vnt_word(view, udp / 4 + 1) >> 16 == datagram->udp_length;
}

/* The ports tell a datagram from the tunnel packet around it, which keeps the socket of what it holds. */
static __always_inline bool is_own(const struct sk_buff *skb, __u16 source_port)
{
	const struct sock *sk = BPF_CORE_READ(skb, sk);

	return sk && BPF_CORE_READ(sk, sk_protocol) == VNT_PROTO_UDP &&
	       BPF_CORE_READ(sk, __sk_common.skc_num) == source_port &&
	       BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) ==
		       BPF_CORE_READ(skb, dev, nd_net.net, ns.inum);
}

static __always_inline void lower(__u32 *limit, __u32 other)
{
	if (other && other < *limit)
		*limit = other;
}

/* What the way to the destination takes, as far as this host knows: 0 if it does not. */
static __always_inline __u32 find_mtu(const struct sk_buff *skb, bool ipv6)
{
	const struct dst_entry *dst =
		(const struct dst_entry *)(BPF_CORE_READ(skb, _skb_refdst) & ~DST_NOREF);
	const struct net_device *dev = BPF_CORE_READ(skb, dev);
	__u32 mtu = IP_MAX, metric = 0;
	const __u32 *metrics;

	if (!dst)
		return 0;
	lower(&mtu, BPF_CORE_READ(dev, mtu));
	metrics = (const __u32 *)(BPF_CORE_READ(dst, _metrics) & ~METRICS_FLAGS);
	bpf_probe_read_kernel(&metric, sizeof(metric), &metrics[METRIC_MTU]);
	lower(&mtu, metric);
	if (!ipv6)
		lower(&mtu, BPF_CORE_READ_BITFIELD_PROBED((const struct rtable *)dst, rt_pmtu));
	else if (bpf_core_field_exists(dev->ip6_ptr))
		lower(&mtu, BPF_CORE_READ(dev, ip6_ptr, cnf.mtu6));
	return mtu;
}

static __always_inline void grow_ip(struct __sk_buff *skb, const struct datagram *datagram)
{
	__u32 at = datagram->ipv6 ? 4 : 2, header = datagram->ipv6 ? 40 : 0;
	__u16 old = bpf_htons(datagram->ip_length - header);
	__u16 new = bpf_htons(datagram->ip_length + VNT_STAMP_TRAILER - header);

	if (!datagram->ipv6)
		bpf_l3_csum_replace(skb, datagram->ip + 10, old, new, sizeof(new));
	bpf_skb_store_bytes(skb, datagram->ip + at, &new, sizeof(new), 0);
}

/*
 * Whoever completes a partial checksum sums up all bytes to the end, but begins with the length of UDP
 * alone: the sum of the trailer, which is minus its length, must be made up for.
 */
static __always_inline void grow_partial_checksum(struct __sk_buff *skb,
						  const struct datagram *datagram)
{
	__u32 at = datagram->udp + 6, sum;
	__u16 check;

	if (bpf_skb_load_bytes(skb, at, &check, sizeof(check)))
		return;
	sum = bpf_ntohs(check) + VNT_STAMP_TRAILER;
	check = bpf_htons((sum & 0xffff) + (sum >> 16));
	bpf_skb_store_bytes(skb, at, &check, sizeof(check), 0);
}

static __always_inline void write_trailer(struct __sk_buff *skb, const struct datagram *datagram)
{
	__u32 id = __sync_fetch_and_add(&next_id, 1), trailer[3];

	vnt_stamp_trailer(trailer, datagram->udp_length, id);
	for (int i = 0; i < 3; i++)
		trailer[i] = bpf_htonl(trailer[i]);
	bpf_skb_store_bytes(skb, datagram->ip + datagram->ip_length, trailer, sizeof(trailer), 0);
}

SEC("vnt_tc")
int stamp_udp(struct __sk_buff *context)
{
	const struct sk_buff *skb = (const struct sk_buff *)context;
	struct datagram datagram;
	struct vnt_view view = {};
	bool partial;

	if (context->gso_size)
		return TC_ACT_UNSPEC;
	datagram.ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header) -
		      BPF_CORE_READ(skb, data);
	if (!load_view(context, &view, datagram.ip) || !find_datagram(&datagram, &view))
		return TC_ACT_UNSPEC;
	if (!filter(&view))
		return TC_ACT_UNSPEC;
	if (!is_own(skb, vnt_word(&view, (datagram.udp - datagram.ip) / 4) >> 16) ||
	    datagram.ip_length + VNT_STAMP_TRAILER > find_mtu(skb, datagram.ipv6))
		return TC_ACT_UNSPEC;
	partial = BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) == CHECKSUM_PARTIAL;
	if (bpf_skb_change_tail(context, context->len + VNT_STAMP_TRAILER, 0))
		return TC_ACT_UNSPEC;
	/* From here on all is in one piece and writable: nothing fails. */
	grow_ip(context, &datagram);
	if (partial)
		grow_partial_checksum(context, &datagram);
	write_trailer(context, &datagram);
	return TC_ACT_UNSPEC;
}

static __always_inline void set_ipv4(struct vnt_view *view, __u32 local, __u32 remote)
{
	view->ethertype = VNT_ETHERTYPE_IPV4;
	view->length = (VNT_IPV4_WORDS + TCP_HEADER_WORDS) * 4;
	view->words[0] = bpf_htonl(0x45u << 24 | view->length);
	view->words[2] = bpf_htonl(64u << 24 | VNT_PROTO_TCP << 16);
	view->words[3] = local;
	view->words[4] = remote;
}

static __always_inline void set_ipv6(struct vnt_view *view, struct bpf_sock_ops *context)
{
	view->ethertype = VNT_ETHERTYPE_IPV6;
	view->length = 40 + TCP_HEADER_WORDS * 4;
	view->words[0] = bpf_htonl(6u << 28);
	view->words[1] = bpf_htonl(TCP_HEADER_WORDS * 4 << 16 | VNT_PROTO_TCP << 8 | 64);
	view->words[2] = context->local_ip6[0];
	view->words[3] = context->local_ip6[1];
	view->words[4] = context->local_ip6[2];
	view->words[5] = context->local_ip6[3];
	view->words[6] = context->remote_ip6[0];
	view->words[7] = context->remote_ip6[1];
	view->words[8] = context->remote_ip6[2];
	view->words[9] = context->remote_ip6[3];
}

static __always_inline void set_tcp(struct vnt_view *view, struct bpf_sock_ops *context, __u32 at)
{
	view->words[at] = bpf_htonl(context->local_port << 16 | bpf_ntohl(context->remote_port));
	view->words[at + 3] = bpf_htonl((__u32)TCP_HEADER_WORDS << 28 | TCP_ACK);
}

/* A bare acknowledgement of this connection, for the filter: there is no packet yet. */
static __always_inline void make_view(struct vnt_view *view, struct bpf_sock_ops *context)
{
	bool mapped = !context->local_ip6[0] && !context->local_ip6[1] &&
		      context->local_ip6[2] == bpf_htonl(0xffff);

	if (context->family == AF_INET) {
		set_ipv4(view, context->local_ip4, context->remote_ip4);
		set_tcp(view, context, VNT_IPV4_WORDS);
	} else if (mapped) {
		set_ipv4(view, context->local_ip6[3], context->remote_ip6[3]);
		set_tcp(view, context, VNT_IPV4_WORDS);
	} else {
		set_ipv6(view, context);
		set_tcp(view, context, 10);
	}
	view->available = view->length;
}

static __always_inline void choose_connection(struct bpf_sock_ops *context)
{
	const struct bpf_sock_ops_kern *kernel = (const struct bpf_sock_ops_kern *)context;
	__u32 inode = BPF_CORE_READ(kernel, sk, __sk_common.skc_net.net, ns.inum);
	struct vnt_view view = {};
	struct bpf_sock *sk;

	if (!bpf_map_lookup_elem(&namespaces, &inode))
		return;
	make_view(&view, context);
	if (!filter(&view))
		return;
	sk = context->sk;
	if (sk && bpf_sk_storage_get(&connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE))
		bpf_sock_ops_cb_flags_set(context, context->bpf_sock_ops_cb_flags |
							   BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

static __always_inline bool is_chosen(struct bpf_sock_ops *context)
{
	struct bpf_sock *sk = context->sk;

	return sk && bpf_sk_storage_get(&connections, sk, NULL, 0);
}

static __always_inline void write_option(struct bpf_sock_ops *context)
{
	__u32 option[2] = {bpf_htonl(VNT_STAMP_TCP), bpf_htonl(__sync_fetch_and_add(&next_id, 1))};

	bpf_store_hdr_opt(context, option, sizeof(option), 0);
}

SEC("vnt_sockops")
int stamp_tcp(struct bpf_sock_ops *context)
{
	switch (context->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		choose_connection(context);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		if (is_chosen(context))
			bpf_reserve_hdr_opt(context, VNT_STAMP_BYTES, 0);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		if (is_chosen(context))
			write_option(context);
		break;
	}
	return 1;
}
