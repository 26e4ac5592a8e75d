// SPDX-License-Identifier: GPL-2.0-only
/*
 * udpsame.c - sends equal UDP datagrams, and checks every byte of them.
 *
 *   udpsame send COUNT SIZE ADDRESS PORT [GAP]
 *   udpsame receive COUNT SIZE ADDRESS PORT
 *
 * The IP ID is 0 unless they have to be fragmented: only a stamp tells them apart. GAP is in microseconds,
 * 200 by default. The receiver waits 2 s for the next one, and fails unless COUNT came and each was as it
 * was sent.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE_MAX_UDP 65507
#define SIZE_WHOLE   1472

static char payload[SIZE_MAX_UDP];

static int send_all(int fd, const struct addrinfo *to, long count, size_t size, unsigned int gap_us)
{
	const int whole = IP_PMTUDISC_DO; /* and not connected: Linux needs no ID then */

	if (to->ai_family == AF_INET && size <= SIZE_WHOLE &&
	    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole)))
		return errno;
	for (long i = 0; i < count; i++) {
		if (sendto(fd, payload, size, 0, to->ai_addr, to->ai_addrlen) < 0)
			return errno;
		if (gap_us)
			usleep(gap_us);
	}
	return 0;
}

static int receive_all(int fd, const struct addrinfo *at, long count, size_t size)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	static char got[SIZE_MAX_UDP];
	const int buffer = 1 << 22;
	long good = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (bind(fd, at->ai_addr, at->ai_addrlen))
		return errno;
	while (good < count && poll(&readable, 1, 2000) > 0) {
		if (recv(fd, got, sizeof(got), 0) != (ssize_t)size || memcmp(got, payload, size))
			return EBADMSG;
		good++;
	}
	return good == count ? 0 : ETIMEDOUT;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	bool sending = argc > 1 && strcmp(argv[1], "send") == 0;
	bool right = argc == 6 || (argc == 7 && sending);
	long count = right ? strtol(argv[2], NULL, 10) : 0;
	long size = right ? strtol(argv[3], NULL, 10) : -1;
	struct addrinfo *info;
	int fd, err;

	if (count < 1 || size < 0 || size > SIZE_MAX_UDP ||
	    getaddrinfo(argv[4], argv[5], &hints, &info)) {
		fprintf(stderr, "usage: udpsame send COUNT SIZE ADDRESS PORT [GAP]\n"
				"       udpsame receive COUNT SIZE ADDRESS PORT\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 7 + 1;
	fd = socket(info->ai_family, SOCK_DGRAM, 0);
	if (fd < 0)
		err = errno;
	else if (sending)
		err = send_all(fd, info, count, size, argc == 7 ? strtoul(argv[6], NULL, 10) : 200);
	else
		err = receive_all(fd, info, count, size);
	if (err)
		fprintf(stderr, "udpsame: %s\n", strerror(err));
	if (fd >= 0)
		close(fd);
	freeaddrinfo(info);
	return err != 0;
}
