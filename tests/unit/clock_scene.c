// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock_scene.h"
#include "lib/array.h"
#include "lib/merge.h"
#include "lib/writer.h"

#define START_NS  5e9 /* true time of the first packet */
#define SECOND    1e9
#define ANCHOR_NS 1e8
#define READ_NS   25 /* one reading of a clock */
#define JITTER_US 2.0
#define EARLY_NS  200000
#define TICK_FLOW 100000

enum {
	RX,
	TX,
	PROBES
};

/* True times are nanoseconds. */
struct host {
	double offset_ns;
	double drift;
	double wander;
	double period_ns;
	double phase;
	double ntp; /* the lasting correction of its frequency */
	double slew;
	double slew_from_ns;
	double slew_to_ns;
	double step_at_ns; /* the raw clock gains step_ns here */
	double step_ns;
	double slept_at_ns; /* both clocks stand still for sleep_ns, and nothing is seen */
	double sleep_ns;
	struct vnt_event *events;
	size_t count;
	size_t room;
};

struct stage {
	const struct scene *scene;
	uint64_t random;
	struct host hosts[SCENE_HOSTS_MAX];
	uint64_t packets;
	double ticks[SCENE_HOSTS_MAX][SCENE_TICKS];
};

/* A queue as at a server that is busy half of the time; one busy for 95 % of it; one that always is. */
#define WAY(us, packets)                                                    \
	{                                                                   \
		.base = us, .rate = packets, .queue = 10, .queue_odds = 0.5 \
	}
#define BUSY(us, packets)                                                     \
	{                                                                     \
		.base = us, .rate = packets, .queue = 200, .queue_odds = 0.95 \
	}
#define FULL(us, packets)                                                    \
	{                                                                    \
		.base = us, .rate = packets, .queue = 20, .never_idle = true \
	}
#define MESH                                                                                 \
	.seconds = 10, .hosts = 8, .forth = WAY(10, 500), .back = WAY(10, 500), .mesh = 0.3, \
	.mixed = true

