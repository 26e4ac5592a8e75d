// SPDX-License-Identifier: GPL-2.0-only
/*
 * paged.c - broadcasts stamped UDP datagrams of which the kernel has no more than the headers in one
 * piece: paged COUNT DEVICE. Each is larger than a page, as the device's MTU must be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/stamp.h"

#define UDP_LENGTH 5000

struct frame {
	struct virtio_net_hdr kernel; /* not sent: says how much shall be in one piece */
	struct ether_header ethernet;
	struct iphdr ip;
	struct udphdr udp;
	char payload[UDP_LENGTH - sizeof(struct udphdr)];
	char trailer[VNT_STAMP_TRAILER];
} __attribute__((packed));

static void fill(struct frame *frame, uint32_t id)
{
	uint32_t trailer[3];

	*frame = (struct frame){
		.kernel.hdr_len = 64,
		.ethernet.ether_type = htons(ETHERTYPE_IP),
		.ip = {.version = 4,
		       .ihl = 5,
		       .tot_len = htons(sizeof(struct iphdr) + UDP_LENGTH + VNT_STAMP_TRAILER),
		       .ttl = 64,
		       .protocol = IPPROTO_UDP,
		       .saddr = htonl(0x0a000101),
		       .daddr = htonl(0x0a000201)},
		.udp = {.uh_dport = htons(5001), .uh_ulen = htons(UDP_LENGTH)},
	};
	memset(frame->ethernet.ether_dhost, 0xff, sizeof(frame->ethernet.ether_dhost));
	vnt_stamp_trailer(trailer, UDP_LENGTH, id);
	for (int i = 0; i < 3; i++)
		trailer[i] = htonl(trailer[i]);
	memcpy(frame->trailer, trailer, sizeof(trailer));
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP)};
	int count = argc == 3 ? atoi(argv[1]) : 0, one = 1, fd, err = 0;
	static struct frame frame;

	to.sll_ifindex = argc == 3 ? if_nametoindex(argv[2]) : 0;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		err = errno;
	for (int i = 0; i < count && !err; i++) {
		fill(&frame, i);
		if (sendto(fd, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			err = errno;
	}
	if (err)
		fprintf(stderr, "paged: %s\n", strerror(err));
	if (fd >= 0)
		close(fd);
	return err != 0;
}
