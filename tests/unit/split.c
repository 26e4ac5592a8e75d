// SPDX-License-Identifier: GPL-2.0-only
/*
 * However what was recorded is spread over files, and these are merged to others in between, the
 * report says the same, to the byte. A file has any of the probes: what one probe saw stays together.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/merge.h"
#include "stats_feed.h"
#include "tracefile.h"

#define DOMAINS    3
#define PROBES     9
#define FLOWS      5
#define PACKETS    600
#define ROWS_MAX   (PACKETS * PROBES * 2)
#define HORIZON_NS 20000

/* What a probe says, in the order of time, and where times are equal of the probes. */
struct row {
	uint64_t time_ns;
	uint16_t probe;
	enum batch_type type;
	union {
		struct vnt_event event;
		struct loss_row loss;
		struct epoch_row epoch;
	};
};

struct world {
	uint64_t seed;
	struct trace_info info;
	struct row rows[ROWS_MAX];
	size_t nrows;
};

static uint64_t random_below(struct world *world, uint64_t limit)
{
	world->seed = world->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (world->seed >> 33) % limit;
}

static void add_row(struct world *world, const struct row *row)
{
	cr_assert(world->nrows < ROWS_MAX);
	world->rows[world->nrows++] = *row;
}

static void add_epoch(struct world *world, uint16_t probe, uint64_t time_ns, bool active)
{
	add_row(world, &(struct row){.time_ns = time_ns,
				     .probe = probe,
				     .type = BATCH_EPOCHS,
				     .epoch = {.time_ns = time_ns, .active = active}});
}

static void add_event(struct world *world, uint16_t probe, const struct vnt_event *event)
{
	add_row(world, &(struct row){.time_ns = event->time_ns,
				     .probe = probe,
				     .type = BATCH_EVENTS,
				     .event = *event});
}

static void add_loss(struct world *world, uint16_t probe, uint64_t time_ns)
{
	add_row(world, &(struct row){.time_ns = time_ns,
				     .probe = probe,
				     .type = BATCH_LOSSES,
				     .loss = {.first_ns = time_ns - 1,
					      .last_ns = time_ns,
					      .count = 1,
					      .cpu = ANY_CPU,
					      .cause = LOSS_RING_FULL}});
}

/* Its flow says the way. Some probes miss it, lose its event, or see it twice; keys repeat. */
static void send_packet(struct world *world, uint64_t number)
{
	const uint64_t flow = random_below(world, FLOWS), step = 1 + flow % (PROBES - 1);
	struct vnt_event event = {
		.time_ns = 1000 + number * 100 + random_below(world, 50),
		.flow = flow * 1000,
		.key = number % (PACKETS / 2),
		.length = 100 + flow,
	};

	for (uint64_t probe = flow; probe < PROBES; probe += step) {
		event.cpu = random_below(world, 3);
		switch (random_below(world, 50)) {
		case 0:
			return;
		case 1:
			add_loss(world, probe, event.time_ns);
			continue;
		case 2:
			add_event(world, probe, &event);
		}
		add_event(world, probe, &event);
		event.time_ns += random_below(world, random_below(world, 20) ? 4 : 30000);
	}
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	if (a->probe != b->probe)
		return a->probe - b->probe;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return memcmp(&a->event, &b->event, sizeof(a->event));
}

/* The tables of a file with these probes: domains in the order in which probes name them. */
static void make_info(const struct world *world, uint16_t from, uint16_t to,
		      struct trace_info *info)
{
	int domains[DOMAINS] = {-1, -1, -1};

	*info = (struct trace_info){};
	for (uint16_t i = from; i < to; i++) {
		struct probe probe = world->info.probes[i];
		struct domain domain = world->info.domains[probe.domain];

		if (domains[probe.domain] < 0) {
			snprintf(domain.clock.method, sizeof(domain.clock.method), "%s",
				 info->ndomains ? "same" : "reference");
			domains[probe.domain] = trace_info_add_domain(info, &domain);
		}
		probe.domain = domains[probe.domain];
		cr_assert_geq(trace_info_add_probe(info, &probe), 0);
	}
}

static void make_world(struct world *world, uint64_t seed)
{
	world->seed = seed;
	for (int i = 0; i < DOMAINS; i++) {
		struct domain domain = {.boot_id = "a boot"};

		snprintf(domain.name, sizeof(domain.name), "h%d", i);
		cr_assert_eq(trace_info_add_domain(&world->info, &domain), i);
	}
	for (int i = 0; i < PROBES; i++) {
		struct probe probe = {.recording = {seed, i + 1},
				      .domain = random_below(world, DOMAINS)};

		snprintf(probe.name, sizeof(probe.name), "dev:eth%d:rx", i);
		cr_assert_eq(trace_info_add_probe(&world->info, &probe), i);
		add_epoch(world, i, 1 + random_below(world, 10000), true);
		add_epoch(world, i, PACKETS * 100 + random_below(world, 10000), false);
	}
	for (uint64_t i = 0; i < PACKETS; i++)
		send_packet(world, i);
	qsort(world->rows, world->nrows, sizeof(world->rows[0]), compare_rows);
}

