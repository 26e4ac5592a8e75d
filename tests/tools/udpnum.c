// SPDX-License-Identifier: GPL-2.0-only
/*
 * udpnum.c - sends numbered UDP datagrams, and counts them.
 *
 *   udpnum send COUNT SIZE ADDRESS PORT [RATE [TOGETHER [options]]]
 *   udpnum receive COUNT SECONDS ADDRESS PORT
 *
 * Datagram i starts with i as a 32-bit number in network order. RATE is in datagrams per second; as many
 * as TOGETHER are given to the kernel as one super-packet (UDP_SEGMENT). With `options`, each has an IPv6 header
 * for destination options.
 * The receiver prints how many different numbers below COUNT came, and how many after a higher one; ends
 * when all have or none came for SECONDS (the first: ten times as long), and fails unless all came, each once.
 */
#include <arpa/inet.h>
#include <netinet/udp.h>
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

static int send_numbers(int fd, uint32_t count, size_t size, long rate, uint32_t together)
{
	static char payload[SIZE_MAX_UDP];
	int64_t start = now_ns();

	memset(payload, 'n', sizeof(payload));
	for (uint32_t i = 0, n; i < count; i += n) {
		n = count - i < together ? count - i : together;
		if (rate)
			sleep_until(start + i * 1000000000LL / rate);
		for (uint32_t k = 0; k < n; k++) {
			uint32_t number = htonl(i + k);

			memcpy(payload + k * size, &number, sizeof(number));
		}
		if (send(fd, payload, n * size, 0) != (ssize_t)(n * size)) {
			fprintf(stderr, "udpnum: cannot send %u: %s\n", i, strerror(errno));
			return 1;
		}
	}
	return 0;
}

static int receive_numbers(int fd, uint32_t count, double seconds)
{
	uint8_t *seen = calloc(count, 1);
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint32_t number, different = 0, all = 0, highest = 0, overtaken = 0;
	int wait_ms = seconds * 10000;

	if (!seen)
		return 1;
	while (different < count && poll(&readable, 1, wait_ms) > 0) {
		if (recv(fd, &number, sizeof(number), MSG_TRUNC) < (ssize_t)sizeof(number))
			continue;
		wait_ms = seconds * 1000;
		number = ntohl(number);
		all++;
		overtaken += number < highest;
		highest = number > highest ? number : highest;
		if (number < count && !seen[number]) {
			seen[number] = 1;
			different++;
		}
	}
	free(seen);
	printf("%u %u\n", different, overtaken);
	return different != count || all != count;
}

static int usage(void)
{
	fprintf(stderr, "usage: udpnum send COUNT SIZE ADDRESS PORT [RATE [TOGETHER [options]]]\n"
			"       udpnum receive COUNT SECONDS ADDRESS PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	const uint8_t padding[8] = {[2] = 1, [3] = 4}; /* PadN */
	bool listening = argc > 1 && !strcmp(argv[1], "receive");
	uint32_t count;
	long number, rate = argc > 6 ? strtol(argv[6], NULL, 10) : 0;
	long together = argc > 7 ? strtol(argv[7], NULL, 10) : 1;
	int fd, err;

	if (argc < 6 || argc > 9 || (!listening && strcmp(argv[1], "send")))
		return usage();
	count = strtoul(argv[2], NULL, 10);
	number = strtol(argv[3], NULL, 10);
	if (!count || number < (listening ? 0 : 4) || together < 1 ||
	    number * together > SIZE_MAX_UDP)
		return usage();
	fd = open_socket(argv[4], argv[5], listening);
	if (fd < 0)
		return 1;
	if (together > 1 && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &(int){number}, sizeof(int))) {
		perror("udpnum: cannot set UDP_SEGMENT");
		return 1;
	}
	if (argc > 8 && setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding))) {
		perror("udpnum: cannot set IPV6_DSTOPTS");
		return 1;
	}
	err = listening ? receive_numbers(fd, count, strtod(argv[3], NULL))
			: send_numbers(fd, count, number, rate, together);
	close(fd);
	return err;
}
