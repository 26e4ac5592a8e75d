// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classic BPF jumps forward only: when an instruction's turn comes, all that lead to it were looked at,
 * and the largest values before it are known. Values that were never written are 0.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cbpf_reach.h"

#define IP_HEADER 20 /* bytes, without options */

/* The largest values that registers and scratch memory can have. */
struct limits {
	uint32_t a;
	uint32_t x;
	uint32_t memory[BPF_MEMWORDS];
};

static uint32_t saturate(uint64_t value)
{
	return value < CBPF_UNLIMITED ? value : CBPF_UNLIMITED;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t limit_alu(const struct cbpf_insn *insn, uint32_t a, uint32_t x)
{
	bool constant = BPF_SRC(insn->code) == BPF_K;
	uint32_t b = constant ? insn->k : x;

	switch (BPF_OP(insn->code)) {
	case BPF_ADD:
		return saturate((uint64_t)a + b);
	case BPF_MUL:
		return saturate((uint64_t)a * b);
	case BPF_DIV:
		return constant && b ? a / b : a;
	case BPF_MOD: /* by 0 ends the program */
		return smaller(a, b ? b - 1 : 0);
	case BPF_AND:
		return smaller(a, b);
	case BPF_OR:
	case BPF_XOR: /* all bits up to the highest one */
		return a | b ? UINT32_MAX >> __builtin_clz(a | b) : 0;
	case BPF_LSH:
		return constant && b < 32 ? saturate((uint64_t)a << b) : CBPF_UNLIMITED;
	case BPF_RSH:
		return constant && b < 32 ? a >> b : a;
	default: /* BPF_SUB and BPF_NEG wrap around */
		return CBPF_UNLIMITED;
	}
}

static uint32_t limit_load(const struct cbpf_insn *insn, const struct limits *limits)
{
	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		return insn->k;
	case BPF_MEM:
		return insn->k < BPF_MEMWORDS ? limits->memory[insn->k] : CBPF_UNLIMITED;
	case BPF_MSH:
		return IP_HEADER;
	case BPF_LEN:
		return CBPF_UNLIMITED;
	}
	switch (BPF_SIZE(insn->code)) {
	case BPF_B:
		return UINT8_MAX;
	case BPF_H:
		return UINT16_MAX;
	default:
		return CBPF_UNLIMITED;
	}
}

/* From the limits before an instruction to those behind it. */
static void step(struct limits *limits, const struct cbpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		limits->a = limit_load(insn, limits);
		break;
	case BPF_LDX:
		limits->x = limit_load(insn, limits);
		break;
	case BPF_ST:
	case BPF_STX:
		if (insn->k < BPF_MEMWORDS)
			limits->memory[insn->k] = BPF_CLASS(insn->code) == BPF_ST ? limits->a
										  : limits->x;
		break;
	case BPF_ALU:
		limits->a = limit_alu(insn, limits->a, limits->x);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			limits->x = limits->a;
		else
			limits->a = limits->x;
		break;
	}
}

static void join(struct limits *into, const struct limits *from)
{
	into->a = larger(into->a, from->a);
	into->x = larger(into->x, from->x);
	for (int i = 0; i < BPF_MEMWORDS; i++)
		into->memory[i] = larger(into->memory[i], from->memory[i]);
}

/* A jump that leads out of the program is the translation's to refuse. */
static void follow(struct limits *all, uint32_t count, uint64_t target, const struct limits *limits)
{
	if (target < count)
		join(&all[target], limits);
}

int cbpf_limit_index(uint32_t *limits, const struct cbpf_insn *code, uint32_t count)
{
	struct limits *all = calloc(count, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct cbpf_insn *insn = &code[i];
		uint64_t next = (uint64_t)i + 1;

		limits[i] = all[i].x;
		step(&all[i], insn);
		if (BPF_CLASS(insn->code) == BPF_RET)
			continue;
		if (BPF_CLASS(insn->code) != BPF_JMP) {
			follow(all, count, next, &all[i]);
		} else if (BPF_OP(insn->code) == BPF_JA) {
			follow(all, count, next + insn->k, &all[i]);
		} else {
			follow(all, count, next + insn->jt, &all[i]);
			follow(all, count, next + insn->jf, &all[i]);
		}
	}
	free(all);
	return 0;
}
