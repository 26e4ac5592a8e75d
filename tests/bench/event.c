// SPDX-License-Identifier: GPL-2.0-only
/*
 * event.c - what an event costs in the kernel, net of an empty program at the same place.
 *
 * Tracepoints: small datagrams over a veth pair in a namespace of its own, one CPU sends while a thread
 * on another one drains the rings; the kernel's run-time statistics of the probe's program, and of an
 * empty one that runs for the same packets. tc: BPF_PROG_TEST_RUN of one packet, many times.
 * Prints NAME, tab, VALUE, tab, UNIT; medians over rounds. Needs root.
 *
 *   bench-event        everything
 *   bench-event tc     what needs no traffic
 *   bench-event hold   no measure: empty programs on the tracepoints, until a signal ends it
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/tracer.h"

#define ROUNDS       11
#define PACKETS      50000 /* of a round */
#define WARM_UP      1000
#define PAYLOAD      22 /* a frame of 64 bytes */
#define RING_SLOTS   65536
#define DRAIN_NS     1000000
#define TEST_REPEATS 60000
#define TC_ROUNDS    7

static uint32_t netns_inode;

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static _Noreturn void fail(const char *what, int err)
{
	fprintf(stderr, "event: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void make_network(void)
{
	static const char commands[] =
		"ip link set lo up && ip link add v1 type veth peer name v2 && "
		"ip link set v1 up && ip link set v2 up && "
		"ip address add 10.9.0.1/24 dev v1 && "
		"ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v1 nud permanent";
	struct stat st;

	if (unshare(CLONE_NEWNET))
		fail("cannot make a network namespace", -errno);
	if (system(commands))
		fail("cannot make a network", -EIO);
	if (stat("/proc/self/ns/net", &st))
		fail("cannot find the network namespace", -errno);
	netns_inode = st.st_ino;
}

static void send_packets(int count)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(5001),
				       .sin_addr.s_addr = inet_addr("10.9.0.2")};
	static int fd = -1;
	char payload[PAYLOAD];

	if (fd < 0) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)))
			fail("cannot open a socket", -errno);
	}
	for (int i = 0; i < count; i++) {
		memset(payload, 0, sizeof(payload));
		memcpy(payload, &i, sizeof(i));
		send(fd, payload, sizeof(payload), 0);
	}
}

struct drain {
	struct tracer *tracer;
	bool done;
	uint64_t events;
};

static void drain_once(struct drain *drain)
{
	for (unsigned int cpu = 0; cpu < tracer_cpus(drain->tracer); cpu++) {
		const struct vnt_slot *slot;

		while ((slot = tracer_next(drain->tracer, cpu)))
			drain->events += slot->kind == VNT_SLOT_EVENT;
		tracer_release(drain->tracer, cpu);
	}
}

static void *drain_thread(void *argument)
{
	const struct timespec pause = {.tv_nsec = DRAIN_NS};
	struct drain *drain = argument;

	pin(1);
	while (!__atomic_load_n(&drain->done, __ATOMIC_ACQUIRE)) {
		drain_once(drain);
		nanosleep(&pause, NULL);
	}
	drain_once(drain);
	return NULL;
}

static const struct bpf_insn empty_insns[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* An empty program on the tracepoint: what there is to pay before the first instruction. */
static int open_empty(const char *tracepoint, int *link)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char type[64];
	int fd;

	snprintf(type, sizeof(type), "btf_trace_%s", tracepoint);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF));
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", empty_insns, 2, &opts);
	btf__free(btf);
	if (fd < 0)
		fail("cannot load an empty program", -errno);
	*link = bpf_raw_tracepoint_open(NULL, fd);
	if (*link < 0)
		fail("cannot attach an empty program", -errno);
	return fd;
}

static struct tracer_cost empty_cost(int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		fail("cannot read a program's run time", -errno);
	return (struct tracer_cost){.runs = info.run_cnt, .run_ns = info.run_time_ns};
}

