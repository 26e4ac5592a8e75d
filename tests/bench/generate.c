// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes trace files of any size in little memory: FILES domains of one host, PREFIX.0.vnt and so on,
 * with EVENTS events in all. Every packet passes two of them and is seen by PROBES probes, half of them in
 * each, so that any number of files says the same; one packet in a hundred is lost on the way. A few of a
 * thousand flows carry most packets, or of FLOWS each as many as any other.
 *
 *   bench-generate PREFIX FILES EVENTS [PROBES [FLOWS]]    PROBES: default 6, at least 2
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/order.h"
#include "lib/writer.h"

#define PROBES_MAX 1000
#define FILES_MAX  1000
#define SPACING_NS 500
#define BATCH      32768

struct file {
	struct order *order;
	struct writer *writer;
	struct vnt_event *events; /* BATCH of them */
	size_t count;
	int fd;
};

static struct file files[FILES_MAX];
static size_t nfiles;
static uint64_t nprobes = 6; /* that a packet passes */
static uint64_t nflows;      /* 0: a few that carry most */
static uint64_t seed = 1;

static uint64_t random_below(uint64_t limit)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % limit;
}

/* As many flows have a number of n digits as one of n + 1. */
static uint64_t random_flow(void)
{
	uint64_t limit = 1;

	if (nflows)
		return random_below(nflows);
	for (uint64_t digits = random_below(4); digits; digits--)
		limit *= 10;
	return random_below(limit);
}

static void put(struct file *file, const struct batch *batch)
{
	int error = writer_put(file->writer, batch);

	if (error)
		errx(1, "cannot write: error %d", error);
}

static void put_epochs(struct file *file, uint64_t time_ns, bool active)
{
	for (uint64_t i = 0; i < nprobes; i++) {
		const struct epoch_row epoch = {.time_ns = time_ns, .probe = i, .active = active};

		put(file, &(struct batch){.type = BATCH_EPOCHS, .count = 1, .epochs = &epoch});
	}
}

static void open_file(struct file *file, const char *prefix, unsigned int number)
{
	struct domain domain = {.boot_id = "bench", .clock = {.method = "reference"}};
	struct trace_info info = {0};
	char path[4096];

	snprintf(path, sizeof(path), "%s.%u.vnt", prefix, number);
	snprintf(domain.name, sizeof(domain.name), "d%u", number);
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	file->events = calloc(BATCH, sizeof(*file->events));
	if (file->fd < 0 || !file->events || order_open(&file->order, 1) ||
	    trace_info_add_domain(&info, &domain) < 0)
		err(1, "cannot make '%s'", path);
	for (uint64_t i = 0; i < nprobes; i++) {
		struct probe probe = {.recording = {number, number >> 8, 1}};

		snprintf(probe.name, sizeof(probe.name), "dev:bench%lu:rx", i);
		if (trace_info_add_probe(&info, &probe) < 0)
			errx(1, "no memory");
	}
	if (writer_open(&file->writer, file->fd, &info))
		err(1, "cannot write '%s'", path);
	trace_info_release(&info);
	put_epochs(file, 1, true);
}

/* Writes what is older than `until_ns` and fills a block, or all of it. */
static void drain(struct file *file, uint64_t until_ns, bool all)
{
	for (;;) {
		file->count += order_take(file->order, until_ns, file->events + file->count,
					  BATCH - file->count);
		if (!file->count || (file->count < BATCH && !all))
			return;
		put(file, &(struct batch){.type = BATCH_EVENTS,
					  .count = file->count,
					  .events = file->events});
		file->count = 0;
	}
}

/* Returns how many events the packet makes, `left` at most. */
static uint64_t send_packet(uint64_t number, uint64_t left)
{
	uint64_t flow = random_flow(), time_ns = 1000000 + number * SPACING_NS;
	uint64_t seen = random_below(100) ? nprobes : 1 + random_below(nprobes - 1);
	uint32_t length = 60 + random_below(1440);

	seen = seen < left ? seen : left;
	for (uint64_t k = 0; k < seen; k++) {
		const struct vnt_event event = {
			.time_ns = time_ns,
			.flow = (flow + 1) * 0x9e3779b97f4a7c15ull,
			.key = number * 0xd1342543de82ef95ull,
			.length = length,
			.payload = length - 40,
			.probe = k,
			.cpu = flow % 4,
		};

		if (order_add(files[(flow + k * 2 / nprobes) % nfiles].order, 0, &event))
			errx(1, "no memory");
		time_ns += 1000 + random_below(random_below(20) ? 4000 : 100000);
	}
	return seen;
}

int main(int argc, char **argv)
{
	uint64_t left, number, time_ns = 0;

	if (argc < 4 || argc > 6)
		errx(2, "usage: bench-generate PREFIX FILES EVENTS [PROBES [FLOWS]]");
	nfiles = strtoul(argv[2], NULL, 10);
	left = strtoull(argv[3], NULL, 10);
	if (!nfiles || nfiles > FILES_MAX)
		errx(2, "from 1 to %d files", FILES_MAX);
	if (argc > 5)
		nflows = strtoull(argv[5], NULL, 10);
	if (argc > 4)
		nprobes = strtoull(argv[4], NULL, 10);
	if (nprobes < 2 || nprobes > PROBES_MAX)
		errx(2, "from 2 to %d probes", PROBES_MAX);
	for (size_t i = 0; i < nfiles; i++)
		open_file(&files[i], argv[1], i);
	for (number = 0; left; number++) {
		left -= send_packet(number, left);
		time_ns = 1000000 + number * SPACING_NS;
		for (size_t i = 0; number % 4096 == 0 && i < nfiles; i++)
			drain(&files[i], time_ns, false);
	}
	for (size_t i = 0; i < nfiles; i++) {
		drain(&files[i], UINT64_MAX, true);
		put_epochs(&files[i], time_ns + 10000000, false);
		writer_close(files[i].writer);
		order_close(files[i].order);
		free(files[i].events);
		if (close(files[i].fd))
			err(1, "cannot write");
	}
	return 0;
}