/* As the file numbers them. */
static struct row own_row(const struct trace_info *info, const struct row *row, uint16_t from)
{
	struct row own = *row;

	own.probe -= from;
	if (row->type == BATCH_EVENTS) {
		own.event.probe = own.probe;
	} else if (row->type == BATCH_EPOCHS) {
		own.epoch.probe = own.probe;
	} else {
		own.loss.probe = own.probe;
		own.loss.domain = info->probes[own.probe].domain;
	}
	return own;
}

/* Blocks of any size. */
static void put_rows(struct world *world, struct writer *writer, const struct row *rows,
		     size_t count)
{
	struct vnt_event events[40];

	for (size_t i = 0, n; i < count; i += n) {
		if (rows[i].type != BATCH_EVENTS) {
			cr_assert_eq(put(writer, rows[i].type, &rows[i].event, n = 1), 0);
			continue;
		}
		for (n = 0; n < 40 && i + n < count && rows[i + n].type == BATCH_EVENTS; n++) {
			if (n && !random_below(world, 20))
				break;
			events[n] = rows[i + n].event;
		}
		cr_assert_eq(put(writer, BATCH_EVENTS, events, n), 0);
	}
}

static int write_file(struct world *world, uint16_t from, uint16_t to)
{
	static struct row rows[ROWS_MAX];
	int fd = memfd_create("trace", MFD_CLOEXEC);
	struct trace_info info;
	struct writer *writer;
	size_t count = 0;

	make_info(world, from, to, &info);
	for (size_t i = 0; i < world->nrows; i++) {
		if (world->rows[i].probe >= from && world->rows[i].probe < to)
			rows[count++] = own_row(&info, &world->rows[i], from);
	}
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	put_rows(world, writer, rows, count);
	writer_close(writer);
	trace_info_release(&info);
	return fd;
}

static void say_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* Takes the descriptors. */
static struct merge *open_merge(struct world *world, const int *fds, size_t count)
{
	char reason[MERGE_REASON_MAX] = "";
	struct reader *readers[PROBES];
	struct merge *merge;

	for (size_t i = 0; i < count; i++) {
		lseek(fds[i], 0, SEEK_SET);
		cr_assert_eq(reader_open(&readers[i], fds[i], "in", say_nothing, NULL), 0);
	}
	cr_assert_eq(merge_open(&merge, readers, count, MERGE_CLOCK_AUTO, NULL, say_nothing, NULL,
				reason),
		     0, "%s", reason);
	cr_assert_eq(merge_threads(merge, 1 + random_below(world, 3)), 0);
	return merge;
}

static int merge_to_file(struct world *world, const int *fds, size_t count)
{
	struct merge *merge = open_merge(world, fds, count);
	int fd = memfd_create("merged", MFD_CLOEXEC), err;
	struct writer *writer;
	struct batch batch;

	cr_assert_eq(writer_open(&writer, fd, merge_info(merge)), 0);
	while ((err = merge_next(merge, &batch)) > 0)
		cr_assert_eq(writer_put(writer, &batch), 0);
	cr_assert_eq(err, 0);
	writer_close(writer);
	merge_close(merge);
	return fd;
}

static size_t split(struct world *world, uint16_t from, uint16_t to, int *fds);

/* One file of these probes: written at once, or merged from parts. */
static int make_file(struct world *world, uint16_t from, uint16_t to)
{
	int fds[PROBES];

	if (to - from < 2 || random_below(world, 2))
		return write_file(world, from, to);
	return merge_to_file(world, fds, split(world, from, to, fds));
}

/* Into two files or more; returns how many. */
static size_t split(struct world *world, uint16_t from, uint16_t to, int *fds)
{
	size_t count = 0;

	for (uint16_t end; from < to; from = end) {
		end = from + 1 + random_below(world, to - from - !count);
		fds[count++] = make_file(world, from, end);
	}
	return count;
}

/* The report as JSON, to be freed. */
static char *report_of(struct world *world, const int *fds, size_t count)
{
	struct merge *merge = open_merge(world, fds, count);
	struct stats *stats;
	struct batch batch;
	char *text;
	int err;

	cr_assert_eq(stats_open(&stats, merge_info(merge), HORIZON_NS), 0);
	cr_assert_eq(merge_legs(merge, HORIZON_NS), 0);
	while ((err = merge_next(merge, &batch)) > 0)
		cr_assert_eq(stats_put(stats, &batch), 0);
	cr_assert_eq(err, 0);
	text = feed_report(stats);
	stats_close(stats);
	merge_close(merge);
	return text;
}

static void check_world(uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));
	int fds[PROBES];
	char *whole, *parts;

	make_world(world, seed);
	fds[0] = write_file(world, 0, PROBES);
	whole = report_of(world, fds, 1);
	for (int i = 0; i < 10; i++) {
		parts = report_of(world, fds, split(world, 0, PROBES, fds));
		cr_assert_str_eq(parts, whole, "world %lu", seed);
		free(parts);
	}
	free(whole);
	trace_info_release(&world->info);
	free(world);
}

Test(split, any_files_say_the_same)
{
	for (uint64_t seed = 1; seed <= 10; seed++)
		check_world(seed);
}
