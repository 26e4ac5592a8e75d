// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcptalk.c - a TCP connection that shows what iperf3's do not: a closed window with its probes, and
 * keep-alives.
 *
 *   tcptalk listen ADDRESS PORT           one connection; reads nothing for a while, then everything
 *   tcptalk send BYTES ADDRESS PORT       sends as much, then is silent for a while, then closes
 *
 * The listener prints how many bytes came.
 */
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEAF_US   1500000
#define SILENT_US 2500000
#define ALIVE_S   1

static int open_socket(const char *address, const char *port, bool listening)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const int on = 1, small = 8192, second = ALIVE_S;
	struct addrinfo *info;
	int fd;

	if (getaddrinfo(address, port, &hints, &info))
		return -1;
	fd = socket(info->ai_family, SOCK_STREAM, 0);
	if (listening) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	} else {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof(second));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &second, sizeof(second));
	}
	if (listening ? bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, 1)
		      : connect(fd, info->ai_addr, info->ai_addrlen)) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(info);
	return fd;
}

static int take(int listener)
{
	int fd = accept(listener, NULL, NULL);
	char bytes[4096];
	size_t all = 0;
	ssize_t n;

	if (fd < 0)
		return 1;
	usleep(DEAF_US);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		all += n;
	close(fd);
	printf("%zu\n", all);
	return n < 0;
}

static int give(int fd, size_t bytes)
{
	static const char zeros[4096];

	while (bytes) {
		ssize_t n = write(fd, zeros, bytes < sizeof(zeros) ? bytes : sizeof(zeros));

		if (n <= 0)
			return 1;
		bytes -= n;
	}
	usleep(SILENT_US);
	return 0;
}

int main(int argc, char **argv)
{
	bool listening = argc == 4 && !strcmp(argv[1], "listen");
	int fd, err;

	if (!listening && (argc != 5 || strcmp(argv[1], "send") != 0)) {
		fprintf(stderr, "usage: tcptalk listen ADDRESS PORT | send BYTES ADDRESS PORT\n");
		return 2;
	}
	fd = open_socket(argv[argc - 2], argv[argc - 1], listening);
	if (fd < 0) {
		perror("tcptalk");
		return 1;
	}
	err = listening ? take(fd) : give(fd, strtoul(argv[2], NULL, 10));
	close(fd);
	return err;
}
