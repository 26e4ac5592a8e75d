// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filters against libpcap's own interpreter: what was translated must say of every packet what
 * bpf_filter() says of the Ethernet frame that the view was taken from.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
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
	"ip[3:4] & 0xff = 0x40",
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
	"udp[107] > 30",
	"not udp[107] > 30",
	"udp[104:4] > 0x30000000",
	"tcp[((tcp[12:1] & 0xf0) >> 2) + 44:4] > 0x30000000",
	"udp[8 + (udp[8] | udp[9] ^ udp[10]) / 3 % 90] & 1 = 1",
	"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
	"tcp[((tcp[12:1] & 0xf0) >> 2):2] = 0x4745 or udp[8:2] = 0x4745",
	"net 10.0.1.0/24",
	"host 10.0.1.1 and not host 10.0.2.1",
	"tcp portrange 79-81 or udp portrange 50-60",
	"ip[2:2] / (ip[8] & 0x43) = 1", /* the divisor can be 0 */
	"ip[2:2] % (ip[8] & 3) = 0",
	"(ip[2:2] << (ip[8] & 0x3f)) != 0",
	"((ip[2:2] | ip[4:2]) ^ (ip[12:4] & ip[16:4])) > 0x0a000000",
	"(ip[2:2] * ip[8] + ip[4:2] / 3) % 5 = (ip[12:4] - ip[16:4]) % 3",
	"arp[6:2] = 1 and arp[24:4] = 0x0a0001fe",
	"ip6[4:2] + 40 > len - 14",
	"ether[12:2] > 0x07ff",
	"",
	"ip[2:2] + ip[4:2] * 3 - udp[4:2] > 77777",
	/* Unlike VLAN tags, these stay in the packet, and skb->protocol names them. */
	"mpls",
	"mpls 5 and tcp",
	"mpls 5 and mpls 7",
	"pppoes",
	"pppoes 3 and udp",
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

static bool answers[2]; /* that were seen */

static void compare(const char *expression, const struct filter *filter,
		    const struct bpf_program *program, const struct frame *frame)
{
	const struct vnt_view view = view_of(frame);
	const char *fault = "";
	int want = bpf_filter(program->bf_insns, frame->bytes, frame->length, frame->captured) != 0;
	int have = vm_run(filter, &view, &fault);

	answers[want] = true;

	cr_assert_eq(have, want, "'%s': %d, not %d (%s), %u of %u bytes", expression, have, want,
		     fault, frame->captured, frame->length);
}

