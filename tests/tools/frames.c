// SPDX-License-Identifier: GPL-2.0-only
/*
 * frames.c - broadcasts numbered frames of any EtherType: frames COUNT DEVICE ETHERTYPE [ETHERTYPE]...
 * Each but the last EtherType is that of a VLAN tag, which is in the frame.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAGS_MAX 4

int main(int argc, char **argv)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_halen = 6,
		.sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	};
	uint32_t payload[12] = {0}, count;
	int fd, err = 0, tags = argc - 4;

	if (tags < 0 || tags > TAGS_MAX) {
		fprintf(stderr, "usage: frames COUNT DEVICE ETHERTYPE [ETHERTYPE]...\n");
		return 2;
	}
	count = strtoul(argv[1], NULL, 0);
	to.sll_ifindex = if_nametoindex(argv[2]);
	to.sll_protocol = htons(strtoul(argv[3], NULL, 0));
	for (int i = 0; i < tags; i++) /* VLAN 100, 101, ... */
		payload[i] = htonl((100u + i) << 16 | strtoul(argv[4 + i], NULL, 0));
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (uint32_t i = 0; i < count && !err; i++) {
		payload[tags] = htonl(i);
		if (sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			err = errno;
	}
	if (err)
		fprintf(stderr, "frames: %s: %s\n", argv[2], strerror(err));
	if (fd >= 0)
		close(fd);
	return err != 0;
}
