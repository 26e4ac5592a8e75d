// SPDX-License-Identifier: GPL-2.0-only
/* From files, one of them damaged: what hides a change of the rate must not make up losses. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/map.h"
#include "lib/merge.h"
#include "lib/sample.h"
#include "lib/stats.h"
#include "lib/writer.h"

#define BLOCKS   60
#define PACKETS  50 /* in a block */
#define BLOCK_NS 1000000
#define DELAY_NS 300
#define HORIZON  10000

static void say_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static void put(struct writer *writer, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	cr_assert_eq(writer_put(writer, &batch), 0);
}

/* The rate at the second probe falls, and rises again. */
static uint32_t threshold(unsigned int probe, int block)
{
	static const uint32_t rates[] = {1, 2, 20, 3};
	int part = block * 4 / BLOCKS;

	return probe && part ? vnt_sample_threshold(rates[part]) : VNT_SAMPLE_ALL - 1;
}

static size_t make_events(struct vnt_event *events, unsigned int probe, int block)
{
	size_t count = 0;

	for (uint64_t i = 0; i < PACKETS; i++) {
		/* The first one is under way for longest, so that it is known how long that may be. */
		uint64_t delay_ns = block || i ? DELAY_NS : 2 * DELAY_NS;
		struct vnt_event event = {
			.time_ns = block * BLOCK_NS + i * (BLOCK_NS / PACKETS) + probe * delay_ns,
			.flow = 7,
			.key = map_hash(block, i),
			.length = 100,
		};

		if (vnt_sample_level(event.flow, event.key, 0, 0) <= threshold(probe, block))
			events[count++] = event;
	}
	return count;
}

/* Says the rate before every block of events: what a damaged one of them leaves open, the next decides. */
static int make_file(unsigned int probe)
{
	struct domain domain = {.boot_id = "a", .clock = {.method = "reference"}};
	struct probe row = {.name = "dev:eth0:rx", .recording = {probe}};
	struct vnt_event events[PACKETS];
	int fd = memfd_create("trace", 0);
	struct trace_info info = {};
	struct writer *writer;

	snprintf(domain.name, sizeof(domain.name), "h%u", probe);
	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	cr_assert_eq(trace_info_add_probe(&info, &row), 0);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	for (int block = 0; block < BLOCKS; block++) {
		const struct epoch_row epoch = {.time_ns = block * BLOCK_NS,
						.active = 1,
						.sampling = ~threshold(probe, block)};

		put(writer, BATCH_EPOCHS, &epoch, 1);
		put(writer, BATCH_EVENTS, events, make_events(events, probe, block));
	}
	writer_close(writer);
	trace_info_release(&info);
	return fd;
}

/* Sent from the first probe to the second; returns what was lost. */
static uint64_t report_losses(const int *fds, uint64_t *sent)
{
	char reason[MERGE_REASON_MAX] = "";
	struct reader *readers[2];
	struct report report;
	struct merge *merge;
	struct stats *stats;
	struct batch batch;
	uint64_t lost = 0;

	for (size_t i = 0; i < 2; i++) {
		lseek(fds[i], 0, SEEK_SET);
		cr_assert_eq(reader_open(&readers[i], dup(fds[i]), "in", say_nothing, NULL), 0);
	}
	cr_assert_eq(
		merge_open(&merge, readers, 2, MERGE_CLOCK_AUTO, NULL, say_nothing, NULL, reason),
		0);
	cr_assert_eq(stats_open(&stats, merge_info(merge), HORIZON), 0);
	cr_assert_eq(merge_legs(merge, HORIZON), 0);
	while (merge_next(merge, &batch) > 0)
		cr_assert_eq(stats_put(stats, &batch), 0);
	cr_assert_eq(stats_report(stats, &report), 0);
	*sent = 0;
	for (size_t i = 0; i < report.nlosses; i++) {
		*sent += report.losses[i].sent;
		lost += report.losses[i].lost;
	}
	report_release(&report);
	stats_close(stats);
	merge_close(merge);
	return lost;
}

Test(sampling_file, no_damage_loses_packets)
{
	const int fds[] = {make_file(0), make_file(1)};
	off_t size = lseek(fds[1], 0, SEEK_END);
	uint64_t whole, sent;

	cr_assert_eq(report_losses(fds, &whole), 0);
	cr_assert(whole > 1000);
	for (off_t at = size / 10; at < size; at += 37) {
		char byte, wrong;

		cr_assert_eq(pread(fds[1], &byte, 1, at), 1);
		wrong = byte ^ 0x55;
		cr_assert_eq(pwrite(fds[1], &wrong, 1, at), 1);
		cr_assert_eq(report_losses(fds, &sent), 0, "byte %ld", at);
		cr_assert(sent > whole / 2 && sent <= whole, "%lu of %lu", sent, whole);
		cr_assert_eq(pwrite(fds[1], &byte, 1, at), 1);
	}
	close(fds[0]);
	close(fds[1]);
}
