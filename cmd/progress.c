// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "progress.h"

#define INTERVAL_NS 100000000

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Of all inputs; 0 if one of them is no regular file. */
static uint64_t total_bytes(const struct string_list *inputs)
{
	uint64_t bytes = 0;
	struct stat file;

	for (size_t i = 0; i < inputs->count; i++) {
		bool standard = strcmp(inputs->items[i], "-") == 0;

		if (standard ? fstat(STDIN_FILENO, &file) : stat(inputs->items[i], &file))
			return 0;
		if (!S_ISREG(file.st_mode))
			return 0;
		bytes += file.st_size;
	}
	return bytes;
}

void progress_begin(struct progress *progress, const struct string_list *inputs)
{
	*progress = (struct progress){.shown = message_has_progress()};
	if (!progress->shown)
		return;
	progress->total = total_bytes(inputs);
	progress->start_ns = now_ns();
	progress->next_ns = progress->start_ns + INTERVAL_NS;
}

static void show(const struct progress *progress, uint64_t bytes, uint64_t passed_ns)
{
	double rate = 1e3 * (double)progress->events / (double)passed_ns;
	unsigned long long percent, megabytes = bytes / 1000000;
	char text[128];

	if (progress->total) {
		percent =
			100 * (bytes < progress->total ? bytes : progress->total) / progress->total;
		snprintf(text, sizeof(text), "%llu %% of %llu MB, %.1f M events/s", percent,
			 (unsigned long long)progress->total / 1000000, rate);
	} else {
		snprintf(text, sizeof(text), "%llu MB, %.1f M events/s", megabytes, rate);
	}
	message_progress(text);
}

void progress_batch(struct progress *progress, const struct merge *merge, const struct batch *batch)
{
	uint64_t now;

	if (!progress->shown)
		return;
	progress->events += batch->type == BATCH_EVENTS ? batch->count : 0;
	for (size_t i = 0; batch->type == BATCH_COUNTS && i < batch->count; i++)
		progress->events += batch->counts[i].events;
	now = now_ns();
	if (now < progress->next_ns)
		return;
	progress->next_ns = now + INTERVAL_NS;
	show(progress, merge_offset(merge), now - progress->start_ns);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		message_progress("");
}
