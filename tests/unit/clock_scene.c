// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock_stage.h"
#include "lib/merge.h"
#include "lib/ranges.h"
#include "lib/writer.h"

#define ANCHOR_NS       1e8
#define ANCHORS_PER_VMS 10
#define NAMES           (sizeof(names) / sizeof(names[0]))
#define READ_NS         25 /* one reading of a clock */

static const char *const names[] = {"dev:eth0:rx", "dev:eth0:tx", "dev:eth1:rx", "dev:eth1:tx"};

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

/* As bpf/host.c reads them: RAW is the second of seven readings. One in a hundred is interrupted. */
static struct anchor_row read_anchor(struct stage *stage, size_t index, double true_ns)
{
	const struct host *host = &stage->hosts[index];
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
	if (index == 1 && true_ns >= jump_of(stage->scene))
		anchor.real_ns += (uint64_t)(int64_t)(stage->scene->wall_us * 1e3);
	anchor.boot_ns = (uint64_t)mono_clock(host, at[2]);
	if (!stage->scene->unaware)
		anchor.boot_ns += (uint64_t)(at[2] - awake(host, at[2]));
	if (stage->scene->vms)
		anchor.tsc = counter(stage, index, at[3] - READ_NS);
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

static void put_epochs(struct writer *writer, uint64_t time_ns, bool active)
{
	struct epoch_row epochs[NAMES];

	for (size_t i = 0; i < NAMES; i++)
		epochs[i] = (struct epoch_row){.time_ns = time_ns, .probe = i, .active = active};
	put(writer, BATCH_EPOCHS, epochs, NAMES);
}

/* As bpf/vms.c reads them. */
static void put_vms(const struct stage *stage, struct writer *writer, double true_ns)
{
	const struct scene *scene = stage->scene;
	const struct host *owner = &stage->hosts[scene->vms_by];
	struct vm_row rows[SCENE_HOSTS_MAX + 1];
	size_t count = 0;

	for (size_t i = 0; i <= scene->hosts; i++)
		if (i == scene->hosts || (i != scene->vms_by && scene->vms != VMS_STRANGERS))
			rows[count++] = vm_of(stage, i, true_ns);
	if (scene->vms == VMS_TWINS) {
		rows[count] = rows[0];
		rows[count].vm++;
		rows[count++].offset += 2500;
	}
	for (size_t i = 0; i < count; i++) {
		rows[i].before_ns = (uint64_t)mono_clock(owner, true_ns);
		rows[i].after_ns = (uint64_t)mono_clock(owner, true_ns + 1e5);
	}
	put(writer, BATCH_VMS, rows, count);
}

static void write_events(struct stage *stage, size_t index, struct writer *writer)
{
	struct host *host = &stage->hosts[index];
	unsigned int turn = 0;
	double end = START_NS + (stage->scene->seconds + 1) * SECOND;
	size_t at = 0;

	qsort(host->events, host->count, sizeof(*host->events), by_time);
	put_epochs(writer, (uint64_t)mono_clock(host, START_NS - SECOND), true);
	for (double now = START_NS - SECOND; now < end; now += ANCHOR_NS) {
		bool asleep = now >= host->slept_at_ns && now < host->slept_at_ns + host->sleep_ns;
		struct anchor_row anchor = read_anchor(stage, index, now);
		size_t first = at;

		while (at < host->count && host->events[at].time_ns < anchor.mono_ns)
			at++;
		if (at > first)
			put(writer, BATCH_EVENTS, &host->events[first], at - first);
		if (!asleep && !stage->scene->unanchored)
			put(writer, BATCH_ANCHORS, &anchor, 1);
		if (stage->scene->vms && index == stage->scene->vms_by &&
		    turn++ % ANCHORS_PER_VMS == 0)
			put_vms(stage, writer, now + 1e3);
	}
	put(writer, BATCH_EVENTS, &host->events[at], host->count - at);
	put_epochs(writer, (uint64_t)mono_clock(host, end), false);
}

/* Writes to fd. */
static void write_file(struct stage *stage, size_t index, int fd)
{
	struct domain domain = {.clock_source = "tsc", .clock = {.method = "reference"}};
	struct probe probe = {.recording = {index + 1}};
	struct trace_info info = {0};
	struct writer *writer;

	if (stage->scene->vms == VMS_UNSTEADY)
		snprintf(domain.clock_source, sizeof(domain.clock_source), "hpet");
	snprintf(domain.name, sizeof(domain.name), "h%zu", index);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "boot-%zu", index);
	if (trace_info_add_domain(&info, &domain) < 0)
		err(1, "file");
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(probe.name, sizeof(probe.name), "%s", names[i]);
		if (trace_info_add_probe(&info, &probe) < 0)
			errx(1, "probe");
	}
	if (writer_open(&writer, fd, &info))
		errx(1, "writer_open");
	write_events(stage, index, writer);
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

struct bounds {
	const struct trace_info *info;
	struct ranges ranges;
};

static void take_tick(const struct stage *stage, const struct vnt_event *event, size_t host,
		      const struct bounds *bounds, struct scene_result *result)
{
	long double truth = mono_clock(&stage->hosts[0], stage->ticks[host][event->key]);
	double error = fabs((double)(event->time_ns - truth));
	const struct place_seen then = {NAMES * host, ranges_span(&bounds->ranges, event->time_ns)};
	int64_t bound = ranges_bound(&bounds->ranges, bounds->info, (struct place_seen){0}, then);

	result->errors[result->count++] = error / 1e3;
	result->missed += bound >= 0 && error > (double)bound;
	result->better += bound < bounds->info->domains[host].clock.bound_ns / 2;
}

static void take_domains(const struct trace_info *info, struct scene_result *result)
{
	for (size_t i = 1; i < info->ndomains; i++) {
		const struct clock_fit *clock = &info->domains[i].clock;
		bool counted = strcmp(clock->method, "tsc") == 0;

		result->unbounded += clock->bound_ns < 0;
		result->counted += counted;
		result->not_fitted += !counted && strcmp(clock->method, "packets") != 0;
		result->bound = fmax(result->bound, (double)clock->bound_ns / 1e3);
		result->scatter = fmax(result->scatter, (double)clock->scatter_ns / 1e3);
		result->rejected += clock->rejected;
	}
}

static void merge_files(const struct stage *stage, struct reader **readers,
			struct scene_result *result)
{
	char reason[MERGE_REASON_MAX];
	struct bounds bounds = {0};
	struct merge *merge;
	struct batch batch;

	if (merge_open(&merge, readers, stage->scene->hosts, MERGE_CLOCK_AUTO, NULL, keep_log,
		       result, reason))
		errx(1, "%s", reason);
	take_domains(merge_info(merge), result);
	bounds.info = merge_info(merge);
	while (merge_next(merge, &batch) > 0) {
		for (size_t i = 0; batch.type == BATCH_RANGES && i < batch.count; i++)
			if (ranges_add(&bounds.ranges, &batch.ranges[i]))
				errx(1, "ranges_add");
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++) {
			const struct vnt_event *event = &batch.events[i];
			size_t host = event->flow - TICK_FLOW;

			if (host && host < stage->scene->hosts)
				take_tick(stage, event, host, &bounds, result);
		}
	}
	ranges_release(&bounds.ranges);
	merge_close(merge);
}

static int by_size(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
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
