// SPDX-License-Identifier: GPL-2.0-only
/*
 * nest.c - the ring under probes that nest for real: `nest SECONDS SLOTS` lets the programs of
 * nest.bpf.c write to rings of SLOTS slots, reads every record and checks that each is whole, that
 * those of each context are in order, and that read + dropped = attempted. Fails also if no context
 * ever interrupted another one as it wrote. Needs root.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nest.h"
#include "nest.skel.h"

#define CPUS_MAX     CPU_SETSIZE
#define NS_PER_S     1000000000ull
#define SETTLE_NS    100000000ull /* until the last program has returned */
#define MORE_SECONDS 20
#define LARGE_RING   1024 /* slots */
#define BOLD_EVERY   64   /* how often a task writes though the ring is half full */

struct progress {
	__u64 position;
	__u64 next[NEST_CONTEXTS];
	__u64 read[NEST_CONTEXTS];
};

struct nest {
	struct nest_bpf *skeleton;
	unsigned int cpus;
	__u32 ring_slots;
	struct vnt_ring *rings;
	const struct vnt_slot *slots;
	const struct nest_counts *counts;
	struct bpf_link *links[NEST_CONTEXTS][CPUS_MAX];
	struct progress *progress;
	int stop;
};

struct hammer {
	struct nest *nest;
	unsigned int cpu;
	pthread_t thread;
	int err;
};

/* What interrupts: the clock of each CPU, and where there are counters, their NMI. */
static const struct sampler {
	enum nest_context context;
	const char *name;
	__u32 type;
	__u64 config;
} samplers[] = {
	{NEST_HARDIRQ, "clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
	{NEST_NMI, "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
};

#define SAMPLERS (sizeof(samplers) / sizeof(samplers[0]))

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The programs' map, in our memory; exits with us. */
static void *map(struct bpf_map *map, unsigned int entries)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	const size_t size = (size_t)entries * bpf_map__value_size(map);
	void *data = mmap(NULL, (size + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(map), 0);

	return data == MAP_FAILED ? NULL : data;
}

static int load(struct nest *nest)
{
	struct nest_bpf *skeleton = nest_bpf__open();
	int err;

	nest->skeleton = skeleton;
	if (!skeleton)
		return -errno;
	skeleton->rodata->ring_slots = nest->ring_slots;
	bpf_map__set_max_entries(skeleton->maps.rings, nest->cpus);
	bpf_map__set_max_entries(skeleton->maps.slots, nest->cpus * nest->ring_slots);
	bpf_map__set_max_entries(skeleton->maps.counts, nest->cpus);
	bpf_map__set_max_entries(skeleton->maps.tickers, nest->cpus);
	err = nest_bpf__load(skeleton);
	if (err)
		return err;
	nest->rings = map(skeleton->maps.rings, nest->cpus);
	nest->slots = map(skeleton->maps.slots, nest->cpus * nest->ring_slots);
	nest->counts = map(skeleton->maps.counts, nest->cpus);
	return nest->rings && nest->slots && nest->counts ? 0 : -errno;
}

/* The highest that is allowed. */
static long sample_rate(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_max_sample_rate", "r");
	char line[32] = "";

	if (!file)
		return 1000;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return line[0] ? strtol(line, NULL, 10) : 1000;
}

static int attach_sampler(struct nest *nest, const struct sampler *sampler, unsigned int cpu)
{
	struct bpf_program *program = sampler->context == NEST_NMI ? nest->skeleton->progs.nmi
								   : nest->skeleton->progs.hardirq;
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = sampler->type,
		.config = sampler->config,
		.freq = 1,
		.sample_freq = sample_rate(),
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *link;

	if (fd < 0)
		return -errno;
	link = bpf_program__attach_perf_event(program, fd);
	if (!link) {
		int err = -errno;

		close(fd);
		return err;
	}
	nest->links[sampler->context][cpu] = link;
	return 0;
}

/* Only the NMI may be missing. */
static int attach(struct nest *nest, const cpu_set_t *cpus)
{
	int err = 0;

	nest->links[NEST_TASK][0] = bpf_program__attach(nest->skeleton->progs.task);
	nest->links[NEST_SOFTIRQ][0] = bpf_program__attach(nest->skeleton->progs.softirq);
	if (!nest->links[NEST_TASK][0] || !nest->links[NEST_SOFTIRQ][0])
		return -errno;
	for (size_t i = 0; i < SAMPLERS; i++) {
		for (unsigned int cpu = 0; !err && cpu < nest->cpus; cpu++)
			if (CPU_ISSET(cpu, cpus))
				err = attach_sampler(nest, &samplers[i], cpu);
		if (err && samplers[i].context != NEST_NMI)
			return err;
		if (err)
			printf("no NMI here: cannot sample %s: %s\n", samplers[i].name,
			       strerror(-err));
	}
	return 0;
}

static void detach(struct nest *nest)
{
	for (int context = 0; context < NEST_CONTEXTS; context++)
		for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++)
			bpf_link__destroy(nest->links[context][cpu]);
}

static int start_ticker(const struct nest *nest)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err =
		bpf_prog_test_run_opts(bpf_program__fd(nest->skeleton->progs.start_ticker), &opts);

	return err || !opts.retval ? err : -EIO;
}

