// SPDX-License-Identifier: GPL-2.0-only
/* stamper.c - stamps as kernels before 6.6 do, without links: stamper DEVICE, until a signal. */
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/stamp.h"

int main(int argc, char **argv)
{
	struct device device = {.ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0};
	const struct device *devices = &device;
	const struct stamp_options options = {
		.protocols = STAMP_UDP, .devices = &devices, .ndevices = 1, .portable = true};
	char reason[TRACER_REASON_MAX];
	struct stamp *stamp;
	struct stat netns;
	sigset_t set;
	int signal;

	if (!device.ifindex || stat("/proc/self/ns/net", &netns)) {
		fprintf(stderr, "usage: stamper DEVICE\n");
		return 2;
	}
	snprintf(device.name, sizeof(device.name), "%s", argv[1]);
	device.netns_inode = netns.st_ino;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (stamp_open(&stamp, &options, reason)) {
		fprintf(stderr, "stamper: %s\n", reason);
		return 1;
	}
	fprintf(stderr, "stamping, not tracing\n");
	sigwait(&set, &signal);
	stamp_close(stamp);
	return 0;
}
