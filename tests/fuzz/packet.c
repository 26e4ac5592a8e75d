// SPDX-License-Identifier: GPL-2.0-only
/*
 * packet.c - what a probe makes of any bytes. libFuzzer target; an input is
 *
 *   byte 0     the EtherType, see below
 *   byte 1     how many pairs of bytes are in reach; 255: all
 *   from 2 on  the packet from its network header on
 *
 * Held against a second, plain parser (reference.h): the same packet inside, and over all inputs of a run
 * the same ID exactly for the same bytes that name it. No byte out of reach matters. Filters keep what
 * libpcap's interpreter keeps of the packet inside, and sampling does not depend on segmentation.
 */
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/sample.h"
#include "lib/tuple.h"
#include "reference.h"
#include "tests/lib/look.h"
#include "tests/unit/filter_vm.h"

#define PACKET_MAX 1024
#define NAMES      (1u << 18) /* direct-mapped: the newest of the same place is remembered */
#define FILTERS    3

static const uint16_t ethertypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x8847, 0x0806, 0x88b5, 4};

static const char *const expressions[FILTERS] = {
	"udp port 5001 or tcp port 80",
	"ip6 and greater 100 or arp or src host 10.9.0.1",
	"icmp or ip[8] < 5 or tcp[13] & 2 != 0 or udp[8:4] < 100",
};

/* Of the hash of one: the hash of the other. */
struct memory {
	uint64_t key[NAMES];
	uint64_t value[NAMES];
};

static struct {
	bool ready;
	struct vnt_ports ports;
	struct memory ids, names;
	struct filter filters[FILTERS];
	struct bpf_program programs[FILTERS];
} state;

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static void set_up(void)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	char reason[FILTER_REASON_MAX];

	vnt_ports_set(&state.ports, NULL, 0);
	for (int i = 0; i < FILTERS; i++) {
		check(!filter_compile(&state.filters[i], expressions[i], reason), expressions[i]);
		check(!pcap_compile(pcap, &state.programs[i], expressions[i], 1,
				    PCAP_NETMASK_UNKNOWN),
		      expressions[i]);
	}
	pcap_close(pcap);
	state.ready = true;
}

/* FNV-1a: nothing like vnt_mix(). */
static uint64_t hash(const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;
	uint64_t sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ byte[i]) * 0x100000001b3ull;
	return sum;
}

static bool agrees(struct memory *memory, uint64_t key, uint64_t value)
{
	uint32_t at = key % NAMES;
	bool known = memory->key[at] == key;
	bool same = !known || memory->value[at] == value;

	memory->key[at] = key;
	memory->value[at] = value;
	return same;
}

static void check_name(const struct look *look, const struct reference *reference)
{
	const uint64_t id[] = {look->packet.flow, look->packet.key};
	uint64_t a = hash(id, sizeof(id)), b = hash(reference->name, reference->size);

	check(agrees(&state.names, b, a), "the same packet has the same ID");
	/* Of a later fragment's bytes there are only 32 bits in it. */
	if (!(look->packet.flags & VNT_PACKET_LATER))
		check(agrees(&state.ids, a, b), "another packet has another ID");
}

static void check_flow(const struct look *look, const struct reference *reference)
{
	struct vnt_flow flow;

	vnt_packet_flow(&look->view, &look->packet, &flow);
	check(flow.ethertype == reference->ethertype, "the flow's EtherType");
	if (flow.ethertype == 0x0800 && reference->linear >= 20)
		check(!memcmp(flow.saddr, reference->bytes + 12, 4), "the flow's address");
	if (flow.ethertype == 0x86dd && reference->linear >= 40)
		check(!memcmp(flow.daddr, reference->bytes + 24, 16), "the flow's address");
}

static void check_sampling(const struct vnt_packet *packet)
{
	uint32_t part = packet->payload / 3, level;

	if (!(packet->flags & VNT_PACKET_TCP_DATA) || !part || packet->payload > VNT_SAMPLE_WINDOW)
		return;
	level = vnt_sample_level(packet->flow, packet->key, part, packet->flags);
	if (level > vnt_sample_level(packet->flow, packet->key + part, packet->payload - part,
				     packet->flags))
		level = vnt_sample_level(packet->flow, packet->key + part, packet->payload - part,
					 packet->flags);
	check(vnt_sample_level(packet->flow, packet->key, packet->payload, packet->flags) == level,
	      "segments are sampled as the whole");
}

static void check_filter(int i, const struct look *look, const struct reference *reference)
{
	uint32_t available = look->view.available;
	uint8_t frame[14 + VNT_HEADER_MAX] = {0};
	const char *fault = "none";
	int kept = vm_run(&state.filters[i], &look->view, &fault);

	check(kept >= 0, fault);
	frame[12] = reference->ethertype >> 8;
	frame[13] = reference->ethertype;
	memcpy(frame + 14, reference->bytes, available);
	check(kept == !!bpf_filter(state.programs[i].bf_insns, frame, 14 + look->view.length,
				   14 + available),
	      expressions[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct look seen = {.garbage = 0xa5}, other = {.garbage = 0x45};
	struct reference reference;
	uint32_t linear, ethertype;

	if (!state.ready)
		set_up();
	if (size < 2 || size > PACKET_MAX)
		return 0;
	ethertype = ethertypes[data[0] % (sizeof(ethertypes) / sizeof(ethertypes[0]))];
	size -= 2;
	linear = data[1] < 255 && 2u * data[1] < size ? 2u * data[1] : size;
	look_at(&seen, data + 2, linear, size, ethertype, &state.ports);
	look_at(&other, data + 2, linear, size, ethertype, &state.ports);
	reference_parse(&reference, data + 2, linear, size, ethertype, &state.ports);
	check(!memcmp(&seen.packet, &other.packet, sizeof(seen.packet)), "garbage changes nothing");
	check(seen.outer == other.outer, "garbage changes no tunnel");
	check(seen.ntunnels == reference.tunnels, "the number of tunnels");
	check(data + 2 + seen.offset == reference.bytes, "the innermost packet");
	check(seen.view.length == reference.length, "its length");
	check(seen.unread == reference.unread, "whether there is a stamp out of reach");
	if (!seen.unread)
		check_name(&seen, &reference);
	check_flow(&seen, &reference);
	check_sampling(&seen.packet);
	for (int i = 0; i < FILTERS; i++) {
		other.reach = state.filters[i].reach;
		look_at(&other, data + 2, linear, size, ethertype, &state.ports);
		check_filter(i, &other, &reference);
	}
	return 0;
}