static void *hammer(void *argument)
{
	struct hammer *hammer = argument;
	struct nest *nest = hammer->nest;
	struct vnt_ring *ring = &nest->rings[hammer->cpu];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(hammer->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
		hammer->err = -errno;
		return NULL;
	}
	hammer->err = start_ticker(nest);
	for (unsigned int i = 0; !__atomic_load_n(&nest->stop, __ATOMIC_RELAXED); i++) {
		__u64 used = VNT_READ_ONCE(ring->head) - vnt_ring_tail(ring);

		/* A full ring would leave nothing to interrupt. */
		if (used <= nest->ring_slots / 2 || i % BOLD_EVERY == 0)
			syscall(NEST_SYSCALL);
		else
			sched_yield();
	}
	return NULL;
}

static bool is_whole(const struct nest *nest, const struct vnt_slot *slot, unsigned int cpu,
		     __u64 position)
{
	const __u64 number = slot->event.time_ns;

	if (slot->kind >= NEST_CONTEXTS || slot->follow != (number & 1 ? NEST_LARGE - 1 : 0) ||
	    slot->event.flow != number * 3 || slot->event.key != number * 7 ||
	    slot->event.length != (__u32)number || slot->event.payload != (__u32)~number)
		return false;
	for (__u32 i = 1; i <= slot->follow; i++) {
		const __u32 index = vnt_slot_index(cpu, nest->ring_slots, position + i);

		for (int byte = 0; byte < VNT_SLOT_BYTES; byte++)
			if (nest->slots[index].bytes[byte] != nest_byte(slot->kind, number, i))
				return false;
	}
	return true;
}

/* Reads what is published; -EBADMSG if a record is not what was written, or out of order. */
static int drain(struct nest *nest, unsigned int cpu)
{
	const struct vnt_slot *slots = nest->slots + vnt_slot_index(cpu, nest->ring_slots, 0),
			      *slot;
	struct progress *progress = &nest->progress[cpu];

	while ((slot = vnt_ring_peek(slots, nest->ring_slots, progress->position))) {
		const __u64 number = slot->event.time_ns;

		if (!is_whole(nest, slot, cpu, progress->position) ||
		    number < progress->next[slot->kind]) {
			printf("cpu %u, position %llu: context %u, number %llu, %u follow: wrong\n",
			       cpu, progress->position, slot->kind, number, slot->follow);
			return -EBADMSG;
		}
		progress->next[slot->kind] = number + 1;
		progress->read[slot->kind]++;
		progress->position += 1 + slot->follow;
		vnt_ring_release(&nest->rings[cpu], progress->position);
	}
	return 0;
}

static int drain_until(struct nest *nest, __u64 end_ns)
{
	int err = 0;

	while (!err && now_ns() < end_ns) {
		for (unsigned int cpu = 0; !err && cpu < nest->cpus; cpu++)
			err = drain(nest, cpu);
		sched_yield();
	}
	return err;
}