static double per_run(const struct tracer_cost *before, const struct tracer_cost *after)
{
	return (double)(after->run_ns - before->run_ns) / (double)(after->runs - before->runs);
}

struct row {
	const char *name;
	const char *device;
	enum vnt_direction direction;
	const char *filter;
	bool portable;
	bool recorded;
};

static const struct row rows[] = {
	{"tx, no filter", "v1", VNT_TX, NULL, false, true},
	{"tx, filter matches", "v1", VNT_TX, "udp port 5001", false, true},
	{"tx, filter does not match", "v1", VNT_TX, "udp port 5002", false, false},
	{"tx, another device", "lo", VNT_TX, "udp port 5001", false, false},
	{"rx, no filter", "v2", VNT_RX, NULL, false, true},
	{"rx, filter matches", "v2", VNT_RX, "udp port 5001", false, true},
	{"rx, filter does not match", "v2", VNT_RX, "udp port 5002", false, false},
	{"tx, filter matches, for all kernels", "v1", VNT_TX, "udp port 5001", true, true},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const tracepoints[VNT_DIRECTIONS] = {
	[VNT_RX] = "netif_receive_skb", [VNT_TX] = "net_dev_start_xmit"};

static struct tracer *open_row(const struct row *row, struct filter *filter, bool unattached)
{
	const struct devtable_probe probe = {{if_nametoindex(row->device), netns_inode},
					     row->direction};
	const struct tracer_options options = {.probes = &probe,
					       .nprobes = 1,
					       .filter = row->filter ? filter : NULL,
					       .ring_slots = RING_SLOTS,
					       .portable = row->portable,
					       .unattached = unattached,
					       .measure = true};
	char reason[TRACER_REASON_MAX];
	struct tracer *tracer;

	if (row->filter && filter_compile(filter, row->filter, reason))
		fail(reason, -EINVAL);
	if (tracer_open(&tracer, &options, reason))
		fail(reason, -EIO);
	return tracer;
}

/* Loaded anew each time: where the kernel puts the code makes a difference too. */
static double measure(const struct row *row)
{
	struct filter filter = {};
	struct drain drain = {.tracer = open_row(row, &filter, false)};
	struct tracer_cost before[TRACER_PROGRAMS], after[TRACER_PROGRAMS], none, some;
	int link, empty = open_empty(tracepoints[row->direction], &link);
	pthread_t thread;

	pthread_create(&thread, NULL, drain_thread, &drain);
	send_packets(WARM_UP);
	none = empty_cost(empty);
	tracer_costs(drain.tracer, before);
	send_packets(PACKETS);
	some = empty_cost(empty);
	tracer_costs(drain.tracer, after);
	__atomic_store_n(&drain.done, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (row->recorded ? drain.events < PACKETS : drain.events > 0)
		fail("not every packet was an event, or more than those", -EIO);
	close(link);
	close(empty);
	tracer_close(drain.tracer);
	filter_release(&filter);
	return per_run(&before[row->direction], &after[row->direction]) - per_run(&none, &some);
}

#define FRAME    64
#define TUNNELED (50 + FRAME)

/* One frame, as the kernel's test run takes it. */
static void make_frame(uint8_t *frame)
{
	static const uint8_t head[] = {
		2,    0,    0,    0,    0, 2,  2,    0, 0,  0,  0, 1, 8,  0, /* Ethernet */
		0x45, 0,    0,    50,   1, 2,  0x40, 0, 64, 17, 0, 0, 10, 9,
		0,    1,    10,   9,    0, 2,           /* IPv4 */
		0x9c, 0x40, 0x13, 0x89, 0, 30, 0,    0, /* UDP, port 5001 */
	};

	memset(frame, 'x', FRAME);
	memcpy(frame, head, sizeof(head));
}

/* The same in VXLAN. */
static void make_tunneled(uint8_t *frame)
{
	static const uint8_t head[] = {
		2,    0, 0,    0,    0, 4,  2,  0, 0,  0,  0, 3, 8,  0, /* Ethernet */
		0x45, 0, 0,    100,  1, 2,  0,  0, 64, 17, 0, 0, 10, 8,
		0,    1, 10,   8,    0, 2,         /* IPv4 */
		0xc0, 0, 0x12, 0xb5, 0, 80, 0,  0, /* UDP, port 4789 */
		8,    0, 0,    0,    0, 0,  42, 0, /* VXLAN */
	};

	memcpy(frame, head, sizeof(head));
	make_frame(frame + sizeof(head));
}

static double test_run(int fd, bool tunneled)
{
	uint8_t frame[TUNNELED];

	if (tunneled)
		make_tunneled(frame);
	else
		make_frame(frame);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = tunneled ? TUNNELED : FRAME, .repeat = TEST_REPEATS);
	if (bpf_prog_test_run_opts(fd, &opts))
		fail("cannot run a program", -errno);
	return opts.duration;
}

static int load_tc(const struct bpf_insn *insns, size_t count)
{
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "bench", "GPL", insns, count, NULL);

	if (fd < 0)
		fail("cannot load a program", -errno);
	return fd;
}

