/* SPDX-License-Identifier: GPL-2.0-only */
/* udp.h - what the UDP generators share: the clock, and an open socket or a line on stderr. */
#ifndef VNT_TOOLS_UDP_H
#define VNT_TOOLS_UDP_H

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_UDP 65507

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* A UDP socket, connected to the address or bound to it with a big buffer; -1 if there is none. */
static inline int open_socket(const char *address, const char *port, bool listening)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const int buffer = 1 << 22;
	struct addrinfo *info;
	int err, fd;

	err = getaddrinfo(address, port, &hints, &info);
	if (err) {
		fprintf(stderr, "%s %s: %s\n", address, port, gai_strerror(err));
		return -1;
	}
	fd = socket(info->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || (listening ? bind(fd, info->ai_addr, info->ai_addrlen)
				 : connect(fd, info->ai_addr, info->ai_addrlen))) {
		fprintf(stderr, "%s %s: %s\n", address, port, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (fd >= 0 && listening)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	freeaddrinfo(info);
	return fd;
}

#endif