/* Records lay within records, and these in others, for which a small ring rarely has room. */
static bool has_nested(const struct nest *nest)
{
	__u64 softirq = 0, hardirq = 0, deeper = 0;

	for (unsigned int cpu = 0; cpu < nest->cpus; cpu++) {
		softirq += nest->counts[cpu].nested[NEST_SOFTIRQ];
		hardirq += nest->counts[cpu].nested[NEST_HARDIRQ];
		deeper += nest->counts[cpu].deeper;
	}
	return softirq && hardirq && (deeper || nest->ring_slots < LARGE_RING);
}

/* Tasks call, everything interrupts them, we read; then all come to rest. On a busy machine it may take long
 * until all have met. */
static int run(struct nest *nest, const cpu_set_t *cpus, double seconds)
{
	struct hammer hammers[CPUS_MAX] = {};
	unsigned int started = 0;
	int err = 0;

	for (unsigned int cpu = 0; !err && cpu < nest->cpus; cpu++) {
		if (!CPU_ISSET(cpu, cpus))
			continue;
		hammers[started] = (struct hammer){.nest = nest, .cpu = cpu};
		err = -pthread_create(&hammers[started].thread, NULL, hammer, &hammers[started]);
		if (!err)
			started++;
	}
	if (!err)
		err = drain_until(nest, now_ns() + (__u64)(seconds * 1e9));
	for (int more = 0; !err && more < MORE_SECONDS && !has_nested(nest); more++)
		err = drain_until(nest, now_ns() + NS_PER_S);
	__atomic_store_n(&nest->stop, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < started; i++) {
		pthread_join(hammers[i].thread, NULL);
		if (!err)
			err = hammers[i].err;
	}
	detach(nest);
	return err ? err : drain_until(nest, now_ns() + SETTLE_NS);
}

/* Adds up all CPUs and says so; -EBADMSG if one count is off by one. */
static int judge(const struct nest *nest)
{
	static const char *const names[] = {"task", "softirq", "hardirq", "nmi"};
	__u64 deeper = 0, nested[NEST_CONTEXTS] = {};
	int err = 0;

	for (int context = 0; context < NEST_CONTEXTS; context++) {
		__u64 attempted = 0, dropped = 0, read = 0;

		for (unsigned int cpu = 0; cpu < nest->cpus; cpu++) {
			const struct nest_counts *counts = &nest->counts[cpu];
			const struct progress *progress = &nest->progress[cpu];

			if (progress->read[context] + counts->dropped[context] !=
			    counts->attempted[context])
				err = -EBADMSG;
			attempted += counts->attempted[context];
			dropped += counts->dropped[context];
			nested[context] += counts->nested[context];
			read += progress->read[context];
			deeper += context ? 0 : counts->deeper;
		}
		printf("%s: %llu attempted, %llu read, %llu dropped, %llu nested\n", names[context],
		       attempted, read, dropped, nested[context]);
	}
	printf("%llu nested twice\n", deeper);
	if (!err && !has_nested(nest))
		err = -ENODATA;
	return err;
}

static int open_nest(struct nest *nest, const char *slots)
{
	const int cpus = libbpf_num_possible_cpus();
	const unsigned long count = strtoul(slots, NULL, 10);

	if (cpus < 0 || cpus > CPUS_MAX || count < VNT_SLOTS_MIN || count & (count - 1))
		return -EINVAL;
	nest->cpus = cpus;
	nest->ring_slots = count;
	nest->progress = calloc(cpus, sizeof(*nest->progress));
	return nest->progress ? load(nest) : -ENOMEM;
}

int main(int argc, char **argv)
{
	static struct nest nest;
	cpu_set_t cpus;
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: nest SECONDS SLOTS\n");
		return 2;
	}
	err = open_nest(&nest, argv[2]);
	if (!err && sched_getaffinity(0, sizeof(cpus), &cpus))
		err = -errno;
	if (!err)
		err = attach(&nest, &cpus);
	if (!err)
		err = run(&nest, &cpus, strtod(argv[1], NULL));
	if (!err)
		err = judge(&nest);
	if (err)
		fprintf(stderr, "nest: %s\n", strerror(-err));
	nest_bpf__destroy(nest.skeleton);
	free(nest.progress);
	return err != 0;
}
