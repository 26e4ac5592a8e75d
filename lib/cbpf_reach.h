/* SPDX-License-Identifier: GPL-2.0-only */
/* cbpf_reach.h - how far the loads of a classic BPF program reach; used by cbpf.c only. */
#ifndef VNT_CBPF_REACH_H
#define VNT_CBPF_REACH_H

#include "cbpf.h"

#define CBPF_UNLIMITED UINT32_MAX

/*
 * For each instruction the largest value that the index register X can have before it, in limits[]
 * (`count` of them), given an IP header without options: the length of that counts as 20. 0 or -ENOMEM.
 */
int cbpf_limit_index(uint32_t *limits, const struct cbpf_insn *code, uint32_t count);

#endif
