// SPDX-License-Identifier: GPL-2.0-only
/*
 * forwarder.c - a wire between two devices that does to packets what networks do.
 *
 *   forwarder FROM TO twice EVERY          every EVERYth goes out twice
 *   forwarder FROM TO hold EVERY BEHIND    every EVERYth goes out behind the BEHIND that came after it
 *   forwarder FROM TO reverse BLOCK        each BLOCK of them goes out last one first
 *
 * Of frames from FROM to TO only TCP and UDP count, and the others go out at once, as all do from TO to
 * FROM. "forwarding" is printed when it does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_BYTES 2048
#define HELD_MAX    64

struct frame {
	size_t length;
	char bytes[FRAME_BYTES];
};

/* The way from one device to the other, and what it keeps back. */
struct way {
	int out;
	unsigned long every;
	unsigned long behind;
	unsigned long count;
	unsigned long nheld;
	struct frame held[HELD_MAX];
};

static int open_device(const char *name)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	const int on = 1, buffer = 1 << 24;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at))) {
		fprintf(stderr, "forwarder: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

static void put(int out, const struct frame *frame)
{
	if (send(out, frame->bytes, frame->length, 0) == (ssize_t)frame->length)
		return;
	perror("forwarder: cannot send");
	exit(1);
}

static void keep(struct way *way, const struct frame *frame)
{
	way->held[way->nheld++] = *frame;
}

static void twice(struct way *way, const struct frame *frame)
{
	put(way->out, frame);
	if (way->count % way->every == 0)
		put(way->out, frame);
}

static void hold(struct way *way, const struct frame *frame)
{
	if (way->count % way->every == 0) {
		keep(way, frame);
		return;
	}
	put(way->out, frame);
	if (way->nheld && way->count % way->every == way->behind)
		put(way->out, &way->held[--way->nheld]);
}

static void reverse(struct way *way, const struct frame *frame)
{
	keep(way, frame);
	while (way->count % way->every == 0 && way->nheld)
		put(way->out, &way->held[--way->nheld]);
}

static const struct {
	const char *name;
	int arguments;
	void (*forward)(struct way *way, const struct frame *frame);
} habits[] = {
	{"twice", 1, twice},
	{"hold", 2, hold},
	{"reverse", 1, reverse},
};

static bool get(int in, struct frame *frame)
{
	ssize_t n = recv(in, frame->bytes, sizeof(frame->bytes), 0);

	frame->length = n < 0 ? 0 : n;
	return frame->length >= ETH_HLEN;
}

/* TCP or UDP? */
static bool is_counted(const struct frame *frame)
{
	uint16_t ethertype;
	uint8_t proto = 0;

	memcpy(&ethertype, frame->bytes + offsetof(struct ethhdr, h_proto), sizeof(ethertype));
	if (ethertype == htons(ETH_P_IP))
		proto = frame->bytes[ETH_HLEN + offsetof(struct iphdr, protocol)];
	else if (ethertype == htons(ETH_P_IPV6))
		proto = frame->bytes[ETH_HLEN + offsetof(struct ipv6hdr, nexthdr)];
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static void serve(struct way *way, int in, void (*forward)(struct way *, const struct frame *))
{
	struct pollfd ends[] = {{.fd = in, .events = POLLIN}, {.fd = way->out, .events = POLLIN}};
	struct frame frame;

	while (poll(ends, 2, -1) > 0) {
		if (ends[1].revents && get(way->out, &frame))
			put(in, &frame);
		if (!ends[0].revents || !get(in, &frame))
			continue;
		if (is_counted(&frame)) {
			way->count++;
			forward(way, &frame);
		} else {
			put(way->out, &frame);
		}
	}
}

int main(int argc, char **argv)
{
	static struct way way;
	size_t i = 0;
	int in;

	while (argc > 4 && i < sizeof(habits) / sizeof(*habits) &&
	       (strcmp(habits[i].name, argv[3]) != 0 || argc != 4 + habits[i].arguments))
		i++;
	if (argc > 4) {
		way.every = strtoul(argv[4], NULL, 10);
		way.behind = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
	}
	if (argc <= 4 || i == sizeof(habits) / sizeof(*habits) || way.every < 2 ||
	    way.every > HELD_MAX || !way.behind || way.behind >= way.every) {
		fprintf(stderr, "usage: forwarder FROM TO twice EVERY | hold EVERY BEHIND | "
				"reverse BLOCK\n");
		return 2;
	}
	in = open_device(argv[1]);
	way.out = open_device(argv[2]);
	puts("forwarding");
	fflush(stdout);
	serve(&way, in, habits[i].forward);
	return 1;
}
