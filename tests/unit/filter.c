// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filters against libpcap's own interpreter: what was translated must say of every packet what
 * bpf_filter() says of the Ethernet frame that the view was taken from.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter_vm.h"
#include "lib/cbpf.h"

#define ETHERNET 14
#define FRAME    (ETHERNET + VNT_HEADER_MAX)

static const char *const expressions[] = {
	"ip",
	"ip6",
	"arp",
	"icmp",
	"icmp6",
	"icmp or arp",
	"tcp",
	"udp",
	"not udp",
	"udp port 5001",
	"tcp port 5001 and host 10.0.2.1",
	"src host 10.0.1.1",
	"dst net 10.0.2.0/24",
	"host fd01::1",
	"ip6 and src net fd02::/16",
	"portrange 5000-5002",
	"src port 5001 or dst port 53",
	"ip proto 17",
	"ip6 proto 6",
	"ether proto 0x88b5",
	"ether proto 0x0806 or ip proto 1",
	"less 100",
	"greater 150",
	"len > 100 and len <= 1200",
	"tcp[tcpflags] & tcp-syn != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp[13] = 0x10",
	"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x00010203",
	"udp[8:4] < 100",
	"udp[4:2] > 40",
	"udp[8:2] & 0xff = 0",
	"ip[6:2] & 0x1fff != 0",
	"ip[6:2] & 0x3fff != 0 and icmp",
	"ip[8] = 64 and not tcp",
	"ip[1:2] > 5",
	"ip[3:4] = 0",
	"ip[2:2] - 20 > 100",
	"ip[2:2] * 2 = 168",
	"(ip[2:2] / 3) > 30",
	"ip[2:2] % 7 = 3",
	"((ip[12:4] ^ ip[16:4]) & 0xff) = 0",
	"(ip[4:2] << 3) > 0xffff",
	"(ip[16:4] >> (ip[0] & 0xf)) & 1 = 1",
	"ip[ip[0] & 0xf] = 0",
	"ip6[6] = 44",
	"ip6[7] >= 63 and ip6[40:2] != 5001",
	"icmp[icmptype] = icmp-echo",
	"icmp6[0] = 128",
	"ip and (tcp or udp) and (port 5001 or port 80) and not net 192.168.0.0/16",
	"ip broadcast or ip multicast",
	"ip6 multicast",
	"udp[(ip[2:2] - 30):1] = 0",
	"ip[2:2] + ip[4:2] * 3 - udp[4:2] > 77777",
};
#define EXPRESSIONS (sizeof(expressions) / sizeof(expressions[0]))

struct frame {
	uint8_t bytes[FRAME];
	uint32_t captured;
	uint32_t length; /* on the wire */
};

static struct vnt_view view_of(const struct frame *frame)
{
	struct vnt_view view = {
		.available = frame->captured - ETHERNET,
		.length = frame->length - ETHERNET,
		.ethertype = frame->bytes[12] << 8 | frame->bytes[13],
	};

	memset(view.header, 0xa5, sizeof(view.header)); /* what lies behind is garbage */
	memcpy(view.header, frame->bytes + ETHERNET, view.available);
	return view;
}

static void compare(const char *expression, const struct filter *filter,
		    const struct bpf_program *program, const struct frame *frame)
{
	const struct vnt_view view = view_of(frame);
	const char *fault = "";
	int want = bpf_filter(program->bf_insns, frame->bytes, frame->length, frame->captured) != 0;
	int have = vm_run(filter, &view, &fault);

	cr_assert_eq(have, want, "'%s': %d, not %d (%s), %u of %u bytes", expression, have, want,
		     fault, frame->captured, frame->length);
}

/* The frame as it is, cut short anywhere, and with bytes changed. */
static void compare_variants(const char *expression, const struct filter *filter,
			     const struct bpf_program *program, const struct frame *frame)
{
	struct frame variant = *frame;

	compare(expression, filter, program, frame);
	for (uint32_t cut = ETHERNET; cut < frame->captured; cut += 1 + rand() % 5) {
		variant.captured = cut;
		compare(expression, filter, program, &variant);
	}
	for (int i = 0; i < 40; i++) {
		variant = *frame;
		for (int change = rand() % 3; change >= 0; change--)
			variant.bytes[rand() % 2 ? 12 + rand() % 24 : rand() % FRAME] = rand();
		if (variant.bytes[12] == 0x81 || variant.bytes[12] == 0x88)
			variant.bytes[12] = 8;
		compare(expression, filter, program, &variant);
	}
}

static void compare_capture(const char *expression, const struct filter *filter,
			    const struct bpf_program *program, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	const unsigned char *bytes;

	cr_assert_not_null(pcap, "%s", error);
	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		struct frame frame = {.length = header->len};

		frame.captured = header->caplen < FRAME ? header->caplen : FRAME;
		memcpy(frame.bytes, bytes, frame.captured);
		compare_variants(expression, filter, program, &frame);
	}
	pcap_close(pcap);
}

static void compile_pcap(struct bpf_program *program, const char *expression)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);

	cr_assert_eq(pcap_compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN), 0,
		     "'%s': %s", expression, pcap_geterr(pcap));
	pcap_close(pcap);
}

