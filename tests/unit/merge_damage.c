// SPDX-License-Identifier: GPL-2.0-only
/* Merging what is damaged, and merging again what was merged: nothing gets lost or is counted twice. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/merge.h"
#include "lib/writer.h"

#define BLOCKS 20
#define EVENTS 100 /* in a block */

struct totals {
	uint64_t events;
	uint64_t damaged; /* events, as the ledger says */
	uint64_t pauses;  /* epochs that say so */
};

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

/* Two rows of epochs, and between them blocks of events 10 ns apart. */
static int make_file(unsigned int recording, const char *boot_id, uint64_t start_ns,
		     uint64_t wall_ns)
{
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.name = "dev:eth0:rx", .recording = {recording}};
	struct epoch_row epoch = {.time_ns = start_ns, .active = 1};
	const struct anchor_row anchor = {.mono_ns = start_ns, .real_ns = start_ns + wall_ns};
	struct vnt_event events[EVENTS] = {};
	int fd = memfd_create("trace", 0);
	struct trace_info info = {};
	struct writer *writer;

	snprintf(domain.name, sizeof(domain.name), "h%u", recording);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", boot_id);
	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	cr_assert_eq(trace_info_add_probe(&info, &probe), 0);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	put(writer, BATCH_ANCHORS, &anchor, 1);
	put(writer, BATCH_EPOCHS, &epoch, 1);
	for (int block = 0; block < BLOCKS; block++) {
		for (int i = 0; i < EVENTS; i++)
			events[i] = (struct vnt_event){
				.time_ns = epoch.time_ns += 10,
				.key = (uint64_t)random() << 32 ^ random(),
			};
		put(writer, BATCH_EVENTS, events, EVENTS);
	}
	epoch.active = 0;
	put(writer, BATCH_EPOCHS, &epoch, 1);
	writer_close(writer);
	trace_info_release(&info);
	return fd;
}