const struct scene scenes[] = {
	{"symmetric, 1k packets/s, 10 s", 10, 2, WAY(10, 1000), WAY(10, 1000), .target = 0.1},
	{"queues 200 us one way, 10 the other", 10, 2, BUSY(10, 1000), WAY(10, 1000),
	 .target = 0.25},
	{"one direction never idle", 10, 2, FULL(10, 1000), WAY(10, 1000), .target = 1},
	{"20 packets each way", 10, 2, WAY(10, -20), WAY(10, -20), .target = 10},
	{"600 s, +-0.5 ppm wander", 600, 2, WAY(10, 1000), WAY(10, 1000), .wander_ppm = 0.5,
	 .target = 0.1},
	{"50 ppm NTP slew for 10 of 60 s", 60, 2, WAY(10, 1000), WAY(10, 1000), .slew_ppm = 50,
	 .target = 0.2},
	{"path 30 us one way, 10 the other", 10, 2, WAY(30, 1000), WAY(10, 1000)},
	{"1e-4 stamps early by 200 us", 10, 2, WAY(10, 1000), WAY(10, 1000), .early_odds = 1e-4,
	 .target = 0.1},
	{"a router between two hosts", 10, 3, WAY(10, 1000), WAY(10, 1000), .forwards = true,
	 .target = 0.1},
	{"eight hosts, 30 % mesh: spanning tree", MESH, .tree = true},
	{"eight hosts, 30 % mesh", MESH},
	{0},
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Above 0 and up to 1. */
static double uniform(struct stage *stage)
{
	return (double)((next_random(&stage->random) >> 11) + 1) / 9007199254740992.0;
}

static double between(struct stage *stage, double from, double to)
{
	return from + (to - from) * uniform(stage);
}

static double exponential(struct stage *stage, double mean)
{
	return -mean * log(uniform(stage));
}

static long double awake(const struct host *host, double true_ns)
{
	if (true_ns < host->slept_at_ns)
		return true_ns;
	return true_ns < host->slept_at_ns + host->sleep_ns ? host->slept_at_ns
							    : (long double)true_ns - host->sleep_ns;
}

/* CLOCK_MONOTONIC_RAW */
static long double raw_clock(const struct host *host, double true_ns)
{
	long double ns = awake(host, true_ns);
	long double wander =
		host->wander * host->period_ns / (2 * M_PI) *
		(cosl(host->phase) - cosl(host->phase + 2 * M_PI * ns / host->period_ns));

	return host->offset_ns + ns * (1 + (long double)host->drift) + wander +
	       (true_ns >= host->step_at_ns ? host->step_ns : 0);
}

/* CLOCK_MONOTONIC */
static long double mono_clock(const struct host *host, double true_ns)
{
	long double ns = awake(host, true_ns);
	double slewed = fmin(fmax((double)ns - host->slew_from_ns, 0),
			     host->slew_to_ns - host->slew_from_ns);

	return raw_clock(host, true_ns) + ns * host->ntp + slewed * host->slew;
}

static uint64_t flow_of(size_t from, size_t to)
{
	return 1 + from * SCENE_HOSTS_MAX + to;
}

static void add_event(struct stage *stage, size_t host, double true_ns, int probe, uint64_t flow,
		      uint64_t key)
{
	struct host *at = &stage->hosts[host];
	long double time_ns = mono_clock(at, true_ns);

	if (true_ns >= at->slept_at_ns && true_ns < at->slept_at_ns + at->sleep_ns)
		return;
	if (host == 1 && (flow == flow_of(1, 2) || flow == flow_of(2, 1)))
		time_ns += stage->scene->liar_us * 1e3;
	if (flow < TICK_FLOW && uniform(stage) < stage->scene->early_odds)
		time_ns -= EARLY_NS;
	if (array_reserve(&at->events, &at->room, at->count + 1, sizeof(*at->events)))
		err(1, "event");
	at->events[at->count++] = (struct vnt_event){
		.time_ns = (uint64_t)llroundl(time_ns),
		.flow = flow,
		.key = key,
		.length = 100,
		.probe = probe,
	};
}

static double delay_us(struct stage *stage, const struct scene_way *way)
{
	double delay = way->base + exponential(stage, JITTER_US);

	if (way->never_idle)
		return delay + exponential(stage, way->queue / 2) +
		       exponential(stage, way->queue / 2);
	return delay + (uniform(stage) < way->queue_odds ? exponential(stage, way->queue) : 0);
}

static void send_packet(struct stage *stage, size_t from, size_t to, const struct scene_way *way,
			double sent_ns)
{
	double received_ns = sent_ns + delay_us(stage, way) * 1e3;
	uint64_t flow = flow_of(from, to), key = ++stage->packets;

	add_event(stage, from, sent_ns, TX, flow, key);
	add_event(stage, to, received_ns, RX, flow, key);
	if (!stage->scene->forwards)
		return;
	/* From 0 over 1 to 2, or back: host 1's other device has probes of its own. */
	sent_ns = received_ns + between(stage, 3e3, 9e3);
	received_ns = sent_ns + delay_us(stage, way) * 1e3;
	add_event(stage, to, sent_ns, PROBES + TX, flow, key);
	add_event(stage, from ? 0 : 2, received_ns, RX, flow, key);
}

static void send_all(struct stage *stage, size_t from, size_t to, const struct scene_way *way)
{
	double length = stage->scene->seconds * SECOND, at = 0;

	for (double i = 0; i < -way->rate; i++)
		send_packet(stage, from, to, way, START_NS + between(stage, 0, length));
	while (way->rate > 0 && (at += exponential(stage, SECOND / way->rate)) < length)
		send_packet(stage, from, to, way, START_NS + at);
}

static void connect_hosts(struct stage *stage, size_t a, size_t b)
{
	struct scene_way forth = stage->scene->forth, back = stage->scene->back;
	uint64_t random = stage->random;

	/* A path's traffic is the same whatever other paths there are. */
	stage->random = random ^ (a * SCENE_HOSTS_MAX + b + 1) * 0xd1342543de82ef95;
	if (stage->scene->mixed) {
		forth.rate = back.rate = between(stage, 20, 1000);
		forth.queue_odds = between(stage, 0.3, 1);
		back.queue_odds = between(stage, 0.3, 1);
	}
	send_all(stage, a, b, &forth);
	send_all(stage, b, a, &back);
	stage->random = random;
}

struct edges {
	bool set[SCENE_HOSTS_MAX][SCENE_HOSTS_MAX];
};

/* In *tree the shortest way from host 0 to each. */
static void walk(const struct edges *edges, size_t hosts, struct edges *tree)
{
	size_t queue[SCENE_HOSTS_MAX] = {0}, end = 1;
	bool seen[SCENE_HOSTS_MAX] = {true};

	memset(tree, 0, sizeof(*tree));
	for (size_t at = 0; at < end; at++) {
		for (size_t i = 0; i < hosts; i++) {
			size_t a = queue[at] < i ? queue[at] : i;
			size_t b = queue[at] < i ? i : queue[at];

			if (seen[i] || !edges->set[a][b])
				continue;
			seen[i] = true;
			tree->set[a][b] = true;
			queue[end++] = i;
		}
	}
}

/* A random tree, so that all are connected, and of all pairs a random part. */
static void lay_mesh(struct stage *stage, struct edges *edges)
{
	const struct scene *scene = stage->scene;
	struct edges tree;

	for (size_t b = 1; b < scene->hosts; b++)
		edges->set[next_random(&stage->random) % b][b] = true;
	for (size_t a = 0; a < scene->hosts; a++)
		for (size_t b = a + 1; b < scene->hosts; b++)
			edges->set[a][b] |= uniform(stage) < scene->mesh;
	walk(edges, scene->hosts, &tree);
	if (scene->tree)
		*edges = tree;
}

static void make_traffic(struct stage *stage)
{
	const struct scene *scene = stage->scene;
	struct edges edges = {0};

	if (scene->forwards) {
		send_all(stage, 0, 1, &scene->forth);
		/* Packets of host 2 take the same way back. */
		send_all(stage, 2, 1, &scene->back);
		return;
	}
	for (size_t i = 1; i < scene->hosts && !(scene->mesh > 0); i++)
		edges.set[scene->apart ? i & ~1ul : 0][i] = true;
	if (scene->mesh > 0)
		lay_mesh(stage, &edges);
	for (size_t a = 0; a < scene->hosts; a++)
		for (size_t b = a + 1; b < scene->hosts; b++)
			if (edges.set[a][b])
				connect_hosts(stage, a, b);
}

static void make_ticks(struct stage *stage, size_t host)
{
	for (size_t i = 0; i < SCENE_TICKS; i++) {
		double *tick = &stage->ticks[host][i];

		*tick = START_NS +
			(i + uniform(stage)) * stage->scene->seconds * SECOND / SCENE_TICKS;
		add_event(stage, host, *tick, RX, TICK_FLOW + host, i);
	}
}

static void set_clock(struct stage *stage, size_t index)
{
	const struct scene *scene = stage->scene;
	double length = scene->seconds * SECOND;
	struct host *host = &stage->hosts[index];

	*host = (struct host){
		.offset_ns = between(stage, 1e12, 1e15),
		.drift = between(stage, 5, 50) * (uniform(stage) < 0.5 ? 1e-6 : -1e-6),
		.wander = scene->wander_ppm * 1e-6,
		.period_ns = between(stage, 250, 600) * SECOND,
		.phase = between(stage, 0, 2 * M_PI),
		.ntp = between(stage, -20e-6, 20e-6),
		.step_at_ns = INFINITY,
		.slept_at_ns = INFINITY,
	};
	host->slew_from_ns = START_NS + between(stage, 0.1, 0.8) * length;
	host->slew_to_ns = host->slew_from_ns + length / 6;
	if (index != 1)
		return;
	host->slew = scene->slew_ppm * 1e-6;
	if (scene->step_us != 0)
		host->step_at_ns = START_NS + length / 2;
	host->step_ns = scene->step_us * 1e3;
	if (scene->sleep_s > 0)
		host->slept_at_ns = START_NS + length / 2;
	host->sleep_ns = scene->sleep_s * SECOND;
}

/* As bpf/host.c reads them: RAW is the second of seven readings. One in a hundred is interrupted. */
static struct anchor_row read_anchor(struct stage *stage, const struct host *host, double true_ns)
{
	double delays[4] = {READ_NS, READ_NS, 4 * READ_NS, READ_NS}, at[4], now = true_ns;
	struct anchor_row anchor = {0};
	uint64_t before, after;

	if (uniform(stage) < 0.01)
		delays[next_random(&stage->random) % 4] += between(stage, 1e3, 3e4);
	for (size_t i = 0; i < 4; i++) {
		at[i] = now;
		now += delays[i] + between(stage, 0, 10);
	}
	before = (uint64_t)mono_clock(host, at[0]);
	anchor.raw_ns = (uint64_t)raw_clock(host, at[1]);
	anchor.real_ns = (uint64_t)(1.7e18L + at[2]);
	anchor.boot_ns = (uint64_t)(mono_clock(host, at[2]) + at[2] - awake(host, at[2]));
	after = (uint64_t)mono_clock(host, at[3]);
	anchor.mono_ns = before + (after - before) / 2;
	anchor.width_ns = after - before;
	return anchor;
}

static void put(struct writer *writer, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};
	int error = writer_put(writer, &batch);

	if (error)
		errx(1, "writer_put: %s", strerror(-error));
}

