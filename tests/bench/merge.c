// SPDX-License-Identifier: GPL-2.0-only
/*
 * What merging costs: merge_next() over 2, 4 and 64 recordings in memory, whose events alternate
 * at random. Prints millions of events per second, decoding included, and decoding alone beside it.
 * Median of seven rounds, the two taken in turns; one core.
 *
 *   bench-merge [INPUTS]...
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/merge.h"
#include "lib/writer.h"

#define PROBES     4
#define EVENTS     4000000 /* over all inputs */
#define BATCH      30000
#define INPUTS_MAX 1000
#define ROUNDS     7

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void make_events(struct vnt_event *events, size_t count, size_t inputs)
{
	uint64_t time_ns = 1000000000;

	for (size_t i = 0; i < count; i++) {
		time_ns += random() % (4000 * inputs);
		events[i] = (struct vnt_event){
			.time_ns = time_ns,
			.flow = (random() % 64 + 1) * 0x9e3779b97f4a7c15ull,
			.key = (uint64_t)random() << 33 ^ random(),
			.length = random() % 2 ? 1500 : 100,
			.payload = 48,
			.probe = random() % PROBES,
			.cpu = random() % 2,
		};
	}
}

static void put(struct writer *writer, const struct vnt_event *events, size_t count)
{
	for (size_t i = 0; i < count; i += BATCH) {
		const struct batch batch = {
			.type = BATCH_EVENTS,
			.count = count - i < BATCH ? count - i : BATCH,
			.events = &events[i],
		};

		if (writer_put(writer, &batch))
			errx(1, "writer_put");
	}
}

static int make_file(size_t count, size_t inputs, unsigned int recording)
{
	struct vnt_event *events = calloc(count, sizeof(*events));
	struct domain domain = {.name = "bench", .boot_id = "b", .clock = {.method = "reference"}};
	struct probe probe = {.name = "dev:bench0:rx", .recording = {recording, recording >> 8, 1}};
	int fd = memfd_create("bench", 0);
	struct trace_info info = {0};
	struct writer *writer;

	if (!events || fd < 0 || trace_info_add_domain(&info, &domain) < 0)
		err(1, "input");
	for (int i = 0; i < PROBES; i++)
		if (trace_info_add_probe(&info, &probe) < 0)
			errx(1, "no memory");
	make_events(events, count, inputs);
	if (writer_open(&writer, fd, &info))
		errx(1, "writer_open");
	put(writer, events, count);
	writer_close(writer);
	trace_info_release(&info);
	free(events);
	return fd;
}

static struct reader *open_reader(int fd)
{
	struct reader *reader;
	int copy = dup(fd);

	lseek(fd, 0, SEEK_SET);
	if (copy < 0 || reader_open(&reader, copy, "bench", NULL, NULL))
		errx(1, "reader_open");
	return reader;
}

static double merge_all(const int *fds, size_t inputs, size_t total)
{
	struct reader *readers[INPUTS_MAX];
	char reason[MERGE_REASON_MAX];
	struct merge *merge;
	struct batch batch;
	size_t count = 0;
	double start;

	for (size_t i = 0; i < inputs; i++)
		readers[i] = open_reader(fds[i]);
	if (merge_open(&merge, readers, inputs, MERGE_CLOCK_NONE, NULL, NULL, NULL, reason))
		errx(1, "%s", reason);
	start = seconds();
	while (merge_next(merge, &batch) > 0)
		count += batch.type == BATCH_EVENTS ? batch.count : 0;
	start = seconds() - start;
	merge_close(merge);
	if (count != total)
		errx(1, "%zu events, not %zu", count, total);
	return start;
}

static double decode_all(const int *fds, size_t inputs)
{
	double spent = 0;

	for (size_t i = 0; i < inputs; i++) {
		struct reader *reader = open_reader(fds[i]);
		double start = seconds();
		struct batch batch;

		while (reader_next(reader, &batch) > 0)
			;
		spent += seconds() - start;
		reader_close(reader);
	}
	return spent;
}

static int by_size(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void measure(size_t inputs)
{
	size_t each = EVENTS / inputs, total = each * inputs;
	double merged[ROUNDS], decoded[ROUNDS];
	int fds[INPUTS_MAX];

	for (size_t i = 0; i < inputs; i++)
		fds[i] = make_file(each, inputs, i);
	for (int round = 0; round < ROUNDS; round++) {
		merged[round] = merge_all(fds, inputs, total);
		decoded[round] = decode_all(fds, inputs);
	}
	qsort(merged, ROUNDS, sizeof(*merged), by_size);
	qsort(decoded, ROUNDS, sizeof(*decoded), by_size);
	printf("%3zu inputs: merge %5.1f M events/s, decode alone %5.1f M events/s\n", inputs,
	       total / merged[ROUNDS / 2] / 1e6, total / decoded[ROUNDS / 2] / 1e6);
	for (size_t i = 0; i < inputs; i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	static const size_t defaults[] = {1, 2, 4, 64};

	for (int i = 1; i < argc; i++) {
		size_t inputs = strtoul(argv[i], NULL, 10);

		if (!inputs || inputs > INPUTS_MAX)
			errx(2, "from 1 to %d inputs", INPUTS_MAX);
		measure(inputs);
	}
	for (size_t i = 0; argc < 2 && i < sizeof(defaults) / sizeof(defaults[0]); i++)
		measure(defaults[i]);
	return 0;
}
