// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/block.h"
#include "lib/merge.h"
#include "lib/writer.h"

#define PROBES 3
#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"

/* What one input is made of. */
struct recipe {
	const char *name;
	const char *boot_id;
	uint8_t recording;
	int64_t wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC; 0: no anchors */
	uint64_t start_ns;
	size_t events;
	unsigned int step_ns; /* largest distance of two events */
};

struct output {
	struct vnt_event events[20000];
	size_t count;
	struct epoch_row epochs[512];
	size_t epoch_at[512]; /* how many events came before it */
	size_t nepochs;
	struct loss_row losses[64];
	size_t nlosses;
	struct anchor_row anchors[64];
	size_t nanchors;
	size_t nflows;
};

static char logged[1024];

static void keep_log(void *context, const char *line)
{
	(void)context;
	strncat(logged, line, sizeof(logged) - strlen(logged) - 1);
}

static void put(struct writer *writer, enum batch_type type, const void *rows, size_t count)
{
	const struct batch batch = {.type = type, .count = count, .rows = rows};

	cr_assert_eq(writer_put(writer, &batch), 0);
}

static void put_epochs(struct writer *writer, uint64_t time_ns, bool active)
{
	for (size_t i = 0; i < PROBES; i++) {
		const struct epoch_row row = {.time_ns = time_ns, .probe = i, .active = active};

		put(writer, BATCH_EPOCHS, &row, 1);
	}
}

/* Events in blocks of ten, each followed by a loss row that names its last event. */
static void put_events(struct writer *writer, const struct recipe *recipe)
{
	uint64_t time_ns = recipe->start_ns;

	for (size_t i = 0; i < recipe->events; i++) {
		const struct vnt_event event = {.time_ns = time_ns,
						.flow = 7,
						.key = recipe->recording * 100000ull + i,
						.length = 100,
						.probe = i % PROBES};
		const struct loss_row loss = {.first_ns = time_ns,
					      .last_ns = time_ns,
					      .count = event.key,
					      .probe = i % PROBES,
					      .cause = LOSS_RING_FULL};

		put(writer, BATCH_EVENTS, &event, 1);
		if (i % 10 == 9)
			put(writer, BATCH_LOSSES, &loss, 1);
		time_ns += recipe->step_ns ? rand() % (recipe->step_ns + 1) : 0;
	}
	put_epochs(writer, time_ns + 1, false);
}

static int make_file(const struct recipe *recipe)
{
	struct trace_info info = {};
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.recording = {recipe->recording}};
	const struct flow_row flow = {.hash = 7};
	struct anchor_row anchor = {.mono_ns = 1000, .real_ns = 1000 + recipe->wall_offset_ns};
	int fd = memfd_create("trace", 0);
	struct writer *writer;

	snprintf(domain.name, sizeof(domain.name), "%s", recipe->name);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", recipe->boot_id);
	cr_assert_eq(trace_info_add_domain(&info, &domain), 0);
	for (int i = 0; i < PROBES; i++) {
		snprintf(probe.name, sizeof(probe.name), "dev:eth%d:rx", i);
		cr_assert_eq(trace_info_add_probe(&info, &probe), i);
	}
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	if (recipe->wall_offset_ns)
		put(writer, BATCH_ANCHORS, &anchor, 1);
	put_epochs(writer, recipe->start_ns, true);
	put(writer, BATCH_FLOWS, &flow, 1);
	put_events(writer, recipe);
	writer_close(writer);
	trace_info_release(&info);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int open_merge(struct merge **merge, int *fds, size_t count, enum merge_clock clock,
		      char *reason)
{
	struct reader *readers[64];
	char name[32];

	logged[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "in%zu", i);
		cr_assert_eq(reader_open(&readers[i], fds[i], name, keep_log, NULL), 0);
	}
	return merge_open(merge, readers, count, clock, NULL, keep_log, NULL, reason);
}