static int by_time(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return (a->key > b->key) - (a->key < b->key);
}

static void write_events(struct stage *stage, struct host *host, struct writer *writer)
{
	double end = START_NS + (stage->scene->seconds + 1) * SECOND;
	size_t at = 0;

	qsort(host->events, host->count, sizeof(*host->events), by_time);
	for (double now = START_NS - SECOND; now < end; now += ANCHOR_NS) {
		bool asleep = now >= host->slept_at_ns && now < host->slept_at_ns + host->sleep_ns;
		struct anchor_row anchor = read_anchor(stage, host, now);
		size_t first = at;

		while (at < host->count && host->events[at].time_ns < anchor.mono_ns)
			at++;
		if (at > first)
			put(writer, BATCH_EVENTS, &host->events[first], at - first);
		if (!asleep && !stage->scene->unanchored)
			put(writer, BATCH_ANCHORS, &anchor, 1);
	}
	put(writer, BATCH_EVENTS, &host->events[at], host->count - at);
}

/* Writes to fd. */
static void write_file(struct stage *stage, size_t index, int fd)
{
	static const char *const names[] = {"dev:eth0:rx", "dev:eth0:tx", "dev:eth1:rx",
					    "dev:eth1:tx"};
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.recording = {index + 1}};
	struct trace_info info = {0};
	struct writer *writer;

	snprintf(domain.name, sizeof(domain.name), "h%zu", index);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "boot-%zu", index);
	if (trace_info_add_domain(&info, &domain) < 0)
		err(1, "file");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(probe.name, sizeof(probe.name), "%s", names[i]);
		if (trace_info_add_probe(&info, &probe) < 0)
			errx(1, "probe");
	}
	if (writer_open(&writer, fd, &info))
		errx(1, "writer_open");
	write_events(stage, &stage->hosts[index], writer);
	writer_close(writer);
	trace_info_release(&info);
	free(stage->hosts[index].events);
}

