// SPDX-License-Identifier: GPL-2.0-only
/*
 * udpflood.c - UDP datagrams at full speed.
 *
 *   udpflood send SECONDS SIZE ADDRESS PORT
 *   udpflood receive SECONDS ADDRESS PORT
 *
 * Both print datagrams per second, over SECONDS from the first one on. Datagrams are numbered as
 * those of udpnum.c, so that each is a different packet to the tracer. The sender does not mind if
 * nobody listens; the receiver gives up if nothing comes for two seconds.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "udp.h"

#define BATCH 64 /* datagrams per system call: the stack is to be the work, not its entry */

struct flood {
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	char payloads[BATCH][SIZE_MAX_UDP];
};

static void flood_init(struct flood *flood, size_t size)
{
	for (int i = 0; i < BATCH; i++) {
		flood->vectors[i] = (struct iovec){.iov_base = flood->payloads[i], .iov_len = size};
		flood->messages[i].msg_hdr.msg_iov = &flood->vectors[i];
		flood->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

/* Datagrams sent by one system call, or -1. */
static int send_batch(struct flood *flood, int fd, uint32_t first)
{
	int got;

	for (int i = 0; i < BATCH; i++) {
		uint32_t number = htonl(first + i);

		memcpy(flood->payloads[i], &number, sizeof(number));
	}
	do {
		got = sendmmsg(fd, flood->messages, BATCH, 0);
	} while (got < 0 && errno == ECONNREFUSED); /* which one before this one brought about */
	return got;
}

/* Never sleeps once datagrams come: to be woken up costs the sender a third of its time, or nothing if
 * the receiver is late, and what is measured would be which of the two. */
static int receive_batch(struct flood *flood, int fd, uint32_t first)
{
	int got = recvmmsg(fd, flood->messages, BATCH, first ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);

	return first && got < 0 && errno == EAGAIN ? 0 : got;
}

/* Batches until the time is over. The clock starts after the first one: the receiver does not know when
 * the sender begins. */
static int run(struct flood *flood, int fd, double seconds,
	       int (*batch)(struct flood *flood, int fd, uint32_t first))
{
	int got = batch(flood, fd, 0);
	int64_t start = now_ns(), end = start + seconds * 1e9, now = start;
	uint64_t count = 0;

	while (got >= 0 && now < end) {
		got = batch(flood, fd, count);
		if (got > 0)
			count += got;
		now = now_ns();
	}
	if (got < 0) {
		fprintf(stderr, "udpflood: %s\n", strerror(errno));
		return 1;
	}
	printf("%.0f\n", count * 1e9 / (now - start));
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: udpflood send SECONDS SIZE ADDRESS PORT\n"
			"       udpflood receive SECONDS ADDRESS PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool listening = argc == 5 && !strcmp(argv[1], "receive");
	const struct timeval patience = {.tv_sec = 2};
	static struct flood flood;
	double seconds;
	long size = 64;
	int fd, err;

	if (!listening && (argc != 6 || strcmp(argv[1], "send")))
		return usage();
	seconds = strtod(argv[2], NULL);
	if (!listening)
		size = strtol(argv[3], NULL, 10);
	if (seconds <= 0 || size < (long)sizeof(uint32_t) || size > SIZE_MAX_UDP)
		return usage();
	fd = open_socket(argv[argc - 2], argv[argc - 1], listening);
	if (fd < 0)
		return 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	flood_init(&flood, size);
	err = run(&flood, fd, seconds, listening ? receive_batch : send_batch);
	close(fd);
	return err;
}