static void take_batch(struct output *output, const struct batch *batch)
{
	switch (batch->type) {
	case BATCH_EVENTS:
		memcpy(output->events + output->count, batch->events,
		       batch->count * sizeof(*batch->events));
		output->count += batch->count;
		break;
	case BATCH_EPOCHS:
		for (size_t i = 0; i < batch->count; i++) {
			output->epoch_at[output->nepochs] = output->count;
			output->epochs[output->nepochs++] = batch->epochs[i];
		}
		break;
	case BATCH_LOSSES:
		/* It came after its event, and before the one behind it in its file. */
		cr_assert(output->count > 0);
		for (size_t i = 0; i < batch->count && output->nlosses < 64; i++)
			output->losses[output->nlosses++] = batch->losses[i];
		for (size_t i = output->count; i-- > 0;) {
			cr_assert(output->events[i].key != batch->losses[0].count + 1);
			if (output->events[i].key == batch->losses[0].count)
				return;
		}
		cr_assert_fail("a loss row overtook its event");
		break;
	case BATCH_ANCHORS:
		memcpy(output->anchors + output->nanchors, batch->anchors,
		       batch->count * sizeof(*batch->anchors));
		output->nanchors += batch->count;
		break;
	default:
		output->nflows += batch->type == BATCH_FLOWS ? batch->count : 0;
	}
}

static struct output *run(struct merge *merge)
{
	struct output *output = calloc(1, sizeof(*output));
	struct batch batch;
	int err;

	while ((err = merge_next(merge, &batch)) > 0)
		take_batch(output, &batch);
	cr_assert_eq(err, 0);
	for (size_t i = 1; i < output->count; i++)
		cr_assert(output->events[i - 1].time_ns <= output->events[i].time_ns);
	return output;
}

static struct output *merge_recipes(const struct recipe *recipes, size_t count,
				    struct merge **merge)
{
	char reason[MERGE_REASON_MAX] = "";
	int fds[64];

	for (size_t i = 0; i < count; i++)
		fds[i] = make_file(&recipes[i]);
	cr_assert_eq(open_merge(merge, fds, count, MERGE_CLOCK_AUTO, reason), 0, "%s", reason);
	return run(*merge);
}

/* Equal times come in the order of the inputs, and within an input in its own. */
static void check_ties(const struct output *output)
{
	for (size_t i = 1; i < output->count; i++)
		if (output->events[i - 1].time_ns == output->events[i].time_ns)
			cr_assert(output->events[i - 1].key < output->events[i].key);
}

Test(merge, any_number_of_inputs_gives_all_events_in_one_order)
{
	static const size_t counts[] = {1, 2, 3, 7, 64};

	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct recipe recipes[64];
		struct output *output;
		struct merge *merge;
		size_t total = 0;

		srand(c);
		for (size_t i = 0; i < counts[c]; i++) {
			recipes[i] = (struct recipe){.name = "h",
						     .boot_id = BOOT_A,
						     .recording = i + 1,
						     .start_ns = rand() % 500,
						     .events = rand() % 200,
						     .step_ns = rand() % 20};
			total += recipes[i].events;
		}
		output = merge_recipes(recipes, counts[c], &merge);
		cr_assert_eq(output->count, total);
		check_ties(output);
		cr_assert_eq(merge_info(merge)->ndomains, 1);
		cr_assert_eq(merge_info(merge)->nprobes, counts[c] * PROBES);
		for (size_t i = 0; i < total; i++) /* probes are those of the event's recording */
			cr_assert_eq(output->events[i].probe / PROBES + 1,
				     output->events[i].key / 100000);
		cr_assert_eq(output->nflows, 1, "repeated flows are passed on once");
		free(output);
		merge_close(merge);
	}
}

Test(merge, epochs_come_at_their_time)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 0, 5000, 50, 30},
		{"h2", BOOT_A, 2, 0, 1000, 10, 10},
		{"h3", BOOT_A, 3, 0, 3000, 90, 60},
	};
	struct merge *merge;
	struct output *output = merge_recipes(recipes, 3, &merge);

	cr_assert_eq(output->nepochs, 18);
	for (size_t i = 0; i < output->nepochs; i++) {
		size_t at = output->epoch_at[i];

		cr_assert(!i || output->epochs[i - 1].time_ns <= output->epochs[i].time_ns);
		cr_assert(!at || output->events[at - 1].time_ns <= output->epochs[i].time_ns);
		cr_assert(at == output->count ||
			  output->events[at].time_ns >= output->epochs[i].time_ns);
	}
	free(output);
	merge_close(merge);
}