static void keep_log(void *context, const char *line)
{
	struct scene_result *result = context;
	size_t used = strlen(result->log);

	snprintf(result->log + used, sizeof(result->log) - used, "%s\n", line);
}

static void take_tick(const struct stage *stage, const struct vnt_event *event, size_t host,
		      const struct domain *domain, struct scene_result *result)
{
	long double truth = mono_clock(&stage->hosts[0], stage->ticks[host][event->key]);
	double error = fabs((double)(event->time_ns - truth));
	int64_t bound = domain->clock.bound_ns;

	result->errors[result->count++] = error / 1e3;
	result->missed += bound >= 0 && error > (double)bound;
}

static void take_domains(const struct trace_info *info, struct scene_result *result)
{
	for (size_t i = 1; i < info->ndomains; i++) {
		const struct clock_fit *clock = &info->domains[i].clock;

		result->unbounded += clock->bound_ns < 0;
		result->not_fitted += strcmp(clock->method, "packets") != 0;
		result->bound = fmax(result->bound, (double)clock->bound_ns / 1e3);
		result->scatter = fmax(result->scatter, (double)clock->scatter_ns / 1e3);
		result->rejected += clock->rejected;
	}
}

static void merge_files(const struct stage *stage, struct reader **readers,
			struct scene_result *result)
{
	char reason[MERGE_REASON_MAX];
	struct merge *merge;
	struct batch batch;

