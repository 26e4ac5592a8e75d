// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"
#include "probes.skel.h"

#define PROGRAM(name) offsetof(struct probes_bpf, progs.name)

/* For kernels with bpf_rdonly_cast(), and for all. */
static const struct {
	size_t direct;
	size_t portable;
	const char *tracepoint;
} places[TRACER_PROGRAMS] = {
	[TRACER_RX] = {PROGRAM(dev_rx_direct), PROGRAM(dev_rx), "netif_receive_skb"},
	[TRACER_TX] = {PROGRAM(dev_tx_direct), PROGRAM(dev_tx), "net_dev_start_xmit"},
	[TRACER_TC] = {PROGRAM(tc_direct), PROGRAM(tc_direct), NULL},
};

/* libbpf's callbacks carry no context: what they need from load_begin() to load_end(). */
static struct {
	const struct tracer_options *options;
	bool registered;
} loading;

static bool has_capability(const struct __user_cap_data_struct *data, unsigned int capability)
{
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

int tracer_check(char *reason)
{
	static const char vmlinux[] = "/sys/kernel/btf/vmlinux";
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	bool bpf, perfmon;

	if (syscall(SYS_capget, &header, data)) {
		int err = -errno;

		snprintf(reason, TRACER_REASON_MAX, "cannot read capabilities: %s", strerror(-err));
		return err;
	}
	bpf = has_capability(data, CAP_BPF) || has_capability(data, CAP_SYS_ADMIN);
	perfmon = has_capability(data, CAP_PERFMON) || has_capability(data, CAP_SYS_ADMIN);
	if (!bpf || !perfmon) {
		snprintf(reason, TRACER_REASON_MAX, "missing %s%s%s: run as root, or grant it",
			 bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : " and ",
			 perfmon ? "" : "CAP_PERFMON");
		return -EPERM;
	}
	if (access(vmlinux, R_OK)) {
		snprintf(
			reason, TRACER_REASON_MAX,
			"this kernel has no type information (%s): it needs CONFIG_DEBUG_INFO_BTF=y",
			vmlinux);
		return -ENOTSUP;
	}
	return 0;
}

/* A message may be several lines (the verifier's log), or part of one. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
	const struct tracer_options *options = loading.options;
	char *text, *line, *rest;

	if (!options || !options->log || level == LIBBPF_DEBUG)
		return 0;
	if (vasprintf(&text, format, arguments) < 0)
		return 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		options->log(options->log_context, line);
	free(text);
	return 0;
}

static struct bpf_insn match_all_insns[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
	{.code = BPF_JMP | BPF_EXIT},
};

static const struct filter match_all = {.insns = match_all_insns, .count = 2};

/* Instruction where the filter's body starts, or `count`. */
static size_t find_marker(const struct bpf_insn *insns, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (insns[i].code == (BPF_ALU64 | BPF_MOV | BPF_K) &&
		    insns[i].imm == VNT_FILTER_MARKER)
			break;
	return i;
}

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

/* The call of the subprogram that starts at `start`. `count` if there is none, or more than one: the compiler
 * may double what it inlines. */
static size_t find_call(const struct bpf_insn *insns, size_t count, size_t start)
{
	size_t found = count;

	for (size_t i = 0; i < count; i++) {
		if (!is_call(&insns[i]) || i + 1 + insns[i].imm != start)
			continue;
		if (found != count)
			return count;
		found = i;
	}
	return found;
}

static bool uses_stack(const struct filter *filter)
{
	for (size_t i = 0; i < filter->count; i++)
		if (filter->insns[i].dst_reg == BPF_REG_10 ||
		    filter->insns[i].src_reg == BPF_REG_10)
			return true;
	return false;
}

static struct bpf_insn jump(size_t from, size_t to)
{
	return (struct bpf_insn){.code = BPF_JMP | BPF_JA, .off = to - (from + 1)};
}

/* A program as libbpf lays it out: itself, then the subprograms it calls, of which the filter is one.
 * None of them calls another. */
struct layout {
	const struct bpf_insn *insns;
	size_t count;
	size_t call;  /* of the filter */
	size_t start; /* of the filter, from the marker on */
	size_t end;
	bool joins;   /* the filter becomes part of the program itself */
	size_t place; /* where the translated filter goes: behind that, or where it is called */
	size_t size;  /* of the translated filter */
};

static size_t end_of_program(const struct layout *layout)
{
	size_t end = layout->start;

	for (size_t i = 0; i < end; i++)
		if (is_call(&layout->insns[i]) && i + 1 + layout->insns[i].imm < end)
			end = i + 1 + layout->insns[i].imm;
	return end;
}

static int find_layout(const struct bpf_program *program, const struct filter *filter,
		       struct layout *layout)
{
	layout->insns = bpf_program__insns(program);
	layout->count = bpf_program__insn_cnt(program);
	layout->start = find_marker(layout->insns, layout->count);
	layout->call = find_call(layout->insns, layout->count, layout->start);
	if (layout->start == layout->count || layout->call == layout->count)
		return -ENOENT;
	layout->end = layout->start + 1;
	while (layout->insns[layout->end - 1].code != (BPF_JMP | BPF_EXIT))
		layout->end++;
	layout->joins = !uses_stack(filter);
	layout->place = layout->joins ? end_of_program(layout) : layout->start;
	layout->size = filter->count;
	return 0;
}

/* Where the instruction is afterwards that was at `at`, outside the filter. */
static size_t moved(const struct layout *layout, size_t at)
{
	if (at >= layout->end)
		return at - layout->end + layout->start + layout->size;
	return at >= layout->place && at < layout->start ? at + layout->size : at;
}

/*
 * What describes the instructions, records that begin with the number of one, is in memory of libbpf,
 * which passes it on to the kernel and has no other use for it. Returns how many are left.
 */
static size_t move_infos(const struct layout *layout, const void *infos, size_t count, size_t size)
{
	char *from = (char *)infos, *to = from;

	for (size_t i = 0; i < count; i++, from += size) {
		uint32_t at;

		memcpy(&at, from, sizeof(at));
		if (at >= layout->start + !layout->joins && at < layout->end)
			continue; /* what is in a subprogram must be described from its start on */
		memmove(to, from, size);
		at = moved(layout, at);
		memcpy(to, &at, sizeof(at));
		to += size;
	}
	return (to - (char *)infos) / size;
}

/* They are all in the program itself, which has not moved. */
static void move_calls(const struct layout *layout, struct bpf_insn *insns)
{
	size_t end = end_of_program(layout);

	for (size_t i = 0; i < end; i++)
		if (is_call(&insns[i]))
			insns[i].imm = moved(layout, i + 1 + insns[i].imm) - (i + 1);
}

/*
 * Makes the filter part of the program that calls it: a call costs 6 ns where returns are guarded
 * against speculation. The filter changes no register that a call would not.
 */
static void join_filter(const struct layout *layout, struct bpf_insn *insns)
{
	insns[layout->call] = jump(layout->call, layout->place);
	for (size_t i = layout->place; i < layout->place + layout->size; i++)
		if (insns[i].code == (BPF_JMP | BPF_EXIT))
			insns[i] = jump(i, layout->call + 1);
}

static void lay_out(const struct layout *layout, const struct filter *filter,
		    struct bpf_insn *insns)
{
	for (size_t i = 0; i < layout->count; i++)
		if (i < layout->start || i >= layout->end)
			insns[moved(layout, i)] = layout->insns[i];
	memcpy(insns + layout->place, filter->insns, filter->count * sizeof(*insns));
	move_calls(layout, insns);
	if (layout->joins)
		join_filter(layout, insns);
}

/* Called by libbpf with the final instructions, all relocations done, just before they are loaded. */
static int insert_filter(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	const struct filter *filter = loading.options->filter ? loading.options->filter
							      : &match_all;
	struct bpf_insn *insns;
	struct layout layout;
	size_t count;
	int err = find_layout(program, filter, &layout);

	(void)cookie;
	if (err)
		return err;
	count = moved(&layout, layout.count);
	if (count > INT16_MAX)
		return -E2BIG;
	insns = calloc(count, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	lay_out(&layout, filter, insns);
	opts->func_info_cnt =
		move_infos(&layout, opts->func_info, opts->func_info_cnt, opts->func_info_rec_size);
	opts->line_info_cnt =
		move_infos(&layout, opts->line_info, opts->line_info_cnt, opts->line_info_rec_size);
	err = bpf_program__set_insns(program, insns, count);
	free(insns);
	return err;
}

static int register_sections(void)
{
	static const struct {
		const char *name;
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
	} sections[] = {
		{"vnt_tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP},
		{"vnt_tc", BPF_PROG_TYPE_SCHED_CLS, 0},
		{"vnt_sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
	};
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = insert_filter);
	int err = 0;

	for (size_t i = 0;
	     !loading.registered && err >= 0 && i < sizeof(sections) / sizeof(sections[0]); i++)
		err = libbpf_register_prog_handler(sections[i].name, sections[i].type,
						   sections[i].attach, &opts);
	loading.registered = err >= 0;
	return err < 0 ? err : 0;
}

int load_begin(const struct tracer_options *options)
{
	loading.options = options;
	libbpf_set_print(print_libbpf);
	return register_sections();
}

void load_end(void)
{
	loading.options = NULL;
}

/* All possible CPUs side by side, and as many probes as there are. */
static int size_maps(struct probes_bpf *skeleton, const struct tracer_options *options,
		     const struct devtable *table, unsigned int cpus)
{
	const struct {
		struct bpf_map *map;
		uint64_t entries;
	} sizes[] = {
		{skeleton->maps.devices, table->size},
		{skeleton->maps.rings, cpus},
		{skeleton->maps.slots, (uint64_t)cpus * options->ring_slots},
		{skeleton->maps.counts, (uint64_t)cpus * vnt_count_stride(options->nprobes)},
		{skeleton->maps.known_flows, (uint64_t)cpus * VNT_FLOW_SLOTS},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i].entries > UINT32_MAX)
			return -E2BIG;
		if (bpf_map__set_max_entries(sizes[i].map, sizes[i].entries))
			return -errno;
	}
	skeleton->rodata->ring_slots = options->ring_slots;
	skeleton->rodata->count_stride = vnt_count_stride(options->nprobes);
	skeleton->rodata->sampling = options->sampling;
	skeleton->rodata->named = options->id;
	skeleton->rodata->filter_reach = options->filter ? options->filter->reach : 0;
	vnt_ports_set(&skeleton->rodata->ports, options->vxlan_ports, options->nvxlan_ports);
	skeleton->rodata->device_multiplier = table->multiplier;
	skeleton->rodata->device_shift = table->shift;
	return 0;
}

struct kernel {
	bool casts;       /* has bpf_rdonly_cast() */
	bool reads_pages; /* as what reads them in the programs (probes.bpf.c) */
};

/* It says that it has the function, not where one may call it: it accepts a program that does, or not. */
static bool kernel_reads_pages(const struct btf *btf)
{
	const int function = btf__find_by_name_kind(btf, "bpf_dynptr_from_skb", BTF_KIND_FUNC);
	const struct bpf_insn insns[] = {
		{BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_1, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0},
		{BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -(int)sizeof(struct bpf_dynptr)},
		{BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = btf__find_by_name_kind(btf, "btf_trace_netif_receive_skb",
							    BTF_KIND_TYPEDEF));
	int fd;

	if (function < 0)
		return false;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "vnt_reads_pages", "GPL", insns,
			   sizeof(insns) / sizeof(insns[0]), &opts);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static struct kernel probe_kernel(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct kernel kernel = {0};

	if (btf) {
		kernel.casts = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
		kernel.reads_pages = kernel_reads_pages(btf);
	}
	btf__free(btf);
	return kernel;
}

static bool is_needed(const struct tracer_options *options, int place)
{
	if (options->unattached)
		return place == TRACER_TC;
	for (size_t i = 0; i < options->nprobes; i++)
		if ((int)options->probes[i].direction == place)
			return true;
	return false;
}

static struct bpf_program *program_at(struct probes_bpf *skeleton, size_t offset)
{
	return *(struct bpf_program **)((char *)skeleton + offset);
}

/* Of each place the program that suits this kernel. */
static int choose_programs(struct probes_bpf *skeleton, struct bpf_program **programs,
			   const struct tracer_options *options, char *reason)
{
	const struct kernel kernel = probe_kernel();
	bool direct = !options->portable && kernel.casts;
	struct bpf_program *program;

	skeleton->rodata->reads_pages = kernel.reads_pages;
	bpf_object__for_each_program (program, skeleton->obj)
		bpf_program__set_autoload(program, false);
	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		const char *tracepoint = places[i].tracepoint;
		int err = 0;

		if (!is_needed(options, i))
			continue;
		program = program_at(skeleton, direct ? places[i].direct : places[i].portable);
		bpf_program__set_autoload(program, true);
		if (tracepoint)
			err = bpf_program__set_attach_target(program, 0, tracepoint);
		if (err) {
			snprintf(reason, TRACER_REASON_MAX,
				 "this kernel has no tracepoint '%s': %s", tracepoint,
				 strerror(-err));
			return err;
		}
		programs[i] = program;
	}
	return 0;
}

int load_probes(struct probes_bpf **skeleton, struct bpf_program *programs[TRACER_PROGRAMS],
		const struct tracer_options *options, const struct devtable *table,
		unsigned int cpus, char *reason)
{
	struct probes_bpf *self = NULL;
	int err;

	snprintf(reason, TRACER_REASON_MAX, "cannot open the embedded programs");
	err = load_begin(options);
	if (err)
		goto out;
	self = probes_bpf__open();
	if (!self) {
		err = -errno;
		goto out;
	}
	err = choose_programs(self, programs, options, reason);
	if (err)
		goto out;
	err = size_maps(self, options, table, cpus);
	if (err) {
		snprintf(reason, TRACER_REASON_MAX,
			 "cannot size the event rings: %s; try a smaller --buffer", strerror(-err));
		goto out;
	}
	err = probes_bpf__load(self);
	if (err)
		snprintf(reason, TRACER_REASON_MAX, "the kernel refused the programs: %s%s",
			 strerror(-err), err == -ENOMEM ? "; try a smaller --buffer" : "");
out:
	load_end();
	if (err) {
		probes_bpf__destroy(self);
		self = NULL;
	}
	*skeleton = self;
	return err;
}
