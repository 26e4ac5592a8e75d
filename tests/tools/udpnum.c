// SPDX-License-Identifier: GPL-2.0-only
/*
 * udpnum.c - sends numbered UDP datagrams, and counts them.
 *
 *   udpnum send COUNT SIZE ADDRESS PORT [RATE]
 *   udpnum receive COUNT SECONDS ADDRESS PORT
 *
 * Datagram i starts with i as a 32-bit number in network order. RATE is in datagrams per second.
 * The receiver prints how many different numbers below COUNT came, ends when all have or none came
 * for SECONDS, and fails unless all came, each once.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>

#include "udp.h"

static void sleep_until(int64_t time_ns)
{
	struct timespec until = {
		.tv_sec = time_ns / 1000000000,
		.tv_nsec = time_ns % 1000000000,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int send_numbers(int fd, uint32_t count, size_t size, long rate)
{
	static char payload[SIZE_MAX_UDP];
	int64_t start = now_ns();

	memset(payload, 'n', sizeof(payload));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = htonl(i);

		if (rate)
			sleep_until(start + i * 1000000000LL / rate);
		memcpy(payload, &number, sizeof(number));
		if (send(fd, payload, size, 0) != (ssize_t)size) {
			fprintf(stderr, "udpnum: cannot send %u: %s\n", i, strerror(errno));
			return 1;
		}
	}
	return 0;
}

static int receive_numbers(int fd, uint32_t count, int seconds)
{
	uint8_t *seen = calloc(count, 1);
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint32_t number, different = 0, all = 0;

	if (!seen)
		return 1;
	while (different < count && poll(&readable, 1, seconds * 1000) > 0) {
		if (recv(fd, &number, sizeof(number), MSG_TRUNC) < (ssize_t)sizeof(number))
			continue;
		number = ntohl(number);
		all++;
		if (number < count && !seen[number]) {
			seen[number] = 1;
			different++;
		}
	}
	free(seen);
	printf("%u\n", different);
	return different != count || all != count;
}

static int usage(void)
{
	fprintf(stderr, "usage: udpnum send COUNT SIZE ADDRESS PORT [RATE]\n"
			"       udpnum receive COUNT SECONDS ADDRESS PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool listening = argc > 1 && !strcmp(argv[1], "receive");
	uint32_t count;
	long number;
	int fd, err;

	if (argc < 6 || argc > 7 || (!listening && strcmp(argv[1], "send")))
		return usage();
	count = strtoul(argv[2], NULL, 10);
	number = strtol(argv[3], NULL, 10);
	if (!count || number < (listening ? 1 : 4) || number > SIZE_MAX_UDP)
		return usage();
	fd = open_socket(argv[4], argv[5], listening);
	if (fd < 0)
		return 1;
	err = listening
		      ? receive_numbers(fd, count, number)
		      : send_numbers(fd, count, number, argc == 7 ? strtol(argv[6], NULL, 10) : 0);
	close(fd);
	return err;
}
