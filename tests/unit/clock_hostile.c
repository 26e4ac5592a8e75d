// SPDX-License-Identifier: GPL-2.0-only
/* Two recordings of two kernels with packets in common, and times that no machine has: whatever comes
 * out, order is kept and nothing overflows (UBSan looks on). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/merge.h"
#include "lib/writer.h"

#define EVENTS  40
#define ANCHORS 6
#define ROUNDS  50

static const uint64_t extremes[] = {
	0,
	1,
	1000000000,
	INT64_MAX / 4 - 1,
	INT64_MAX / 4 + 1,
	INT64_MAX - 1,
	INT64_MAX,
	(uint64_t)INT64_MAX + 1,
	UINT64_MAX - 1,
	UINT64_MAX,
};

static uint64_t extreme(void)
{
	uint64_t time_ns = extremes[rand() % (sizeof(extremes) / sizeof(extremes[0]))];

	return rand() % 2 ? time_ns : time_ns - (uint64_t)rand();
}

static int by_time(const void *left, const void *right)
{
	const struct vnt_event *a = left, *b = right;

	return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

static void put(struct writer *writer, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	cr_assert_eq(writer_put(writer, &batch), 0);
}

/* The packets of both go both ways, half of them each. */
static struct reader *make_reader(uint8_t recording)
{
	struct domain domain = {.clock_source = "tsc", .clock = {.method = "reference"}};
	struct probe probes[] = {{.name = "dev:e:rx", .recording = {recording}},
				 {.name = "dev:e:tx", .recording = {recording}}};
	struct anchor_row anchors[ANCHORS];
	struct vm_row vms[ANCHORS];
	struct vnt_event events[EVENTS];
	struct trace_info info = {0};
	int fd = memfd_create("hostile", 0);
	struct writer *writer;
	struct reader *reader;

	snprintf(domain.boot_id, sizeof(domain.boot_id), "boot-%d", recording);
	snprintf(domain.name, sizeof(domain.name), "h%d", recording);
	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(trace_info_add_probe(&info, &probes[i]), i);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	for (int i = 0; i < ANCHORS; i++)
		anchors[i] = (struct anchor_row){.mono_ns = extreme(),
						 .raw_ns = extreme(),
						 .real_ns = extreme(),
						 .boot_ns = extreme(),
						 .tsc = extreme(),
						 .width_ns = extreme()};
	put(writer, BATCH_ANCHORS, anchors, ANCHORS);
	for (int i = 0; i < ANCHORS; i++)
		vms[i] = (struct vm_row){.before_ns = extreme(),
					 .after_ns = extreme(),
					 .vm = i / 2,
					 .offset = extreme(),
					 .ratio = extreme(),
					 .fraction_bits = i % 2 ? extreme() : 32};
	put(writer, BATCH_VMS, vms, ANCHORS);
	for (int i = 0; i < EVENTS; i++)
		events[i] = (struct vnt_event){
			.time_ns = extreme(), .flow = 7, .key = i, .probe = (i ^ recording) % 2};
	qsort(events, EVENTS, sizeof(*events), by_time);
	put(writer, BATCH_EVENTS, events, EVENTS);
	writer_close(writer);
	trace_info_release(&info);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(reader_open(&reader, fd, "hostile", NULL, NULL), 0);
	return reader;
}

static void say_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}

Test(clock_hostile, times_that_no_machine_has)
{
	srand(3);
	for (int round = 0; round < ROUNDS; round++) {
		struct reader *readers[] = {make_reader(0), make_reader(1), make_reader(2)};
		char reason[MERGE_REASON_MAX];
		uint64_t last_ns = 0;
		struct merge *merge;
		struct batch batch;
		size_t count = 0;

		cr_assert_eq(merge_open(&merge, readers, 3, MERGE_CLOCK_AUTO, NULL, say_nothing,
					NULL, reason),
			     0);
		while (merge_next(merge, &batch) > 0) {
			for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++) {
				cr_assert_geq(batch.events[i].time_ns, last_ns);
				last_ns = batch.events[i].time_ns;
				count++;
			}
		}
		cr_assert_eq(count, 3 * EVENTS);
		merge_close(merge);
	}
}
