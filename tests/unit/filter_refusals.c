// SPDX-License-Identifier: GPL-2.0-only
/* What cannot be evaluated in the kernel is refused, and the reason says what it is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <string.h>

#include "lib/cbpf.h"

Test(filter_refusals, expressions)
{
	static const struct {
		const char *expression;
		const char *reason;
	} rows[] = {
		{"udp prot 5001", "syntax error"},
		{"ether host 02:00:00:00:00:01", "link-layer"},
		{"ether[0] & 1 = 0", "link-layer"},
		{"broadcast", "link-layer addresses"},
		{"ether[ip[0] & 0xf] = 1", "a place"},
		{"geneve", "a place"},
		{"inbound", "not in the packet"},
		{"ifindex 3", "not in the packet"},
		{"vlan", "VLAN"},
		{"vlan 5 and udp", "VLAN"},
		{"ether proto 0x8100", "VLAN"},
		{"ip or ether proto 0x88a8", "VLAN"},
		{"udp[200] = 1", "byte 200"},
		{"ip[128] = 1", "byte 128"},
		{"udp[120] > 30", "byte 140"},
		{"not udp[120] > 30", "byte 140"},
		{"udp[108] >= 100", "byte 128"},
		{"udp[106:4] = 5", "byte 129"},
		{"tcp[((tcp[12:1] & 0xf0) >> 2) + 45:4] = 5", "byte 128"},
		{"icmp[(icmp[0] & 0x7f)] = 5", "byte 147"},
		{"ip[len - 20] > 100", "a place that may lie beyond"},
		{"udp[(ip[2:2] - 30):1] = 0", "a place that may lie beyond"},
		{"udp[udp[8:2]] = 0", "a place that may lie beyond"},
		{"udp[udp[8:4]] = 0", "a place that may lie beyond"},
		{"ip6 protochain 6", "loop"},
		{"ip and ip6", "rejects all packets"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char reason[FILTER_REASON_MAX] = "";
		struct filter filter;

		cr_assert_eq(filter_compile(&filter, rows[i].expression, reason), -EINVAL, "'%s'",
			     rows[i].expression);
		cr_assert(strstr(reason, rows[i].reason), "'%s': '%s'", rows[i].expression, reason);
		cr_assert_null(filter.insns);
		filter_release(&filter);
	}
}

#define LONG 4000 /* loads that take nine instructions or more each */

/* What no expression leads to. */
Test(filter_refusals, programs)
{
	static const struct {
		struct cbpf_insn insn;
		const char *reason;
	} rows[] = {
		{{BPF_LD | BPF_MEM, 0, 0, 16}, "not known here"},
		{{BPF_ST, 0, 0, 16}, "intermediate results"},
		{{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, "division by zero"},
		{{BPF_ALU | BPF_MOD | BPF_K, 0, 0, 0}, "division by zero"},
		{{BPF_LDX | BPF_B | BPF_MSH, 0, 0, 13}, "link-layer"},
		{{BPF_LD | BPF_W | BPF_ABS, 0, 0, 14 + 125}, "byte 128"},
		{{BPF_LD | BPF_H | BPF_IND, 0, 0, 0xfffff000}, "in reach"},
		{{BPF_JMP | BPF_JA, 0, 0, LONG + 1}, "jumps out of itself"},
		{{BPF_JMP | BPF_JA, 0, 0, (uint32_t)-1}, "loop"},
		{{BPF_JMP | BPF_JA, 0, 0, LONG}, "too long"},
	};
	static struct cbpf_insn code[LONG + 2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char reason[FILTER_REASON_MAX] = "";
		struct filter filter = {};

		for (size_t n = 1; n <= LONG; n++)
			code[n] = (struct cbpf_insn){BPF_LD | BPF_W | BPF_ABS, 0, 0, 15};
		code[0] = rows[i].insn;
		code[LONG + 1] = (struct cbpf_insn){BPF_RET | BPF_K, 0, 0, 1};
		cr_expect_eq(cbpf_translate(&filter, code, LONG + 2, reason), -EINVAL, "row %zu",
			     i);
		cr_expect(strstr(reason, rows[i].reason), "row %zu: '%s'", i, reason);
		cr_expect_null(filter.insns);
	}
}