	if (merge_open(&merge, readers, stage->scene->hosts, MERGE_CLOCK_AUTO, NULL, keep_log,
		       result, reason))
		errx(1, "%s", reason);
	take_domains(merge_info(merge), result);
	while (merge_next(merge, &batch) > 0) {
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++) {
			const struct vnt_event *event = &batch.events[i];
			size_t host = event->flow - TICK_FLOW;

			if (host && host < stage->scene->hosts)
				take_tick(stage, event, host, &merge_info(merge)->domains[host],
					  result);
		}
	}
	merge_close(merge);
}

static int by_size(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static struct stage *set_stage(const struct scene *scene, uint64_t seed)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	if (!stage)
		err(1, "scene");
	stage->scene = scene;
	stage->random = seed;
	for (size_t i = 0; i < scene->hosts; i++)
		set_clock(stage, i);
	make_traffic(stage);
	for (size_t i = 0; i < scene->hosts; i++)
		make_ticks(stage, i);
	return stage;
}

void scene_write(const struct scene *scene, uint64_t seed, const char *folder)
{
	struct stage *stage = set_stage(scene, seed);
	char path[4096];

	for (size_t i = 0; i < scene->hosts; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/h%zu.vnt", folder, i);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0)
			err(1, "%s", path);
		write_file(stage, i, fd);
		close(fd);
	}
	free(stage);
}

void scene_run(const struct scene *scene, uint64_t seed, struct scene_result *result)
{
	struct stage *stage = set_stage(scene, seed);
	struct reader *readers[SCENE_HOSTS_MAX];

	*result = (struct scene_result){0};
	result->errors = calloc(scene->hosts * SCENE_TICKS, sizeof(*result->errors));
	if (!result->errors)
		err(1, "scene");
	for (size_t i = 0; i < scene->hosts; i++) {
		int fd = memfd_create("scene", 0);

		if (fd < 0)
			err(1, "memfd_create");
		write_file(stage, i, fd);
		lseek(fd, 0, SEEK_SET);
		if (reader_open(&readers[i], fd, "scene", keep_log, result))
			errx(1, "reader_open");
	}
	merge_files(stage, readers, result);
	qsort(result->errors, result->count, sizeof(*result->errors), by_size);
	free(stage);
}

void scene_result_release(struct scene_result *result)
{
	free(result->errors);
	*result = (struct scene_result){0};
}
