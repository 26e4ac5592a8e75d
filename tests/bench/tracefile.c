// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an event costs in a trace file: packets of 64 flows pass four probes, each hop takes 300 ns to
 * 10 us, two cpus work. Prints millions of events per second for writing and reading (the file is
 * in memory) and bytes per event. Best of five rounds.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/reader.h"
#include "lib/writer.h"

#define PROBES  4
#define PACKETS 1000000
#define EVENTS  (PROBES * PACKETS)
#define BATCH   30000 /* what 10 ms of a busy host are */
#define ROUNDS  5

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int by_time(const void *a, const void *b)
{
	const struct vnt_event *left = a, *right = b;

	return (left->time_ns > right->time_ns) - (left->time_ns < right->time_ns);
}

static struct vnt_event *make_events(void)
{
	static const uint32_t sizes[] = {100, 100, 1500, 1500, 1500, 60, 60, 576};
	struct vnt_event *events = calloc(EVENTS, sizeof(*events));
	uint64_t time_ns = 1000000000;

	if (!events)
		err(1, "events");
	for (size_t i = 0; i < PACKETS; i++) {
		uint64_t flow = (random() % 64 + 1) * 0x9e3779b97f4a7c15ull;
		uint64_t key = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ random();
		uint32_t length = sizes[random() % 8];
		uint16_t cpu = random() % 2;
		uint64_t at = time_ns += 1200 + random() % 20000;

		for (int probe = 0; probe < PROBES; probe++) {
			events[i * PROBES + probe] = (struct vnt_event){
				.time_ns = at,
				.flow = flow,
				.key = key,
				.length = length,
				.payload = length - 28,
				.probe = probe,
				.cpu = cpu,
			};
			at += 300 + random() % 9700;
		}
	}
	qsort(events, EVENTS, sizeof(*events), by_time);
	return events;
}

static void info_make(struct trace_info *info)
{
	struct domain domain = {.name = "bench"};
	struct probe probe = {.name = "dev:bench0:rx"};

	memset(info, 0, sizeof(*info));
	if (trace_info_add_domain(info, &domain) < 0)
		errx(1, "no memory");
	for (int i = 0; i < PROBES; i++)
		if (trace_info_add_probe(info, &probe) < 0)
			errx(1, "no memory");
}

static double write_all(int fd, const struct trace_info *info, const struct vnt_event *events,
			uint64_t *bytes)
{
	double start = seconds();
	struct writer *writer;

	if (writer_open(&writer, fd, info))
		errx(1, "writer_open");
	for (size_t i = 0; i < EVENTS; i += BATCH) {
		struct batch batch = {
			.type = BATCH_EVENTS,
			.count = EVENTS - i < BATCH ? EVENTS - i : BATCH,
			.events = &events[i],
		};

		if (writer_put(writer, &batch))
			errx(1, "writer_put");
	}
	*bytes = writer_bytes(writer);
	writer_close(writer);
	return seconds() - start;
}

static double read_all(int fd, const struct vnt_event *events)
{
	double start = seconds();
	struct reader *reader;
	struct batch batch;
	size_t count = 0;

	if (reader_open(&reader, fd, "bench", NULL, NULL))
		errx(1, "reader_open");
	while (reader_next(reader, &batch) > 0) {
		if (batch.events[0].time_ns != events[count].time_ns)
			errx(1, "events differ");
		count += batch.count;
	}
	reader_close(reader);
	if (count != EVENTS)
		errx(1, "%zu events", count);
	return seconds() - start;
}

int main(void)
{
	struct vnt_event *events = make_events();
	double write_s = 1e9, read_s = 1e9;
	struct trace_info info;
	uint64_t bytes = 0;

	info_make(&info);
	for (int round = 0; round < ROUNDS; round++) {
		int fd = memfd_create("bench", 0);
		double took;

		if (fd < 0)
			err(1, "memfd_create");
		took = write_all(fd, &info, events, &bytes);
		write_s = took < write_s ? took : write_s;
		lseek(fd, 0, SEEK_SET);
		took = read_all(fd, events);
		read_s = took < read_s ? took : read_s;
	}
	printf("encode %.1f M events/s, decode %.1f M events/s, %.2f bytes/event\n",
	       EVENTS / write_s / 1e6, EVENTS / read_s / 1e6, (double)bytes / EVENTS);
	trace_info_release(&info);
	free(events);
	return 0;
}
