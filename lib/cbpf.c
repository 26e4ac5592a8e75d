// SPDX-License-Identifier: GPL-2.0-only
/*
 * One classic instruction after the other becomes a few eBPF ones; jumps are filled in at the end.
 * A and X are 32 bits wide, so their arithmetic is done by 32-bit instructions, which clear the
 * upper halves of the registers.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cbpf.h"
#include "cbpf_reach.h"
#include "packet.h"

#define ETHERNET  14u /* bytes of a frame before the view begins */
#define ETHERTYPE 12u
#define EXPANSION 32         /* no classic instruction needs more eBPF ones */
#define REJECT    UINT32_MAX /* jump target: no match */

enum {
	R_RETURN,
	R_VIEW,
	R_A,
	R_X,
	R_TEMP,
	R_LIMIT,
	R_FRAME = 10
};

struct jump {
	size_t at;       /* eBPF instruction */
	uint32_t target; /* classic instruction, or REJECT */
};

struct translation {
	const struct cbpf_insn *code;
	uint32_t count;
	struct bpf_insn *insns;
	size_t ninsns;
	size_t *starts;   /* per classic instruction, and the end */
	uint32_t *limits; /* per classic instruction: of X before it */
	struct jump *jumps;
	size_t njumps;
	uint32_t reach; /* bytes of the view that it looks at, from its start */
	char *reason;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct translation *t, const char *format,
							...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(t->reason, FILTER_REASON_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static void emit(struct translation *t, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		 uint32_t imm)
{
	t->insns[t->ninsns++] = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

static void emit_alu(struct translation *t, uint8_t op, uint8_t dst, uint32_t imm)
{
	emit(t, BPF_ALU | op | BPF_K, dst, 0, 0, imm);
}

static void emit_alu_reg(struct translation *t, uint8_t op, uint8_t dst, uint8_t src)
{
	emit(t, BPF_ALU | op | BPF_X, dst, src, 0, 0);
}

static void emit_load(struct translation *t, uint8_t size, uint8_t dst, uint8_t src, int16_t off)
{
	emit(t, BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}

/* `code` is a conditional jump, or BPF_JMP | BPF_JA. */
static void emit_jump(struct translation *t, uint8_t code, uint8_t dst, uint8_t src, uint32_t imm,
		      uint32_t target)
{
	t->jumps[t->njumps++] = (struct jump){t->ninsns, target};
	emit(t, code, dst, src, 0, imm);
}

static unsigned int load_bytes(const struct cbpf_insn *insn)
{
	switch (BPF_SIZE(insn->code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	default:
		return 1;
	}
}

static void emit_to_host(struct translation *t, uint8_t reg, unsigned int bytes)
{
	if (bytes > 1)
		emit(t, BPF_ALU | BPF_END | BPF_TO_BE, reg, 0, 0, 8 * bytes);
}

/* Big-endian number of `bytes` at [base + off] into A, one byte at a time. */
static void emit_load_bytes(struct translation *t, uint8_t base, int16_t off, unsigned int bytes)
{
	emit_load(t, BPF_B, R_A, base, off);
	for (unsigned int i = 1; i < bytes; i++) {
		emit_alu(t, BPF_LSH, R_A, 8);
		emit_load(t, BPF_B, R_LIMIT, base, off + i);
		emit_alu_reg(t, BPF_OR, R_A, R_LIMIT);
	}
}

/* The view's offset of a load at frame offset `at` of `bytes`, in *off. */
static int view_offset(struct translation *t, uint32_t at, unsigned int bytes, uint32_t *off)
{
	*off = at - ETHERNET;
	if (at < ETHERNET)
		return refuse(t, "link-layer addresses cannot be tested, only the EtherType");
	if (*off > VNT_HEADER_MAX - bytes)
		return refuse(
			t,
			"it looks at byte %u of the packet; only the first %u, from the network "
			"header on, are in reach",
			*off + bytes - 1, VNT_HEADER_MAX);
	return 0;
}

static void note_reach(struct translation *t, uint32_t end)
{
	if (end > t->reach)
		t->reach = end < VNT_HEADER_MAX ? end : VNT_HEADER_MAX;
}

/* Goes on only if the first `end` bytes of the view are there. */
static void emit_check(struct translation *t, uint32_t end)
{
	note_reach(t, end);
	emit_load(t, BPF_W, R_TEMP, R_VIEW, offsetof(struct vnt_view, available));
	emit_jump(t, BPF_JMP | BPF_JLT | BPF_K, R_TEMP, 0, end, REJECT);
}

static int translate_absolute(struct translation *t, const struct cbpf_insn *insn)
{
	static const uint8_t sizes[] = {[1] = BPF_B, [2] = BPF_H, [4] = BPF_W};
	unsigned int bytes = load_bytes(insn);
	uint32_t off;
	int err;

	if (insn->k == ETHERTYPE && bytes == 2) {
		emit_load(t, BPF_W, R_A, R_VIEW, offsetof(struct vnt_view, ethertype));
		return 0;
	}
	if (insn->k - (uint32_t)SKF_AD_OFF < SKF_AD_MAX) /* 'inbound', 'ifindex' */
		return refuse(t, "direction and interface are not in the packet");
	err = view_offset(t, insn->k, bytes, &off);
	if (err)
		return err;
	emit_check(t, off + bytes);
	if (off % bytes) { /* the verifier wants aligned loads from the stack */
		emit_load_bytes(t, R_VIEW, off, bytes);
	} else {
		emit_load(t, sizes[bytes], R_A, R_VIEW, off);
		emit_to_host(t, R_A, bytes);
	}
	return 0;
}

/* The largest X there can be: mostly it is the length of an IPv4 header. */
static uint32_t max_index(const struct translation *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		uint16_t code = t->code[i].code;

		if (code == (BPF_MISC | BPF_TAX) ||
		    (BPF_CLASS(code) == BPF_LDX && BPF_MODE(code) != BPF_MSH))
			return VNT_HEADER_MAX;
	}
	return 4 * 0xf;
}

/* [X + k]: X is bounded first, so that nothing wraps around and the verifier sees a bounded offset. */
static int translate_indirect(struct translation *t, const struct cbpf_insn *insn)
{
	uint32_t limit = t->limits[insn - t->code], off;
	unsigned int bytes = load_bytes(insn);
	int err;

	if (insn->k < ETHERNET) /* 'geneve' */
		return refuse(t, "it computes a place from the link-layer header on");
	if (limit > UINT16_MAX)
		return refuse(t,
			      "it computes a place that may lie beyond the first %u bytes, from "
			      "the network header on",
			      VNT_HEADER_MAX);
	err = view_offset(t, insn->k, bytes, &off);
	if (!err)
		err = view_offset(t, insn->k + limit, bytes, &(uint32_t){0});
	if (err)
		return err;
	note_reach(t, off + bytes + max_index(t));
	emit_jump(t, BPF_JMP | BPF_JGT | BPF_K, R_X, 0, VNT_HEADER_MAX - bytes - off, REJECT);
	emit(t, BPF_ALU64 | BPF_MOV | BPF_X, R_TEMP, R_X, 0, 0);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_K, R_TEMP, 0, 0, off + bytes);
	emit_load(t, BPF_W, R_LIMIT, R_VIEW, offsetof(struct vnt_view, available));
	emit_jump(t, BPF_JMP | BPF_JGT | BPF_X, R_TEMP, R_LIMIT, 0, REJECT);
	emit(t, BPF_ALU64 | BPF_ADD | BPF_X, R_TEMP, R_VIEW, 0, 0);
	emit_load_bytes(t, R_TEMP, -(int)bytes, bytes);
	return 0;
}

static int16_t scratch(uint32_t index)
{
	return -4 * (int)(index + 1);
}

static int translate_load(struct translation *t, const struct cbpf_insn *insn)
{
	bool to_x = BPF_CLASS(insn->code) == BPF_LDX;
	uint8_t reg = to_x ? R_X : R_A;
	uint32_t off;
	int err;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		emit_alu(t, BPF_MOV, reg, insn->k);
		return 0;
	case BPF_MEM:
		if (insn->k >= BPF_MEMWORDS)
			break;
		emit_load(t, BPF_W, reg, R_FRAME, scratch(insn->k));
		return 0;
	case BPF_LEN:
		emit_load(t, BPF_W, reg, R_VIEW, offsetof(struct vnt_view, length));
		emit_alu(t, BPF_ADD, reg, ETHERNET);
		return 0;
	case BPF_ABS:
		return translate_absolute(t, insn);
	case BPF_IND:
		return translate_indirect(t, insn);
	case BPF_MSH: /* X = 4 * (byte & 0xf) */
		err = view_offset(t, insn->k, 1, &off);
		if (err)
			return err;
		emit_check(t, off + 1);
		emit_load(t, BPF_B, R_X, R_VIEW, off);
		emit_alu(t, BPF_AND, R_X, 0xf);
		emit_alu(t, BPF_LSH, R_X, 2);
		return 0;
	}
	return refuse(t, "it needs an instruction that is not known here (0x%x)", insn->code);
}

static int translate_store(struct translation *t, const struct cbpf_insn *insn)
{
	if (insn->k >= BPF_MEMWORDS)
		return refuse(t, "it needs too many intermediate results");
	emit(t, BPF_STX | BPF_MEM | BPF_W, R_FRAME, BPF_CLASS(insn->code) == BPF_STX ? R_X : R_A,
	     scratch(insn->k), 0);
	return 0;
}

/* Shifts by 32 or more give 0 in classic BPF, and are masked in eBPF. */
static void emit_shift(struct translation *t, const struct cbpf_insn *insn)
{
	if (BPF_SRC(insn->code) == BPF_K) {
		if (insn->k < 32)
			emit_alu(t, BPF_OP(insn->code), R_A, insn->k);
		else
			emit_alu(t, BPF_MOV, R_A, 0);
		return;
	}
	emit(t, BPF_JMP | BPF_JLT | BPF_K, R_X, 0, 2, 32);
	emit_alu(t, BPF_MOV, R_A, 0);
	emit(t, BPF_JMP | BPF_JA, 0, 0, 1, 0);
	emit_alu_reg(t, BPF_OP(insn->code), R_A, R_X);
}

static int translate_alu(struct translation *t, const struct cbpf_insn *insn)
{
	uint8_t op = BPF_OP(insn->code);
	bool divides = op == BPF_DIV || op == BPF_MOD;

	if (op == BPF_LSH || op == BPF_RSH) {
		emit_shift(t, insn);
	} else if (op == BPF_NEG) {
		emit_alu(t, BPF_NEG, R_A, 0);
	} else if (BPF_SRC(insn->code) == BPF_X) {
		if (divides) /* by 0: classic BPF rejects the packet */
			emit_jump(t, BPF_JMP | BPF_JEQ | BPF_K, R_X, 0, 0, REJECT);
		emit_alu_reg(t, op, R_A, R_X);
	} else if (divides && !insn->k) {
		return refuse(t, "division by zero");
	} else {
		emit_alu(t, op, R_A, insn->k);
	}
	return 0;
}

static void translate_jump(struct translation *t, const struct cbpf_insn *insn, uint32_t index)
{
	static const struct {
		uint8_t op;
		uint8_t inverse;
	} inverses[] = {{BPF_JEQ, BPF_JNE}, {BPF_JGT, BPF_JLE}, {BPF_JGE, BPF_JLT}};
	uint8_t op = BPF_OP(insn->code), source = BPF_SRC(insn->code);
	uint32_t imm = source == BPF_K ? insn->k : 0;
	uint8_t reg = source == BPF_X ? R_X : 0;

	if (op == BPF_JA) {
		emit_jump(t, BPF_JMP | BPF_JA, 0, 0, 0, index + 1 + insn->k);
		return;
	}
	for (size_t i = 0; !insn->jt && i < sizeof(inverses) / sizeof(inverses[0]); i++) {
		if (inverses[i].op != op)
			continue;
		emit_jump(t, BPF_JMP32 | inverses[i].inverse | source, R_A, reg, imm,
			  index + 1 + insn->jf);
		return;
	}
	emit_jump(t, BPF_JMP32 | op | source, R_A, reg, imm, index + 1 + insn->jt);
	if (insn->jf)
		emit_jump(t, BPF_JMP | BPF_JA, 0, 0, 0, index + 1 + insn->jf);
}

static void translate_return(struct translation *t, const struct cbpf_insn *insn)
{
	if (BPF_RVAL(insn->code) == BPF_A) {
		emit(t, BPF_ALU64 | BPF_MOV | BPF_K, R_RETURN, 0, 0, 0);
		emit(t, BPF_JMP32 | BPF_JEQ | BPF_K, R_A, 0, 1, 0);
		emit(t, BPF_ALU64 | BPF_MOV | BPF_K, R_RETURN, 0, 0, 1);
	} else {
		emit(t, BPF_ALU64 | BPF_MOV | BPF_K, R_RETURN, 0, 0, insn->k != 0);
	}
	emit(t, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int translate_one(struct translation *t, uint32_t index)
{
	const struct cbpf_insn *insn = &t->code[index];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		return translate_load(t, insn);
	case BPF_ST:
	case BPF_STX:
		return translate_store(t, insn);
	case BPF_ALU:
		return translate_alu(t, insn);
	case BPF_JMP:
		translate_jump(t, insn, index);
		return 0;
	case BPF_RET:
		translate_return(t, insn);
		return 0;
	default: /* BPF_MISC */
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			emit_alu_reg(t, BPF_MOV, R_X, R_A);
		else
			emit_alu_reg(t, BPF_MOV, R_A, R_X);
		return 0;
	}
}

/* The verifier wants registers and stack written before they are read. */
static void emit_prologue(struct translation *t)
{
	bool used[BPF_MEMWORDS] = {false};

	emit_alu(t, BPF_MOV, R_A, 0);
	emit_alu(t, BPF_MOV, R_X, 0);
	for (uint32_t i = 0; i < t->count; i++)
		if (BPF_MODE(t->code[i].code) == BPF_MEM && BPF_CLASS(t->code[i].code) <= BPF_LDX &&
		    t->code[i].k < BPF_MEMWORDS)
			used[t->code[i].k] = true;
	for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
		if (used[i])
			emit(t, BPF_ST | BPF_MEM | BPF_W, R_FRAME, 0, scratch(i), 0);
}

/* Fills in the offsets; the place that rejects is made only if something leads there. */
static int resolve_jumps(struct translation *t)
{
	bool rejects = false;

	for (size_t i = 0; i < t->njumps; i++)
		rejects |= t->jumps[i].target == REJECT;
	t->starts[t->count] = t->ninsns;
	if (rejects) {
		emit(t, BPF_ALU64 | BPF_MOV | BPF_K, R_RETURN, 0, 0, 0);
		emit(t, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	for (size_t i = 0; i < t->njumps; i++) {
		const struct jump *jump = &t->jumps[i];
		uint32_t target = jump->target == REJECT ? t->count : jump->target;
		size_t distance;

		if (target > t->count || (target == t->count && jump->target != REJECT))
			return refuse(t, "it jumps out of itself");
		if (t->starts[target] <= jump->at) /* 'protochain' */
			return refuse(t, "it needs a loop");
		distance = t->starts[target] - (jump->at + 1);
		if (distance > INT16_MAX)
			return refuse(t, "it is too long");
		t->insns[jump->at].off = distance;
	}
	return 0;
}

/*
 * Is the EtherType compared with that of a VLAN tag? The kernel mostly keeps tags beside the packet, so
 * that the EtherType a probe sees is the inner one: such a test would silently never match. Classic BPF
 * jumps forward only: one pass finds where A can be the EtherType.
 */
static bool tests_vlan(const struct translation *t, bool *is_ethertype)
{
	static const uint32_t tags[] = {0x8100, 0x88a8, 0x9100};

	for (uint32_t i = 0; i < t->count; i++) {
		const struct cbpf_insn *insn = &t->code[i];
		uint8_t class = BPF_CLASS(insn->code);
		bool holds = is_ethertype[i];

		if (class == BPF_LD)
			holds = BPF_MODE(insn->code) == BPF_ABS && insn->k == ETHERTYPE;
		else if (class == BPF_ALU || insn->code == (BPF_MISC | BPF_TXA))
			holds = false;
		for (size_t tag = 0; tag < sizeof(tags) / sizeof(tags[0]); tag++)
			if (holds && insn->code == (BPF_JMP | BPF_JEQ | BPF_K) &&
			    insn->k == tags[tag])
				return true;
		if (!holds || class == BPF_RET)
			continue;
		if (class != BPF_JMP) {
			is_ethertype[i + 1] = true;
		} else if (BPF_OP(insn->code) == BPF_JA) {
			if (insn->k < t->count - i)
				is_ethertype[i + 1 + insn->k] = true;
		} else {
			is_ethertype[i + 1 + insn->jt] = true;
			is_ethertype[i + 1 + insn->jf] = true;
		}
	}
	return false;
}

static int translate_all(struct translation *t, bool *is_ethertype)
{
	int err = 0;

	if (tests_vlan(t, is_ethertype))
		return refuse(t, "VLAN tags cannot be tested");
	emit_prologue(t);
	for (uint32_t i = 0; !err && i < t->count; i++) {
		t->starts[i] = t->ninsns;
		err = translate_one(t, i);
	}
	return err ? err : resolve_jumps(t);
}

int cbpf_translate(struct filter *filter, const struct cbpf_insn *code, uint32_t count,
		   char *reason)
{
	struct translation t = {.code = code, .count = count, .reason = reason};
	bool *is_ethertype = calloc(count + 257, sizeof(*is_ethertype)); /* jumps reach 256 on */
	int err = -ENOMEM;

	t.insns = calloc((size_t)(count + 1) * EXPANSION, sizeof(*t.insns));
	t.starts = calloc(count + 1, sizeof(*t.starts));
	t.limits = calloc(count + 1, sizeof(*t.limits));
	t.jumps = calloc((size_t)(count + 1) * 2, sizeof(*t.jumps));
	if (t.insns && t.starts && t.limits && t.jumps && is_ethertype)
		err = cbpf_limit_index(t.limits, code, count);
	if (!err)
		err = translate_all(&t, is_ethertype);
	free(t.starts);
	free(t.limits);
	free(t.jumps);
	free(is_ethertype);
	if (err) {
		free(t.insns);
		return err;
	}
	filter->insns = t.insns;
	filter->count = t.ninsns;
	filter->reach = t.reach;
	return 0;
}
