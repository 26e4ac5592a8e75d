// SPDX-License-Identifier: GPL-2.0-only
/* Epochs are in the same place among legs as among single events: behind the same ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/merge.h"
#include "tracefile.h"

#define INPUTS 3
#define BLOCKS 60
#define EVENTS 100 /* of a block, at most */

/* Of each row of epochs: what it is, and where; and the times of all events. */
struct told {
	uint64_t rows[INPUTS * BLOCKS][2];
	size_t count;
	uint64_t times[INPUTS * BLOCKS * EVENTS];
	size_t ntimes;
};

static uint64_t seed;

static uint64_t random_below(uint64_t limit)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % limit;
}

static void say_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* A few packets are seen again and again, so that legs begin long before they end. Epochs come early and late. */
static int write_input(unsigned int input)
{
	struct probe probe = {.name = "dev:eth0:rx", .recording = {input + 1}};
	struct domain domain = {.name = "h", .boot_id = "boot"};
	struct vnt_event events[EVENTS] = {0};
	uint64_t time_ns = 1000 + random_below(1000);
	struct trace_info info = {0};
	int fd = memfd_create("epochs", 0);
	struct writer *writer;

	trace_info_add_domain(&info, &domain);
	trace_info_add_probe(&info, &probe);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	for (uint64_t block = 0; block < BLOCKS; block++) {
		struct epoch_row epoch = {.active = block % 2,
					  .time_ns = time_ns + random_below(400) - 200};
		size_t count = 1 + random_below(EVENTS);

		for (size_t i = 0; i < count; i++) {
			time_ns += 1 + random_below(20);
			events[i].time_ns = time_ns;
			events[i].key = random_below(5);
		}
		cr_assert_eq(put(writer, BATCH_EVENTS, events, count), 0);
		cr_assert_eq(put(writer, BATCH_EPOCHS, &epoch, random_below(2)), 0);
	}
	writer_close(writer);
	trace_info_release(&info);
	return fd;
}

static int compare_rows(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return a[1] != b[1] ? (a[1] > b[1]) - (a[1] < b[1]) : (a[0] > b[0]) - (a[0] < b[0]);
}

/* In order of what they say of the time: those that come late may come sooner among legs. */
static void read_all(const int *fds, bool legs, struct told *told)
{
	struct reader *readers[INPUTS];
	char reason[MERGE_REASON_MAX];
	struct merge *merge;
	struct batch batch;

	for (int i = 0; i < INPUTS; i++) {
		lseek(fds[i], 0, SEEK_SET);
		cr_assert_eq(reader_open(&readers[i], dup(fds[i]), "input", say_nothing, NULL), 0);
	}
	cr_assert_eq(merge_open(&merge, readers, INPUTS, MERGE_CLOCK_NONE, NULL, say_nothing, NULL,
				reason),
		     0, "%s", reason);
	cr_assert_eq(legs ? merge_legs(merge, 1000) : 0, 0);
	for (told->count = told->ntimes = 0; merge_next(merge, &batch) > 0;) {
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++)
			told->times[told->ntimes++] = batch.events[i].time_ns;
		for (size_t i = 0; batch.type == BATCH_EPOCHS && i < batch.count; i++) {
			cr_assert_lt(told->count, INPUTS * BLOCKS);
			told->rows[told->count][0] = batch.epochs[i].time_ns;
			told->rows[told->count++][1] = batch.now_ns;
			cr_assert_neq(batch.now_ns, 0);
			cr_assert(legs || !told->ntimes ||
				  told->times[told->ntimes - 1] <= batch.now_ns);
		}
	}
	merge_close(merge);
	qsort(told->rows, told->count, sizeof(*told->rows), compare_rows);
}

Test(merge_epochs, have_their_place)
{
	static struct told expected, told;

	for (seed = 1; seed < 100000; seed += 1000) {
		uint64_t scene = seed;
		int fds[INPUTS];

		for (unsigned int i = 0; i < INPUTS; i++)
			fds[i] = write_input(i);
		read_all(fds, false, &expected);
		read_all(fds, true, &told);
		cr_assert_gt(expected.count, 0);
		cr_assert_eq(told.count, expected.count);
		for (size_t i = 0; i < told.count; i++)
			cr_assert(told.rows[i][0] == expected.rows[i][0] &&
					  told.rows[i][1] == expected.rows[i][1],
				  "seed %llu, epoch %zu", (unsigned long long)scene, i);
		for (int i = 0; i < INPUTS; i++)
			close(fds[i]);
		seed = scene;
	}
}