Test(merge, clocks)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 5000000, 100, 10, 10},  {"h1b", BOOT_A, 2, 5000007, 100, 10, 10},
		{"far", BOOT_B, 3, 5000300, 100, 10, 10}, {"far2", BOOT_B, 4, 9000000, 100, 10, 10},
		{"lost", "", 5, 0, 100, 10, 10},
	};
	static const struct {
		const char *method;
		int64_t offset_ns;
		int64_t bound_ns;
	} want[] = {
		{"reference", 0, 0},
		{"same", 0, 0},
		{"realtime", 300, CLOCK_UNBOUNDED},
		{"realtime", 300,
		 CLOCK_UNBOUNDED}, /* booted together: one clock, whatever it says */
		{"none", 0, CLOCK_UNBOUNDED},
	};
	struct merge *merge;
	struct output *output = merge_recipes(recipes, 5, &merge);
	const struct trace_info *info = merge_info(merge);

	cr_assert_eq(info->ndomains, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct clock_fit *clock = &info->domains[i].clock;

		cr_assert_str_eq(clock->method, want[i].method);
		cr_assert_eq(clock->offset_ns, want[i].offset_ns, "%zu: %ld", i, clock->offset_ns);
		cr_assert_eq(clock->bound_ns, want[i].bound_ns);
	}
	for (size_t i = 0; i < output->count; i++)
		if (output->events[i].key % 100000 == 0)
			cr_assert_eq(output->events[i].time_ns,
				     100 + info->domains[output->events[i].key / 100000 - 1]
						     .clock.offset_ns);
	cr_assert(strstr(logged, "'far'") && strstr(logged, "CLOCK_REALTIME"), "%s", logged);
	cr_assert_eq(output->nanchors, 4);
	cr_assert_eq(output->anchors[2].domain, 2);
	cr_assert_eq(output->anchors[2].real_ns, 5001300, "anchors stay as they were read");
	free(output);
	merge_close(merge);
}

Test(merge, times_are_left_alone_where_that_is_asked_for)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 5000000, 100, 10, 10},
		{"far", BOOT_B, 2, 7000000, 100, 10, 10},
	};
	char reason[MERGE_REASON_MAX];
	struct output *output;
	struct merge *merge;
	int fds[2] = {make_file(&recipes[0]), make_file(&recipes[1])};

	cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_NONE, reason), 0);
	output = run(merge);
	cr_assert_eq(output->events[0].time_ns, 100);
	cr_assert_eq(output->events[1].time_ns >= 100 && output->events[19].time_ns < 300, true);
	cr_assert_str_eq(merge_info(merge)->domains[1].clock.method, "none");
	cr_assert_eq(merge_info(merge)->domains[0].clock.bound_ns, 0);
	cr_assert_eq(merge_info(merge)->domains[1].clock.bound_ns, CLOCK_UNBOUNDED);
	free(output);
	merge_close(merge);
}

/* Only files of one trace are known to overlap. */
Test(merge, a_recording_in_two_traces_is_refused)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 0, 100, 10, 10},
		{"h2", BOOT_A, 1, 0, 100, 10, 10},
	};
	char reason[MERGE_REASON_MAX] = "";
	int fds[] = {make_file(&recipes[0]), make_file(&recipes[1])};
	struct merge *merge;

	cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_AUTO, reason), -EEXIST);
	cr_assert(strstr(reason, "'in0'") && strstr(reason, "'in1'"), "%s", reason);
	cr_assert_null(merge);
}

Test(merge, equal_names_of_different_things_are_numbered)
{
	const struct recipe recipes[] = {
		{"h", BOOT_A, 1, 9, 100, 1, 0},
		{"h", BOOT_B, 2, 9, 100, 1, 0}, /* another machine of that name */
		{"h", BOOT_A, 3, 9, 100, 1, 0}, /* the first one again: its probes are others */
		{"h", BOOT_A, 4, 9, 100, 1, 0},
	};
	struct merge *merge;
	struct output *output = merge_recipes(recipes, 4, &merge);
	const struct trace_info *info = merge_info(merge);

	cr_assert_eq(info->ndomains, 2);
	cr_assert_str_eq(info->domains[0].name, "h");
	cr_assert_str_eq(info->domains[1].name, "h~2");
	cr_assert_str_eq(info->probes[3].name, "dev:eth0:rx");
	cr_assert_eq(info->probes[3].domain, 1);
	cr_assert_str_eq(info->probes[6].name, "dev:eth0:rx~2");
	cr_assert_eq(info->probes[6].domain, 0);
	cr_assert_str_eq(info->probes[9].name, "dev:eth0:rx~3");
	free(output);
	merge_close(merge);
}

