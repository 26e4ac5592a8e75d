/* SPDX-License-Identifier: GPL-2.0-only */
/* memory.bpf.h - memory of the kernel, by plain loads: where it lets us call any one of its types. */
#ifndef VNT_MEMORY_BPF_H
#define VNT_MEMORY_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <linux/types.h>

/* In the kernel a row of 64-bit counters: the type to read any memory by, word by word. */
struct rtnl_link_stats64 {
	__u64 words[16];
};

/* Absent before Linux 6.2. */
extern void *bpf_rdonly_cast(const void *memory, __u32 btf_id) __ksym __weak;

static __always_inline const struct rtnl_link_stats64 *any_memory(__u64 address)
{
	return bpf_rdonly_cast((const void *)address,
			       bpf_core_type_id_kernel(struct rtnl_link_stats64));
}

#endif