static uint32_t any_of(const uint32_t *values, size_t count)
{
	return rand() % 6 ? values[rand() % count] : (uint32_t)rand();
}
#define ANY_OF(...)                             \
	any_of((const uint32_t[]){__VA_ARGS__}, \
	       sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void put(uint8_t *at, uint32_t value, unsigned int bytes)
{
	while (bytes) {
		at[--bytes] = value;
		value >>= 8;
	}
}

/* A transport header and payload; what is behind the frame's end is left out. */
static void build_transport(uint8_t *at, uint8_t proto)
{
	unsigned int words = rand() % 3 ? 8 : 5 + rand() % 11;

	put(at, ANY_OF(5001, 80, 53, 5000, 40000), 2);
	put(at + 2, ANY_OF(5001, 80, 53, 5002, 40000), 2);
	if (proto == 6) {
		put(at + 12, words << 4, 1);
		put(at + 13, ANY_OF(2, 0x12, 0x10, 0x18, 0x11, 4), 1);
		put(at + 4 * words, ANY_OF(0x47455420, 0x00010203), 4);
	} else if (proto == 17) {
		put(at + 4, 8 + rand() % 1400, 2);
		put(at + 8, ANY_OF(0x47455420, 0, 50), 4);
	} else {
		put(at, ANY_OF(0, 8, 128, 129), 1);
	}
}

static void build_ipv4(uint8_t *ip)
{
	unsigned int words = rand() % 3 ? 5 : 5 + rand() % 11;
	uint8_t proto = ANY_OF(1, 6, 6, 6, 17, 17, 17, 47);

	put(ip, 0x40 | words, 1);
	put(ip + 1, rand() % 3 ? 0 : rand(), 1);
	put(ip + 2, ANY_OF(84, 100, 60, 1500), 2);
	put(ip + 4, rand(), 2);
	put(ip + 6, ANY_OF(0, 0, 0, 0x4000, 0x2000, 0x2001, 0x00b9), 2);
	put(ip + 8, ANY_OF(64, 63, 1, 128), 1);
	put(ip + 9, proto, 1);
	put(ip + 12, ANY_OF(0x0a000101, 0x0a000201, 0xc0a80001), 4);
	put(ip + 16, ANY_OF(0x0a000101, 0x0a000201, 0xe0000001, 0xffffffff), 4);
	build_transport(ip + 4 * words, proto);
}

static void build_ipv6(uint8_t *ip)
{
	uint8_t proto = ANY_OF(6, 6, 17, 17, 58, 44, 0);

	put(ip, 0x60000000, 4);
	put(ip + 4, rand() % 1500, 2);
	put(ip + 6, proto, 1);
	put(ip + 7, ANY_OF(64, 63, 1, 255), 1);
	for (int at = 8; at < 40; at += 16) {
		memset(ip + at, 0, 16);
		put(ip + at, ANY_OF(0xfd010000, 0xfd020000, 0xff020000), 4);
		put(ip + at + 15, ANY_OF(1, 1, 2), 1);
	}
	if (proto == 44 || proto == 0) { /* one extension header of eight bytes */
		put(ip + 40, ANY_OF(6, 17, 58), 1);
		put(ip + 41, 0, 1);
		put(ip + 42, proto ? ANY_OF(1, 0x5a8) : 0x0502, 2);
		build_transport(ip + 48, ip[40]);
	} else {
		build_transport(ip + 40, proto);
	}
}

static void build_arp(uint8_t *arp)
{
	put(arp, 1, 2);
	put(arp + 2, 0x0800, 2);
	put(arp + 4, 0x0604, 2);
	put(arp + 6, ANY_OF(1, 2), 2);
	put(arp + 14, ANY_OF(0x0a000101, 0x0a000201), 4);
	put(arp + 24, 0x0a0001fe, 4);
}

/* Up to two labels, then IPv4. */
static void build_mpls(uint8_t *mpls)
{
	bool more = rand() % 2;

	put(mpls, ANY_OF(5) << 12 | !more << 8 | 64, 4);
	if (more)
		put(mpls + 4, ANY_OF(7) << 12 | 1 << 8 | 64, 4);
	build_ipv4(mpls + (more ? 8 : 4));
}

static void build_pppoe(uint8_t *pppoe)
{
	put(pppoe, 0x1100, 2);
	put(pppoe + 2, ANY_OF(3), 2);
	put(pppoe + 6, ANY_OF(0x21, 0x57), 2);
	if (pppoe[7] == 0x21)
		build_ipv4(pppoe + 8);
	else
		build_ipv6(pppoe + 8);
}

static void build_nothing(uint8_t *bytes)
{
	(void)bytes;
}

static void build_frame(struct frame *frame)
{
	static const struct {
		uint16_t ethertype;
		void (*build)(uint8_t *bytes);
	} kinds[] = {{0x0800, build_ipv4},   {0x0800, build_ipv4},  {0x0800, build_ipv4},
		     {0x86dd, build_ipv6},   {0x86dd, build_ipv6},  {0x0806, build_arp},
		     {0x8847, build_mpls},   {0x8864, build_pppoe}, {0x88b5, build_nothing},
		     {0x0100, build_nothing}};
	uint8_t bytes[2 * FRAME];
	size_t kind = rand() % (sizeof(kinds) / sizeof(kinds[0]));

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = rand();
	put(bytes + 12, kinds[kind].ethertype, 2);
	kinds[kind].build(bytes + ETHERNET);
	memcpy(frame->bytes, bytes, FRAME);
	frame->length = ETHERNET + (rand() % 3 ? rand() % 200 : rand() % 65000);
	frame->captured = frame->length < FRAME ? frame->length : FRAME;
}

/* The frame as it is, cut short anywhere, and with bytes changed. */
static void compare_variants(const char *expression, const struct filter *filter,
			     const struct bpf_program *program, const struct frame *frame)
{
	struct frame variant = *frame;

	compare(expression, filter, program, frame);
	for (uint32_t cut = ETHERNET; cut < frame->captured; cut++) {
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

		if (strstr(expressions[i], "broadcast")) /* needs a netmask */
			continue;
		compile_pcap(&program, expressions[i]);
		cr_assert_eq(filter_compile(&filter, expressions[i], reason), 0, "'%s': %s",
			     expressions[i], reason);
		cr_assert_null(vm_check(&filter), "'%s': %s", expressions[i], vm_check(&filter));
		answers[0] = answers[1] = false;
		compare_capture(expressions[i], &filter, &program, TEST_DATA "/routed-before.pcap");
		compare_capture(expressions[i], &filter, &program, TEST_DATA "/routed-after.pcap");
		for (int round = 0; round < 200; round++) {
			struct frame frame;

			build_frame(&frame);
			compare_variants(expressions[i], &filter, &program, &frame);
		}
		cr_expect(answers[1] && (answers[0] || !*expressions[i]), "'%s' tells nothing",
			  expressions[i]);
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
	for (int translated = 0; translated < 20000;) {
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
		if (cbpf_translate(&filter, code, program.bf_len, reason)) {
			cr_assert(strstr(reason, "in reach") || strstr(reason, "beyond"), "%s",
				  reason);
			continue;
		}
		translated++;
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

/* The interpreter is only as good as what it notices. */
Test(filter, the_interpreter_notices)
{
	cr_assert_null(vm_unnoticed(), "%s", vm_unnoticed());
}
