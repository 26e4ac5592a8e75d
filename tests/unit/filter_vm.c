// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter_vm.h"

#define VIEW_BASE  0x10000ull
#define STACK_BASE 0x20000ull
#define STACK_SIZE 512
#define STEPS_MAX  100000

struct vm {
	uint64_t regs[11];
	bool written[11];
	uint8_t stack[STACK_SIZE];
	bool stack_written[STACK_SIZE];
	const struct vnt_view *view;
	const char *fault;
};

static uint64_t fault(struct vm *vm, const char *why)
{
	if (!vm->fault)
		vm->fault = why;
	return 0;
}

static uint64_t reg(struct vm *vm, unsigned int index)
{
	return vm->written[index] ? vm->regs[index] : fault(vm, "register read before written");
}

static void set(struct vm *vm, unsigned int index, uint64_t value)
{
	vm->regs[index] = value;
	vm->written[index] = true;
}

static unsigned int access_size(uint8_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	}
	return 8;
}

static uint64_t load(struct vm *vm, uint64_t address, unsigned int size)
{
	uint64_t value = 0;

	if (address % size)
		return fault(vm, "load out of alignment");
	if (address >= VIEW_BASE && address + size <= VIEW_BASE + sizeof(*vm->view)) {
		memcpy(&value, (const char *)vm->view + (address - VIEW_BASE), size);
		return value;
	}
	if (address < STACK_BASE || address + size > STACK_BASE + STACK_SIZE)
		return fault(vm, "load out of bounds");
	for (unsigned int i = 0; i < size; i++)
		if (!vm->stack_written[address - STACK_BASE + i])
			return fault(vm, "stack read before written");
	memcpy(&value, vm->stack + (address - STACK_BASE), size);
	return value;
}

static void store(struct vm *vm, uint64_t address, unsigned int size, uint64_t value)
{
	if (address % size || address < STACK_BASE || address + size > STACK_BASE + STACK_SIZE) {
		fault(vm, "store out of bounds or alignment");
		return;
	}
	memcpy(vm->stack + (address - STACK_BASE), &value, size);
	memset(vm->stack_written + (address - STACK_BASE), true, size);
}

static uint64_t alu(struct vm *vm, uint8_t op, uint64_t a, uint64_t b, bool wide)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_MOD:
		return b ? a % b : a;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & (wide ? 63 : 31));
	case BPF_RSH:
		return a >> (b & (wide ? 63 : 31));
	case BPF_NEG:
		return -a;
	case BPF_MOV:
		return b;
	}
	return fault(vm, "unknown arithmetic");
}

/* The source bit of this one says to which byte order. */
static void step_swap(struct vm *vm, const struct bpf_insn *insn)
{
	uint64_t value = reg(vm, insn->dst_reg);

	if (BPF_SRC(insn->code) != BPF_TO_BE || (insn->imm != 16 && insn->imm != 32))
		fault(vm, "unknown byte swap");
	set(vm, insn->dst_reg,
	    insn->imm == 16 ? __builtin_bswap16(value) : __builtin_bswap32(value));
}

static void step_alu(struct vm *vm, const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	uint8_t op = BPF_OP(insn->code);
	uint64_t a, b;

	if (op == BPF_END) {
		step_swap(vm, insn);
		return;
	}
	a = op == BPF_MOV ? 0 : reg(vm, insn->dst_reg);
	b = BPF_SRC(insn->code) == BPF_X ? reg(vm, insn->src_reg) : (uint64_t)insn->imm;
	if (!wide) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	a = alu(vm, op, a, b, wide);
	set(vm, insn->dst_reg, wide ? a : (uint32_t)a);
}

static bool taken(struct vm *vm, const struct bpf_insn *insn)
{
	uint64_t b = BPF_SRC(insn->code) == BPF_X ? reg(vm, insn->src_reg) : (uint64_t)insn->imm;
	uint64_t a;

	if (BPF_OP(insn->code) == BPF_JA)
		return true;
	a = reg(vm, insn->dst_reg);
	if (BPF_CLASS(insn->code) == BPF_JMP32) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return a & b;
	}
	return fault(vm, "unknown jump");
}

static void step_memory(struct vm *vm, const struct bpf_insn *insn)
{
	unsigned int size = access_size(insn->code);

	if (BPF_MODE(insn->code) != BPF_MEM)
		fault(vm, "unknown addressing mode");
	else if (BPF_CLASS(insn->code) == BPF_LDX)
		set(vm, insn->dst_reg, load(vm, reg(vm, insn->src_reg) + insn->off, size));
	else if (BPF_CLASS(insn->code) == BPF_STX)
		store(vm, reg(vm, insn->dst_reg) + insn->off, size, reg(vm, insn->src_reg));
	else
		store(vm, reg(vm, insn->dst_reg) + insn->off, size, insn->imm);
}

int vm_run(const struct filter *filter, const struct vnt_view *view, const char **why)
{
	struct vm vm = {.view = view};
	size_t at = 0;

	set(&vm, 1, VIEW_BASE);
	set(&vm, 10, STACK_BASE + STACK_SIZE);
	for (int step = 0; step < STEPS_MAX && !vm.fault && at < filter->count; step++, at++) {
		const struct bpf_insn *insn = &filter->insns[at];
		uint8_t class = BPF_CLASS(insn->code);

		if (insn->code == (BPF_JMP | BPF_EXIT)) {
			uint64_t value = reg(&vm, 0);

			if (!vm.fault)
				return value;
			break;
		}
		if (class == BPF_ALU || class == BPF_ALU64)
			step_alu(&vm, insn);
		else if (class == BPF_JMP || class == BPF_JMP32)
			at += taken(&vm, insn) ? insn->off : 0;
		else
			step_memory(&vm, insn);
	}
	fault(&vm, "no exit");
	*why = vm.fault;
	return -1;
}