/* From 0.3 on there is more than the header and the first rows. */
static void damage(int fd, double where)
{
	off_t at = lseek(fd, 0, SEEK_END) * where;
	char byte;

	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x55;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

static struct merge *open_merge(const int *fds, size_t count)
{
	char reason[MERGE_REASON_MAX] = "";
	struct reader *readers[4];
	struct merge *merge;

	for (size_t i = 0; i < count; i++) {
		lseek(fds[i], 0, SEEK_SET);
		cr_assert_eq(reader_open(&readers[i], dup(fds[i]), "in", say_nothing, NULL), 0);
	}
	cr_assert_eq(merge_open(&merge, readers, count, MERGE_CLOCK_AUTO, NULL, say_nothing, NULL,
				reason),
		     0, "%s", reason);
	return merge;
}

/* Also writes it all to *fd. */
static struct totals run(struct merge *merge, int *fd)
{
	struct totals totals = {};
	uint64_t last_ns = 0;
	struct writer *writer;
	struct batch batch;

	*fd = memfd_create("merged", 0);
	cr_assert_eq(writer_open(&writer, *fd, merge_info(merge)), 0);
	while (merge_next(merge, &batch) > 0) {
		cr_assert_eq(writer_put(writer, &batch), 0);
		for (size_t i = 0; i < batch.count; i++) {
			uint64_t time_ns = last_ns;

			if (batch.type == BATCH_EVENTS)
				time_ns = batch.events[i].time_ns;
			else if (batch.type == BATCH_EPOCHS)
				time_ns = batch.epochs[i].time_ns;
			else if (batch.type == BATCH_LOSSES)
				totals.damaged += batch.losses[i].count;
			totals.events += batch.type == BATCH_EVENTS;
			totals.pauses += batch.type == BATCH_EPOCHS && !batch.epochs[i].active;
			cr_assert(time_ns >= last_ns, "type %d goes back from %lu to %lu",
				  batch.type, last_ns, time_ns);
			last_ns = time_ns;
		}
	}
	writer_close(writer);
	merge_close(merge);
	return totals;
}

Test(merge_damage, every_event_is_there_or_in_the_ledger)
{
	srandom(8);
	for (int round = 0; round < 50; round++) {
		int fds[] = {make_file(1, "a", 1000, 500), make_file(2, "b", 1003, 507)}, merged;
		struct merge *merge;
		struct totals totals;
		struct batch batch;

		damage(fds[round % 2], 0.3 + random() % 65 / 100.0);
		if (round % 3 == 0)
			damage(fds[1], 0.3 + random() % 65 / 100.0);
		merge = open_merge(fds, 2);
		while (merge_next(merge, &batch) > 0)
			;
		cr_assert(merge_damaged(merge) > 0 && merge_incomplete(merge));
		merge_close(merge);
		totals = run(open_merge(fds, 2), &merged);
		cr_assert_eq(totals.events + totals.damaged, 2 * BLOCKS * EVENTS);
		cr_assert(totals.damaged > 0 && totals.pauses >= 2);
		close(fds[0]);
		close(fds[1]);
		close(merged);
	}
}

/* The merged file is intact: a third one must find in it what the first merge made of the damage. */
Test(merge_damage, merged_again_it_is_said_once)
{
	int fds[] = {make_file(1, "a", 1000, 500), make_file(2, "a", 1003, 500)}, merged[2], third;
	struct totals once, again;

	damage(fds[1], 0.5);
	once = run(open_merge(fds, 2), &merged[0]);
	cr_assert(once.damaged > 0);
	merged[1] = make_file(3, "a", 90000, 500);
	again = run(open_merge(merged, 2), &third);
	cr_assert_eq(again.events, once.events + BLOCKS * EVENTS);
	cr_assert_eq(again.damaged, once.damaged);
	cr_assert_eq(again.pauses, once.pauses + 1, "%lu and %lu", again.pauses, once.pauses);
}

static int lines;

static void count_lines(void *context, const char *line)
{
	lines += strcmp(line, context) == 0;
}

/* Reads one file to its end; was anything missing? */
static bool is_incomplete(int fd)
{
	static char said[] = "'in' is incomplete: the end of its recording is missing";
	char reason[MERGE_REASON_MAX];
	struct reader *reader;
	struct merge *merge;
	struct batch batch;
	bool incomplete;

	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(reader_open(&reader, dup(fd), "in", say_nothing, NULL), 0);
	lines = 0;
	cr_assert_eq(
		merge_open(&merge, &reader, 1, MERGE_CLOCK_AUTO, NULL, count_lines, said, reason),
		0);
	while (merge_next(merge, &batch) > 0)
		;
	incomplete = merge_incomplete(merge);
	merge_close(merge);
	return incomplete;
}

/* The file's offset behind the block at `at`. */
static off_t next_block(int fd, off_t at)
{
	uint8_t bytes[sizeof(struct vnt_block)];
	struct vnt_block block;

	cr_assert_eq(pread(fd, bytes, sizeof(bytes), at), sizeof(bytes));
	cr_assert(block_parse(&block, bytes));
	return at + sizeof(bytes) + block.stored;
}

/* Cuts the file at each end of a block, from behind; what is left of it is never taken for whole. */
static void cut_at_blocks(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END), starts[4 * BLOCKS];
	size_t count = 0;

	cr_assert(!is_incomplete(fd) && lines == 0);
	for (off_t at = 0; at < size; at = next_block(fd, at)) {
		cr_assert(count < sizeof(starts) / sizeof(starts[0]));
		starts[count++] = at;
	}
	while (--count) { /* with a header at least */
		cr_assert_eq(ftruncate(fd, starts[count]), 0);
		cr_assert(is_incomplete(fd) && lines == 1, "cut at block %zu: %d lines", count,
			  lines);
	}
}

Test(merge_damage, a_cut_between_blocks_is_noticed)
{
	int fds[] = {make_file(1, "a", 1000, 500), make_file(2, "a", 1003, 500)}, merged;

	run(open_merge(fds, 2), &merged);
	cut_at_blocks(fds[0]);
	cut_at_blocks(merged);
}

/* The merge said it, and wrote the ends that it made up. */
Test(merge_damage, what_was_merged_ends_where_its_inputs_break_off)
{
	int fds[] = {make_file(1, "a", 1000, 500), make_file(2, "a", 1003, 500)}, merged;
	off_t at = 0;

	for (int blocks = 0; blocks < 8; blocks++)
		at = next_block(fds[0], at);
	cr_assert_eq(ftruncate(fds[0], at), 0);
	run(open_merge(fds, 2), &merged);
	cr_assert(!is_incomplete(merged) && lines == 0);
}

/* What a shift would take below 0 is at 0, in its order; nothing wraps around. */
Test(merge_damage, times_do_not_wrap_around)
{
	int fds[] = {make_file(1, "a", 5000, 100000), make_file(2, "b", 5000, 90000)}, merged;
	struct totals totals = run(open_merge(fds, 2), &merged);

	cr_assert_eq(totals.events, 2 * BLOCKS * EVENTS);
	fds[0] = make_file(3, "a", 5000, 0);
	fds[1] = make_file(4, "b", UINT64_MAX - 100000, 70000);
	totals = run(open_merge(fds, 2), &merged);
	cr_assert_eq(totals.events, 2 * BLOCKS * EVENTS);
}

