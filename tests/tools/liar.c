// SPDX-License-Identifier: GPL-2.0-only
/*
 * liar.c - broadcasts super-packets of two UDP datagrams, of which the IP header says that they are one of
 * two bytes: liar COUNT DEVICE.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

#define SEGMENT 1000

struct frame {
	struct virtio_net_hdr kernel; /* not sent */
	struct ether_header ethernet;
	struct iphdr ip;
	struct udphdr udp;
	char payload[SEGMENT + SEGMENT / 2];
} __attribute__((packed));

#define OFFSET(member) (offsetof(struct frame, member) - offsetof(struct frame, ethernet))

static const struct frame lie = {
	.kernel = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		   .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		   .hdr_len = OFFSET(payload),
		   .gso_size = SEGMENT,
		   .csum_start = OFFSET(udp),
		   .csum_offset = offsetof(struct udphdr, uh_sum)},
	.ethernet = {.ether_dhost = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
};

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP)};
	int count = argc == 3 ? atoi(argv[1]) : 0, one = 1, fd, err = 0;
	struct frame frame = lie;

	frame.ethernet.ether_type = htons(ETHERTYPE_IP);
	frame.ip.tot_len = htons(sizeof(frame.ip) + sizeof(frame.udp) + 2);
	frame.ip.saddr = htonl(0x0a000101);
	frame.ip.daddr = htonl(0x0a000201);
	frame.udp.uh_dport = htons(5001);
	frame.udp.uh_ulen = htons(sizeof(frame.udp) + sizeof(frame.payload));
	to.sll_ifindex = argc == 3 ? if_nametoindex(argv[2]) : 0;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		err = errno;
	for (int i = 0; i < count && !err; i++)
		if (sendto(fd, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			err = errno;
	if (err)
		fprintf(stderr, "liar: %s\n", strerror(err));
	if (fd >= 0)
		close(fd);
	return err != 0;
}