/* Jumps lead forward, so one pass reaches all that can be reached. */
const char *vm_check(const struct filter *filter)
{
	bool *reached = calloc(filter->count + 1, sizeof(*reached));
	const char *why = filter->count ? NULL : "empty";

	reached[0] = true;
	for (size_t at = 0; !why && at < filter->count; at++) {
		const struct bpf_insn *insn = &filter->insns[at];
		uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
		bool jumps = (class == BPF_JMP || class == BPF_JMP32) && op != BPF_EXIT;

		if (!reached[at])
			why = "unreachable instruction";
		else if (jumps && (insn->off < 0 || at + 1 + insn->off >= filter->count))
			why = "jump out of range";
		else if (jumps)
			reached[at + 1 + insn->off] = true;
		if (insn->code != (BPF_JMP | BPF_EXIT) && insn->code != (BPF_JMP | BPF_JA))
			reached[at + 1] = true;
	}
	if (!why && reached[filter->count])
		why = "no exit";
	free(reached);
	return why;
}

/* What must be noticed, each the fault of one small program. */
static const struct {
	const char *fault;
	bool by_check; /* else by running it */
	struct bpf_insn insns[4];
	size_t count;
} faults[] = {
	{"register read before written", false, {{BPF_ALU64 | BPF_MOV | BPF_X, 0, 6, 0, 0}}, 1},
	{"stack read before written", false, {{BPF_LDX | BPF_MEM | BPF_W, 0, 10, -4, 0}}, 1},
	{"load out of bounds", false, {{BPF_LDX | BPF_MEM | BPF_B, 0, 1, 144, 0}}, 1},
	{"load out of bounds", false, {{BPF_LDX | BPF_MEM | BPF_B, 0, 1, -1, 0}}, 1},
	{"load out of bounds", false, {{BPF_LDX | BPF_MEM | BPF_W, 0, 10, 0, 0}}, 1},
	{"load out of alignment", false, {{BPF_LDX | BPF_MEM | BPF_W, 0, 1, 2, 0}}, 1},
	{"load out of alignment", false, {{BPF_LDX | BPF_MEM | BPF_H, 0, 1, 1, 0}}, 1},
	{"store out of bounds or alignment", false, {{BPF_ST | BPF_MEM | BPF_W, 1, 0, 0, 0}}, 1},
	{"store out of bounds or alignment",
	 false,
	 {{BPF_ST | BPF_MEM | BPF_W, 10, 0, -516, 0}},
	 1},
	{"register read before written", false, {{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}}, 1},
	{"no exit", false, {{BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, 0}}, 1},
	{"no exit", false, {{BPF_JMP | BPF_JA, 0, 0, -1, 0}}, 1},
	{"no exit", true, {{BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, 0}}, 1},
	{"jump out of range", true, {{BPF_JMP | BPF_JA, 0, 0, -1, 0}}, 1},
	{"jump out of range",
	 true,
	 {{BPF_JMP32 | BPF_JEQ | BPF_K, 1, 0, 1, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}},
	 2},
	{"unreachable instruction",
	 true,
	 {{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}},
	 2},
};

const char *vm_unnoticed(void)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct bpf_insn insns[4];
		const struct filter filter = {insns, faults[i].count};
		const struct vnt_view view = {};
		const char *why = NULL;

		memcpy(insns, faults[i].insns, sizeof(insns));
		if (faults[i].by_check)
			why = vm_check(&filter);
		else
			vm_run(&filter, &view, &why);
		if (!why || strcmp(why, faults[i].fault) != 0)
			return faults[i].fault;
	}
	return NULL;
}

/* A caller: zeroes the view on its stack, calls what follows it, returns what that returned. */
static size_t make_caller(struct bpf_insn *insns)
{
	const size_t words = sizeof(struct vnt_view) / 8;
	size_t n = 0;

	for (size_t i = 0; i < words; i++)
		insns[n++] = (struct bpf_insn){.code = BPF_ST | BPF_MEM | BPF_DW,
					       .dst_reg = 10,
					       .off = -(int)sizeof(struct vnt_view) + 8 * (int)i};
	insns[n++] =
		(struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10};
	insns[n++] = (struct bpf_insn){.code = BPF_ALU64 | BPF_ADD | BPF_K,
				       .dst_reg = 1,
				       .imm = -(int)sizeof(struct vnt_view)};
	insns[n++] =
		(struct bpf_insn){.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 1};
	insns[n++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	return n;
}

static void last_line(char *log, const char *text)
{
	size_t end = strlen(text), start;

	while (end && text[end - 1] == '\n')
		end--;
	for (start = end; start && text[start - 1] != '\n'; start--)
		;
	memcpy(log, text + start, end - start);
	log[end - start] = '\0';
}

int vm_load(const struct filter *filter, char *log, size_t size)
{
	static char text[1 << 20];
	struct bpf_insn *insns = calloc(filter->count + 64, sizeof(*insns));
	size_t n = make_caller(insns);
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
		.insns = (uintptr_t)insns,
		.insn_cnt = n + filter->count,
		.license = (uintptr_t) "GPL",
		.log_buf = (uintptr_t)text,
		.log_size = sizeof(text),
		.log_level = 1,
	};
	int fd, err = 0;

	memcpy(insns + n, filter->insns, filter->count * sizeof(*insns));
	text[0] = '\0';
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		err = -errno;
	else
		close(fd);
	if (size > strlen(text))
		last_line(log, text);
	free(insns);
	return err;
}
