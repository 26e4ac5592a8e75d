// SPDX-License-Identifier: GPL-2.0-only
/*
 * headers.c - both ways of the probes to read a packet's header see the same: `headers COUNT` traces
 * lo with the programs for new kernels and, at the same time, with those for all kernels, sends COUNT
 * datagrams of many sizes over it, and compares the events. Run it in a namespace of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/tracer.h"

#define SIZES      1400
#define VXLAN_PORT 4789
#define WAYS       2

/* What a datagram starts with. */
static const uint8_t vxlan[] = {
	8,    0, 0, 0,  0, 0,  42, 0,                                      /* VXLAN */
	2,    0, 0, 0,  0, 2,  2,  0, 0, 0,  0, 1, 8, 0,                   /* Ethernet */
	0x45, 0, 1, 44, 1, 2,  0,  0, 9, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, /* IPv4 */
	0,    9, 0, 9,  1, 24, 0,  0,                                      /* UDP */
};

static int send_to(int sock, uint16_t port, int i)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	uint8_t bytes[SIZES];

	memset(bytes, i, sizeof(bytes));
	if (port == VXLAN_PORT)
		memcpy(bytes, vxlan, sizeof(vxlan));
	if (sendto(sock, bytes, i % SIZES, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int bind_to(uint16_t port)
{
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	if (sock < 0 || bind(sock, (const struct sockaddr *)&to, sizeof(to)))
		return -errno;
	return sock;
}

/* Every other one with a packet in it, or with as much of it as there is room for. */
static int send_datagrams(int count)
{
	static const uint16_t ports[2] = {5001, VXLAN_PORT};
	int bound[2] = {bind_to(ports[0]), bind_to(ports[1])}, err = 0;

	if (bound[0] < 0 || bound[1] < 0)
		return -EADDRINUSE;
	for (int i = 0; !err && i < count; i++)
		err = send_to(bound[0], ports[i % 2], i);
	close(bound[0]);
	close(bound[1]);
	return err;
}

static int open_tracer(struct tracer **tracer, bool portable)
{
	const uint32_t lo = if_nametoindex("lo");
	char reason[TRACER_REASON_MAX];
	struct stat netns;
	int err;

	if (!lo || stat("/proc/self/ns/net", &netns))
		return -errno;

	const struct devtable_probe probes[] = {
		{{.ifindex = lo, .netns = netns.st_ino}, VNT_RX},
		{{.ifindex = lo, .netns = netns.st_ino}, VNT_TX},
	};
	const struct tracer_options options = {
		.probes = probes, .nprobes = 2, .ring_slots = 65536, .portable = portable};

	err = tracer_open(tracer, &options, reason);
	if (err)
		fprintf(stderr, "headers: %s\n", reason);
	return err;
}

/* Events of all CPUs, one CPU after the other, without what two programs cannot agree on. */
static size_t take_events(struct tracer *tracer, struct vnt_event *events, size_t room)
{
	size_t count = 0;

	for (unsigned int cpu = 0; cpu < tracer_cpus(tracer); cpu++) {
		const struct vnt_slot *slot;

		while (count < room && (slot = tracer_next(tracer, cpu))) {
			if (slot->kind != VNT_SLOT_EVENT)
				continue;
			events[count] = slot->event;
			events[count++].time_ns = 0;
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0, err = 0;
	struct tracer *tracers[WAYS] = {};
	struct vnt_event *events[WAYS] = {};
	size_t counts[WAYS] = {};

	for (int way = 0; !err && way < WAYS; way++)
		err = open_tracer(&tracers[way], way);
	if (!err)
		err = send_datagrams(count);
	for (int way = 0; !err && way < WAYS; way++) {
		events[way] = calloc(2 * count + 1, sizeof(*events[way]));
		if (!events[way])
			err = -ENOMEM;
		else
			counts[way] = take_events(tracers[way], events[way], 2 * count + 1);
	}
	if (!err && (counts[0] != 2 * (size_t)count || counts[1] != counts[0] ||
		     memcmp(events[0], events[1], counts[0] * sizeof(*events[0]))))
		err = -EBADMSG;
	printf("%zu and %zu events: %s\n", counts[0], counts[1], err ? strerror(-err) : "equal");
	for (int way = 0; way < WAYS; way++) {
		tracer_close(tracers[way]);
		free(events[way]);
	}
	return err != 0;
}
