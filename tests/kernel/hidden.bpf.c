// SPDX-License-Identifier: GPL-2.0-only
/* hidden.bpf.c - counts its own runs. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 runs; /* of all CPUs */

static int count(void)
{
	__sync_fetch_and_add(&runs, 1);
	return 0;
}

SEC("raw_tp/net_dev_start_xmit")
int sent(void *context)
{
	return count();
}

SEC("raw_tp/netif_receive_skb")
int received(void *context)
{
	return count();
}