/* Writes what a merge gives to a file of its own. */
static int merge_to_file(struct merge *merge)
{
	int fd = memfd_create("merged", 0);
	struct writer *writer;
	struct batch batch;

	cr_assert_eq(writer_open(&writer, fd, merge_info(merge)), 0);
	while (merge_next(merge, &batch) > 0)
		cr_assert_eq(writer_put(writer, &batch), 0);
	writer_close(writer);
	merge_close(merge);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* far and far2 share a clock; the merged file brought far to h1's: far2 must be brought along. */
Test(merge, a_merged_trace_can_be_merged_again)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 5000000, 1000, 40, 10},
		{"far", BOOT_B, 2, 5000300, 1000, 40, 10},
		{"far2", BOOT_B, 3, 1, 1000, 40, 10},
	};
	char reason[MERGE_REASON_MAX];
	int fds[3];
	struct output *output;
	struct merge *merge;

	for (int i = 0; i < 3; i++)
		fds[i] = make_file(&recipes[i]);
	cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_AUTO, reason), 0);
	fds[0] = merge_to_file(merge);
	fds[1] = fds[2];
	cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_AUTO, reason), 0);
	cr_assert_eq(merge_info(merge)->ndomains, 3);
	cr_assert_str_eq(merge_info(merge)->domains[0].clock.method, "reference");
	for (int i = 1; i < 3; i++) {
		cr_assert_str_eq(merge_info(merge)->domains[i].clock.method, "realtime");
		cr_assert_eq(merge_info(merge)->domains[i].clock.offset_ns, 300);
		cr_assert_eq(merge_info(merge)->domains[i].clock.bound_ns, CLOCK_UNBOUNDED);
	}
	output = run(merge);
	cr_assert_eq(output->count, 120);
	for (size_t i = 0; i < output->count; i++)
		if (output->events[i].key == 300000)
			cr_assert_eq(output->events[i].time_ns, 1300);
	free(output);
	merge_close(merge);
}

Test(merge, the_same_inputs_give_the_same_bytes)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 5000000, 1000, 300, 10},
		{"h2", BOOT_B, 2, 5000300, 1000, 300, 10},
	};
	char reason[MERGE_REASON_MAX];
	char *bytes[2];
	off_t sizes[2];

	for (int round = 0; round < 2; round++) {
		struct merge *merge;
		int fds[2], fd;

		srand(5);
		for (int i = 0; i < 2; i++)
			fds[i] = make_file(&recipes[i]);
		cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_AUTO, reason), 0);
		fd = merge_to_file(merge);
		sizes[round] = lseek(fd, 0, SEEK_END);
		bytes[round] = mmap(NULL, sizes[round], PROT_READ, MAP_PRIVATE, fd, 0);
		close(fd);
	}
	cr_assert_eq(sizes[0], sizes[1]);
	cr_assert_eq(memcmp(bytes[0], bytes[1], sizes[0]), 0);
	for (int i = 0; i < 2; i++)
		munmap(bytes[i], sizes[i]);
}

/* Where the last block of that type is. */
static off_t find_block(int fd, uint8_t type)
{
	struct vnt_block block;
	uint8_t bytes[sizeof(block)];
	off_t found = -1;

	for (off_t at = 0; pread(fd, bytes, sizeof(bytes), at) == sizeof(bytes);
	     at += sizeof(bytes) + block.stored) {
		cr_assert(block_parse(&block, bytes));
		if (block.type == type)
			found = at;
	}
	return found;
}

Test(merge, damage_is_passed_on)
{
	const struct recipe recipes[] = {
		{"h1", BOOT_A, 1, 0, 1000, 100, 10},
		{"h2", BOOT_A, 2, 0, 1000, 100, 10},
	};
	char reason[MERGE_REASON_MAX];
	int fds[2] = {make_file(&recipes[0]), make_file(&recipes[1])};
	struct output *output;
	off_t at = find_block(fds[1], BLOCK_CLOCK) + sizeof(struct vnt_block);
	struct merge *merge;
	char byte;

	cr_assert_eq(pread(fds[1], &byte, 1, at), 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fds[1], &byte, 1, at), 1);
	cr_assert_eq(open_merge(&merge, fds, 2, MERGE_CLOCK_AUTO, reason), 0);
	output = run(merge);
	cr_assert_eq(output->count, 200);
	cr_assert(merge_damaged(merge) > 0);
	cr_assert(strstr(logged, "in1"), "%s", logged);
	free(output);
	merge_close(merge);
}

Test(merge, close_accepts_null)
{
	merge_close(NULL);
}
