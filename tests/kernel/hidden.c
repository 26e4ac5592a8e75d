// SPDX-License-Identifier: GPL-2.0-only
/*
 * hidden.c - packets that the kernel shows to no program: `hidden` says "counting", and when it gets SIGINT
 * or SIGTERM how many packets were sent or received since for which no BPF program was run.
 *
 * Some kernels hide a task from everything that traces: while it runs, no program is, and so those packets
 * are unseen that its softirqs handle. Only a perf counter of the tracepoint has them. Needs root.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hidden.skel.h"

#define TRACEFS "/sys/kernel/tracing"

static const char *const tracepoints[] = {"net_dev_start_xmit", "netif_receive_skb"};

#define TRACEPOINTS (sizeof(tracepoints) / sizeof(tracepoints[0]))

/* Seen by nobody else, if it is not there already. */
static int mount_tracefs(void)
{
	if (!access(TRACEFS "/events", F_OK))
		return 0;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		return -errno;
	return 0;
}

static int tracepoint_id(const char *name, uint64_t *id)
{
	char path[128];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), TRACEFS "/events/net/%s/id", name);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	n = fscanf(file, "%" SCNu64, id);
	fclose(file);
	return n == 1 ? 0 : -EINVAL;
}

/* Counts on all CPUs that are online. */
static int open_counters(int *fds, int cpus)
{
	for (size_t i = 0; i < TRACEPOINTS; i++) {
		struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr)};
		uint64_t id;
		int err = tracepoint_id(tracepoints[i], &id);

		if (err)
			return err;
		attr.config = id;
		for (int cpu = 0; cpu < cpus; cpu++) {
			*fds = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);
			if (*fds++ < 0 && errno != ENODEV)
				return -errno;
		}
	}
	return 0;
}

static int64_t sum_counters(const int *fds, size_t n)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t count;

		if (fds[i] >= 0 && read(fds[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	}
	return sum;
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "hidden: %s: %s\n", what, strerror(-err));
	return 1;
}

int main(void)
{
	struct hidden_bpf *skeleton = hidden_bpf__open_and_load();
	const int cpus = libbpf_num_possible_cpus();
	int *fds = cpus > 0 ? calloc(TRACEPOINTS * cpus, sizeof(*fds)) : NULL;
	int64_t hidden;
	sigset_t end;
	int err, got;

	if (!fds)
		return fail("counters", cpus < 0 ? cpus : -ENOMEM);
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	err = skeleton ? hidden_bpf__attach(skeleton) : -errno;
	if (err)
		return fail("programs", err);
	err = mount_tracefs();
	if (err)
		return fail(TRACEFS, err);
	err = open_counters(fds, cpus);
	if (err)
		return fail("counters", err);
	/* What comes between two readings is only ever counted too much. */
	hidden = (int64_t)skeleton->bss->runs;
	puts("counting");
	fflush(stdout);
	sigwait(&end, &got);
	hidden -= (int64_t)skeleton->bss->runs;
	hidden += sum_counters(fds, TRACEPOINTS * cpus);
	printf("%" PRId64 "\n", hidden);
	fflush(stdout); /* before the kernel takes its time to release all */
	hidden_bpf__destroy(skeleton);
	free(fds);
	return 0;
}