static size_t count_domains(const int *fds, size_t count)
{
	struct merge *merge = open_merge(fds, count);
	size_t domains = merge_info(merge)->ndomains;

	merge_close(merge);
	return domains;
}

/* Two recordings of one name: whether it is one machine, only boot IDs can tell. */
Test(merge_damage, domains_without_boot_id_are_not_one)
{
	struct domain domain = {.name = "h", .clock = {.method = "reference"}};
	int fds[2];

	for (int with = 0; with < 2; with++) {
		snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", with ? "a" : "");
		for (int i = 0; i < 2; i++) {
			struct probe probe = {.name = "dev:eth0:rx", .recording = {i + 1}};
			struct trace_info info = {};
			struct writer *writer;

			cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
			cr_assert_eq(trace_info_add_probe(&info, &probe), 0);
			fds[i] = memfd_create("trace", 0);
			cr_assert_eq(writer_open(&writer, fds[i], &info), 0);
			writer_close(writer);
			trace_info_release(&info);
		}
		cr_assert_eq(count_domains(fds, 2), with ? 1 : 2);
	}
}

/* A file with an epoch of 5000 and more rows than are read ahead before its events, or without both. */
static int make_far(bool with)
{
	static const struct loss_row losses[50000] = {{.count = 1}};
	struct domain domain = {.name = "h", .boot_id = "a", .clock = {.method = "reference"}};
	struct probe probe = {.name = "dev:eth0:rx", .recording = {with}};
	const struct epoch_row epoch = {.time_ns = 5000};
	int fd = memfd_create("trace", 0);
	struct trace_info info = {};
	struct writer *writer;

	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	cr_assert_eq(trace_info_add_probe(&info, &probe), 0);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	put(writer, BATCH_EPOCHS, &epoch, with);
	for (int i = 0; with && i < 6; i++)
		put(writer, BATCH_LOSSES, losses, 50000);
	for (int i = 0; i < 100; i++)
		put(writer, BATCH_EVENTS, &(struct vnt_event){.time_ns = 100 * i}, 1);
	writer_close(writer);
	trace_info_release(&info);
	return fd;
}

/* Where its events are is not known then, and so the epoch does not wait; they are not to come late. */
Test(merge_damage, an_epoch_far_before_the_next_event)
{
	const int fds[] = {make_far(true), make_far(false)};
	struct merge *merge = open_merge(fds, 2);
	size_t rows[BATCH_TYPES] = {0};
	uint64_t last_ns = 0;
	struct batch batch;

	while (merge_next(merge, &batch) > 0) {
		rows[batch.type] += batch.count;
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++) {
			cr_assert(batch.events[i].time_ns >= last_ns);
			last_ns = batch.events[i].time_ns;
		}
	}
	merge_close(merge);
	cr_assert_eq(rows[BATCH_EVENTS], 200);
	cr_assert_eq(rows[BATCH_LOSSES], 300000);
	cr_assert_eq(rows[BATCH_EPOCHS], 1);
}

/* An event, which is damaged, a clock reading, and another event. */
static int make_late(const char *boot_id, uint64_t wall_ns)
{
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.name = "dev:eth0:rx"};
	const struct anchor_row anchor = {.mono_ns = 1000, .real_ns = 1000 + wall_ns};
	int fd = memfd_create("trace", 0);
	struct trace_info info = {};
	struct writer *writer;
	off_t at;

	snprintf(domain.name, sizeof(domain.name), "%s", boot_id);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", boot_id);
	snprintf((char *)probe.recording, sizeof(probe.recording), "%s", boot_id);
	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	cr_assert_eq(trace_info_add_probe(&info, &probe), 0);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	at = lseek(fd, 0, SEEK_END) + sizeof(struct vnt_block);
	put(writer, BATCH_EVENTS, &(struct vnt_event){.time_ns = 1000}, 1);
	put(writer, BATCH_ANCHORS, &anchor, 1);
	put(writer, BATCH_EVENTS, &(struct vnt_event){.time_ns = 2000}, 1);
	writer_close(writer);
	trace_info_release(&info);
	cr_assert_eq(pwrite(fd, "\xff\xff\xff", 3, at), 3);
	return fd;
}

Test(merge_damage, a_clock_reading_behind_damaged_events)
{
	const int fds[] = {make_late("a", 500), make_late("b", 700)};
	struct merge *merge = open_merge(fds, 2);
	struct totals totals;
	int merged;

	cr_assert_str_eq(merge_info(merge)->domains[1].clock.method, "realtime");
	totals = run(merge, &merged);
	cr_assert_eq(totals.events, 2);
	cr_assert_eq(totals.damaged, 2);
}
