// SPDX-License-Identifier: GPL-2.0-only
/* corpus.c - inputs to start from: fuzz-corpus DIR [PCAP]... Captured packets, and tunnels of each kind. */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/layers.h"

static const char *directory;
static unsigned int written;

static void put(__u8 selector, const __u8 *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%05u", directory, written++);
	file = fopen(path, "w");
	if (!file || fwrite((__u8[]){selector, 255}, 2, 1, file) != 1 ||
	    fwrite(bytes, size, 1, file) != 1 || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void put_frame(const __u8 *frame, size_t size)
{
	static const __u16 types[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x8847, 0x0806};

	for (__u8 i = 0; size > 14 && i < sizeof(types) / sizeof(types[0]); i++)
		if (frame[12] == types[i] >> 8 && frame[13] == (types[i] & 0xff))
			put(i, frame + 14, size - 14);
}

static void put_layers(struct layers *p)
{
	__u8 frame[14 + LAYERS_MAX] = {[12] = p->ethertype >> 8, [13] = p->ethertype};

	memcpy(frame + 14, p->bytes + p->at, p->size);
	put_frame(frame, 14 + p->size);
}

static int put_capture(const char *path)
{
	char reason[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, reason);
	struct pcap_pkthdr *header;
	const u_char *frame;

	if (!pcap) {
		fprintf(stderr, "fuzz-corpus: %s\n", reason);
		return 1;
	}
	while (pcap_next_ex(pcap, &header, &frame) == 1)
		put_frame(frame, header->caplen);
	pcap_close(pcap);
	return 0;
}

/* Whose last bytes are a stamp, or not. */
static void make_udp(struct layers *p, bool stamped)
{
	__u32 trailer[3];

	layers_udp(p, 40000, 5001);
	if (!stamped)
		return;
	vnt_stamp_trailer(trailer, p->size - sizeof(trailer), 4711);
	for (int i = 0; i < 3; i++)
		trailer[i] = htonl(trailer[i]);
	memcpy(p->bytes + LAYERS_MAX - sizeof(trailer), trailer, sizeof(trailer));
	p->bytes[p->at + 5] -= sizeof(trailer);
}

static void make_tcp(struct layers *p, int which)
{
	const __u32 option[] = {htonl(VNT_STAMP_TCP), 4711};

	if (which & 4)
		layers_push(p, option, sizeof(option));
	layers_tcp(p, which);
	if (which & 4)
		p->bytes[p->at + 12] = 0x70;
}

/* `which` from 0 to 7: one bit each for UDP, IPv6, and a stamp. */
static void make_inner(struct layers *p, int which)
{
	__u8 proto = which & 1 ? VNT_PROTO_UDP : VNT_PROTO_TCP;

	layers_payload(p, which, 30);
	if (which & 1)
		make_udp(p, which & 4);
	else
		make_tcp(p, which);
	if (which & 2)
		layers_ipv6(p, proto, 9);
	else
		layers_ipv4(p, proto, 9);
}

/* Around what is there already; `kind` from 0 to 6. */
static void wrap(struct layers *p, int kind, bool six)
{
	__u8 proto = VNT_PROTO_UDP;

	switch (kind) {
	case 0:
		layers_vxlan(p, 42);
		layers_udp(p, 50000, 4789);
		break;
	case 1:
		layers_ethernet(p);
		layers_geneve(p, 7, 5);
		layers_udp(p, 50000, VNT_GENEVE_PORT);
		break;
	case 2:
		layers_gre(p, 0xb0, 9);
		proto = VNT_PROTO_GRE;
		break;
	case 3:
		proto = layers_proto(p);
		break;
	case 4:
		layers_tag(p, VNT_ETHERTYPE_VLAN, 100);
		return;
	case 5:
		layers_tag(p, VNT_ETHERTYPE_QINQ, 200);
		return;
	default:
		layers_mpls(p, 16);
		return;
	}
	if (six)
		layers_ipv6(p, proto, 1);
	else
		layers_ipv4(p, proto, 1);
}

int main(int argc, char **argv)
{
	int err = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: fuzz-corpus DIR [PCAP]...\n");
		return 2;
	}
	directory = argv[1];
	for (int i = 2; i < argc && !err; i++)
		err = put_capture(argv[i]);
	for (int i = 0; i < 8 * 7 * 7; i++) {
		struct layers p;

		make_inner(&p, i % 8);
		put_layers(&p);
		wrap(&p, i / 8 % 7, i % 3);
		put_layers(&p);
		wrap(&p, i / 56, i % 2);
		put_layers(&p);
	}
	return err;
}