/* The floor: nothing but the clock. */
static void measure_clock(void)
{
	const struct bpf_insn insns[] = {{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns},
					 empty_insns[0],
					 empty_insns[1]};
	int empty = load_tc(empty_insns, 2), clock = load_tc(insns, 3);
	double net[TC_ROUNDS];

	for (int i = 0; i < TC_ROUNDS; i++)
		net[i] = test_run(clock, false) - test_run(empty, false);
	printf("tc, clock read alone\t%.1f\tns\n", median(net, TC_ROUNDS));
	close(empty);
	close(clock);
}

static void measure_tc(const char *name, const char *expression, bool recorded, bool tunneled)
{
	struct row row = {name, "lo", VNT_TX, expression, false, recorded};
	int empty = load_tc(empty_insns, 2);
	double net[TC_ROUNDS];

	for (int i = 0; i < TC_ROUNDS; i++) {
		struct filter filter = {};
		struct drain drain = {.tracer = open_row(&row, &filter, true)};

		net[i] = test_run(tracer_program_fd(drain.tracer, TRACER_TC), tunneled) -
			 test_run(empty, tunneled);
		drain_once(&drain);
		if (drain.events != (recorded ? TEST_REPEATS : 0))
			fail("not every run was an event, or more than those", -EIO);
		tracer_close(drain.tracer);
		filter_release(&filter);
	}
	printf("%s\t%.1f\tns\n", name, median(net, TC_ROUNDS));
	close(empty);
}

static int hold(void)
{
	int link;

	for (int i = 0; i < VNT_DIRECTIONS; i++)
		open_empty(tracepoints[i], &link);
	signal(SIGINT, SIG_DFL); /* which a shell ignores for its jobs in the background */
	puts("holding");
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	double net[ROWS][ROUNDS];

	if (argc > 1 && strcmp(argv[1], "hold") == 0)
		return hold();

	make_network();
	pin(0);
	measure_clock();
	measure_tc("tc, no filter", NULL, true, false);
	measure_tc("tc, filter matches", "udp port 5001", true, false);
	measure_tc("tc, filter does not match", "udp port 5002", false, false);
	measure_tc("tc, VXLAN, filter matches", "udp port 5001", true, true);
	measure_tc("tc, VXLAN, filter does not match", "udp port 5002", false, true);
	if (argc > 1)
		return 0;
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ROWS; i++)
			net[i][round] = measure(&rows[i]);
	for (size_t i = 0; i < ROWS; i++)
		printf("%s\t%.1f\tns\n", rows[i].name, median(net[i], ROUNDS));
	return 0;
}