Test(filter, says_what_libpcap_says)
{
	srand(3);
	for (size_t i = 0; i < EXPRESSIONS; i++) {
		char reason[FILTER_REASON_MAX] = "";
		struct bpf_program program;
		struct filter filter;

		if (strstr(expressions[i], "broadcast")) /* needs a netmask: see `refusals` */
			continue;
		compile_pcap(&program, expressions[i]);
		cr_assert_eq(filter_compile(&filter, expressions[i], reason), 0, "'%s': %s",
			     expressions[i], reason);
		compare_capture(expressions[i], &filter, &program, TEST_DATA "/routed-before.pcap");
		pcap_freecode(&program);
		filter_release(&filter);
	}
}

#define PROGRAM_MAX 24
#define MEMWORDS    4

static struct bpf_insn random_load(void)
{
	static const uint16_t sizes[] = {BPF_W, BPF_H, BPF_B};
	static const uint16_t modes[] = {BPF_LD | BPF_ABS, BPF_LD | BPF_IND};
	static const struct bpf_insn others[] = {
		BPF_STMT(BPF_LD | BPF_LEN, 0),           BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_LD | BPF_IMM, 77),          BPF_STMT(BPF_LDX | BPF_IMM, 3),
		BPF_STMT(BPF_LD | BPF_MEM, 1),           BPF_STMT(BPF_LDX | BPF_MEM, 2),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14), BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	};

	if (rand() % 2)
		return others[rand() % 8];
	return (struct bpf_insn)BPF_STMT(modes[rand() % 2] | sizes[rand() % 3], 14 + rand() % 60);
}

/* Shifts by a constant of 32 or more are left out: bpf_filter() does with them as C compilers like. */
static struct bpf_insn random_alu(void)
{
	static const uint16_t ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD,
				       BPF_OR,  BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH};
	uint16_t op = ops[rand() % 10];
	uint32_t k = rand() % 31 + 1;

	if (rand() % 11 == 0)
		return (struct bpf_insn)BPF_STMT(BPF_ALU | BPF_NEG, 0);
	if (op != BPF_LSH && op != BPF_RSH && rand() % 3 == 0)
		k = rand() | 1u;
	return (struct bpf_insn)BPF_STMT(BPF_ALU | op | (rand() % 2 ? BPF_X : BPF_K), k);
}

static struct bpf_insn random_insn(int left)
{
	static const uint16_t jumps[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	static const struct bpf_insn others[] = {
		BPF_STMT(BPF_ST, 1),
		BPF_STMT(BPF_STX, 2),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
	};

	switch (rand() % 4) {
	case 0:
		return random_load();
	case 1:
		return random_alu();
	case 2:
		return others[rand() % 4];
	default:
		if (rand() % 8 == 0)
			return (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, rand() % left);
		return (struct bpf_insn)BPF_JUMP(
			BPF_JMP | jumps[rand() % 4] | (rand() % 2 ? BPF_X : BPF_K),
			(uint32_t)rand() << rand() % 24, rand() % left, rand() % left);
	}
}

/* Ends with RET A; the scratch memory is written first, because bpf_filter() does not clear it. */
static unsigned int random_program(struct bpf_insn *program)
{
	unsigned int n = 0, length = MEMWORDS + 2 + rand() % (PROGRAM_MAX - MEMWORDS - 2);

	for (; n < MEMWORDS; n++)
		program[n] = (struct bpf_insn)BPF_STMT(BPF_ST, n);
	for (; n < length - 1; n++)
		program[n] = random_insn(length - 1 - n);
	program[n++] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_A, 0);
	return n;
}

Test(filter, any_program_is_translated_faithfully)
{
	srand(4);
	for (int round = 0; round < 20000; round++) {
		struct bpf_insn insns[PROGRAM_MAX];
		struct bpf_program program = {random_program(insns), insns};
		struct cbpf_insn code[PROGRAM_MAX];
		char reason[FILTER_REASON_MAX] = "";
		struct frame frame = {.captured = ETHERNET + rand() % 129};
		struct filter filter = {};

		for (unsigned int i = 0; i < program.bf_len; i++)
			code[i] = (struct cbpf_insn){insns[i].code, insns[i].jt, insns[i].jf,
						     insns[i].k};
		for (int i = 0; i < FRAME; i++)
			frame.bytes[i] = rand() % 4 ? rand() % 8 : rand();
		frame.length = frame.captured + rand() % 1000;
		cr_assert_eq(cbpf_translate(&filter, code, program.bf_len, reason), 0, "%s",
			     reason);
		compare("random", &filter, &program, &frame);
		filter_release(&filter);
	}
}

Test(filter, the_kernel_takes_them)
{
	for (size_t i = 0; i < EXPRESSIONS; i++) {
		char reason[FILTER_REASON_MAX], log[4096] = "";
		struct filter filter;
		int err;

		if (filter_compile(&filter, expressions[i], reason))
			continue;
		err = vm_load(&filter, log, sizeof(log));
		filter_release(&filter);
		if (err == -EPERM) {
			fprintf(stderr, "filter: not run: this user may not load BPF programs\n");
			return;
		}
		cr_assert_eq(err, 0, "'%s': %s: %s", expressions[i], strerror(-err), log);
	}
}

Test(filter, refusals)
{
	static const struct {
		const char *expression;
		const char *reason;
	} rows[] = {
		{"udp prot 5001", "syntax error"},
		{"ether host 02:00:00:00:00:01", "link-layer"},
		{"ether[0] & 1 = 0", "link-layer"},
		{"broadcast", "link-layer"},
		{"vlan", "VLAN"},
		{"vlan 5 and udp", "VLAN"},
		{"ether proto 0x8100", "VLAN"},
		{"ip or ether proto 0x88a8", "VLAN"},
		{"udp[200] = 1", "byte 200"},
		{"ip[128] = 1", "byte 128"},
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
