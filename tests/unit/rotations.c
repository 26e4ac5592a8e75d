// SPDX-License-Identifier: GPL-2.0-only
/*
 * One recording in several files that overlap, each with any of its blocks, damaged here and there: merged
 * they are the one file, to the byte.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/merge.h"
#include "tracefile.h"

#define BLOCKS    60
#define PARTS_MAX 6
#define HEADERS   2 /* blocks */

static uint64_t seed;

static uint64_t random_below(uint64_t limit)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % limit;
}

static struct {
	char lines[4][512];
	int count;
} said, said_before;

static void keep_line(void *context, const char *line)
{
	(void)context;
	snprintf(said.lines[said.count++ % 4], sizeof(said.lines[0]), "%s", line);
}

static void make_info(struct trace_info *info, const char *boot_id, uint8_t recording)
{
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.recording = {recording}};

	*info = (struct trace_info){};
	snprintf(domain.name, sizeof(domain.name), "h%d", recording);
	snprintf(domain.boot_id, sizeof(domain.boot_id), "%s", boot_id);
	trace_info_add_domain(info, &domain);
	for (int i = 0; i < 4; i++) {
		snprintf(probe.name, sizeof(probe.name), "dev:eth%d:%s", i / 2,
			 i % 2 ? "rx" : "tx");
		trace_info_add_probe(info, &probe);
	}
}

static void put_epochs(struct writer *writer, uint64_t time_ns, bool active)
{
	for (uint64_t i = 0; i < 4; i++) {
		const struct epoch_row row = {.time_ns = time_ns, .probe = i, .active = active};

		cr_assert_eq(put(writer, BATCH_EPOCHS, &row, 1), 0);
	}
}

/* A block of anything but events. Of some there are equal ones in a row. */
static void put_row(struct writer *writer, uint64_t time_ns)
{
	const struct flow_row flow = {.hash = random_below(5) + 1};
	const struct anchor_row anchor = {
		.mono_ns = time_ns, .raw_ns = time_ns, .real_ns = time_ns};
	const struct loss_row loss = {.first_ns = time_ns,
				      .last_ns = time_ns,
				      .count = 3,
				      .probe = 1,
				      .cause = LOSS_RING_FULL};
	const struct cost_row cost = {.events = time_ns};
	const struct tunnel_row tunnel = {.hash = random_below(5) + 1};
	const struct {
		enum batch_type type;
		const void *row;
	} rows[] = {{BATCH_FLOWS, &flow},
		    {BATCH_ANCHORS, &anchor},
		    {BATCH_LOSSES, &loss},
		    {BATCH_COSTS, &cost},
		    {BATCH_TUNNELS, &tunnel}};
	size_t which = random_below(5), times = random_below(3) + 1;

	while (times--)
		cr_assert_eq(put(writer, rows[which].type, rows[which].row, 1), 0);
}

static void make_trace(struct image *image, const char *boot_id, uint8_t recording)
{
	struct vnt_event *events = make_events(100, 1000);
	int fd = memfd_create("trace", 0);
	struct trace_info info;
	struct writer *writer;

	make_info(&info, boot_id, recording);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	put_epochs(writer, 1000, true);
	for (size_t at = 0, count; at < 400; at += count) {
		count = random_below(40) + 1;
		count = count < 400 - at ? count : 400 - at;
		cr_assert_eq(put(writer, BATCH_EVENTS, &events[at], count), 0);
		if (random_below(2))
			put_row(writer, events[at + count - 1].time_ns);
	}
	put_epochs(writer, events[399].time_ns + 1, false);
	writer_close(writer);
	trace_info_release(&info);
	free(events);
	image_from_fd(image, fd);
}

/* Changes the header of a block, with its sum. */
static void patch_header(uint8_t *bytes, uint8_t minor, uint64_t position, uint32_t sequence)
{
	uint32_t crc;

	bytes[offsetof(struct vnt_block, minor)] = minor;
	memcpy(bytes + offsetof(struct vnt_block, position), &position, sizeof(position));
	memcpy(bytes + offsetof(struct vnt_block, sequence), &sequence, sizeof(sequence));
	crc = crc32c(bytes, offsetof(struct vnt_block, header_crc));
	memcpy(bytes + offsetof(struct vnt_block, header_crc), &crc, sizeof(crc));
}

static void add_bytes(struct image *image, const uint8_t *bytes, size_t size)
{
	image->bytes = realloc(image->bytes, image->size + size);
	memcpy(image->bytes + image->size, bytes, size);
	image->size += size;
}

enum fate {
	INTACT,
	SPOILED,
	ABSENT
};

static void add_block(struct image *part, const struct image *whole, const struct span *span,
		      enum fate fate)
{
	if (fate == ABSENT)
		return;
	add_bytes(part, whole->bytes + span->start, span->size);
	if (fate == SPOILED)
		part->bytes[part->size - 1 - random_below(span->size)] ^= 1u << random_below(8);
}

/* What became of each block in each file: every one is intact in one of them. */
static void deal(struct image *parts, size_t nparts, const struct image *whole,
		 const struct span *spans, size_t nspans)
{
	uint64_t luck = random_below(4);

	for (size_t i = 0; i < nspans; i++) {
		size_t keeper = random_below(nparts);

		for (size_t k = 0; k < nparts; k++)
			add_block(&parts[k], whole, &spans[i],
				  i < HEADERS || k == keeper ? INTACT
				  : random_below(4) < luck   ? INTACT
							     : random_below(2) + SPOILED);
	}
}

/* A copy that was made while the file grew: up to any byte. */
static void cut(struct image *part, const struct image *whole, const struct span *spans)
{
	size_t headers = spans[HEADERS].start;

	part->size = 0;
	add_bytes(part, whole->bytes, headers + random_below(whole->size - headers));
}

static struct reader *open_image(const struct image *image, const char *name)
{
	struct reader *reader;

	cr_assert_eq(reader_open(&reader, image_to_fd(image), name, keep_line, NULL), 0);
	return reader;
}

/* Merges them, and gives what was written. */
static void merge_images(const struct image *images, size_t count, struct image *result)
{
	struct reader *readers[PARTS_MAX + 2];
	int fd = memfd_create("merged", 0), err;
	char reason[MERGE_REASON_MAX];
	struct writer *writer;
	struct merge *merge;
	struct batch batch;

	memset(&said, 0, sizeof(said));
	for (size_t i = 0; i < count; i++)
		readers[i] = open_image(&images[i], "in");
	err = merge_open(&merge, readers, count, MERGE_CLOCK_AUTO, NULL, keep_line, NULL, reason);
	cr_assert_eq(err, 0, "%s", reason);
	cr_assert_eq(writer_open(&writer, fd, merge_info(merge)), 0);
	while ((err = merge_next(merge, &batch)) > 0)
		cr_assert_eq(writer_put(writer, &batch), 0);
	cr_assert_eq(err, 0);
	cr_assert(!merge_incomplete(merge));
	cr_assert_eq(merge_damaged(merge), 0);
	writer_close(writer);
	merge_close(merge);
	image_from_fd(result, fd);
}

static void release(struct image *images, size_t count)
{
	for (size_t i = 0; i < count; i++)
		image_release(&images[i]);
}

static void check_equal(const struct image *a, const struct image *b)
{
	cr_assert_eq(a->size, b->size, "%zu bytes are %zu", b->size, a->size);
	cr_assert_eq(memcmp(a->bytes, b->bytes, a->size), 0);
}

/* With another host, if there is one: then clocks are looked for, and all is read twice. */
Test(rotations, files_that_overlap_are_the_one_file)
{
	for (seed = 1; seed < 400; seed += 2) {
		const uint64_t first = seed;
		struct image one[2] = {}, parts[PARTS_MAX + 1] = {}, expected, result;
		size_t nparts = random_below(PARTS_MAX) + 1, others = random_below(2), nspans;
		uint32_t base = random_below(2) ? 0 : UINT32_MAX - 20;
		struct span spans[200];

		make_trace(&one[0], "boot", 1);
		make_trace(&one[1], "another", 2);
		nspans = image_spans(&one[0], spans, 200);
		for (size_t i = 0; i < nspans; i++)
			if (i >= HEADERS)
				patch_header(one[0].bytes + spans[i].start, BLOCK_MINOR,
					     spans[i].block.position, base + i);
		deal(parts, nparts, &one[0], spans, nspans);
		if (nparts < PARTS_MAX)
			cut(&parts[nparts++], &one[0], spans);
		if (others)
			add_bytes(&parts[nparts], one[1].bytes, one[1].size);
		merge_images(one, 1 + others, &expected);
		said_before = said;
		merge_images(parts, nparts + others, &result);
		check_equal(&result, &expected);
		cr_assert_eq(memcmp(&said, &said_before, sizeof(said)), 0, "%s", said.lines[0]);
		release(one, 2);
		release(parts, nparts + others);
		image_release(&expected);
		image_release(&result);
		seed = first;
	}
}

/* What all that merge_next() yields says is missing. */
static uint64_t merge_missing(struct reader **readers, size_t count, bool *incomplete)
{
	char reason[MERGE_REASON_MAX];
	struct merge *merge;
	struct batch batch;
	uint64_t missing = 0;

	cr_assert_eq(
		merge_open(&merge, readers, count, MERGE_CLOCK_AUTO, NULL, keep_line, NULL, reason),
		0);
	while (merge_next(merge, &batch) > 0)
		for (size_t i = 0; batch.type == BATCH_LOSSES && i < batch.count; i++)
			if (batch.losses[i].cause == LOSS_DAMAGED_FILE)
				missing += batch.losses[i].count;
	*incomplete = merge_incomplete(merge);
	merge_close(merge);
	return missing;
}

static size_t find_events(const struct span *spans, size_t from)
{
	while (spans[from].block.type != BLOCK_EVENTS)
		from++;
	return from;
}

/* Two blocks are damaged in both files, one in one only, and one is in none of them. */
Test(rotations, what_no_file_has_is_missing_once)
{
	struct image one, parts[2] = {};
	struct reader *readers[2];
	struct span spans[200];
	size_t nspans, lost[4];
	uint64_t expected = 0;
	bool incomplete;

	make_trace(&one, "boot", 1);
	nspans = image_spans(&one, spans, 200);
	for (size_t i = 0; i < 4; i++) {
		lost[i] = find_events(spans, i ? lost[i - 1] + 1 : HEADERS);
		expected += i == 2 ? 0 : spans[lost[i]].block.rows;
	}
	for (size_t i = 0; i < nspans; i++) {
		enum fate fate = i == lost[0] || i == lost[1] ? SPOILED : INTACT;

		add_block(&parts[0], &one, &spans[i],
			  i == lost[2]   ? SPOILED
			  : i == lost[3] ? ABSENT
					 : fate);
		add_block(&parts[1], &one, &spans[i], i == lost[3] ? ABSENT : fate);
	}
	for (int i = 0; i < 2; i++)
		readers[i] = open_image(&parts[i], i ? "second" : "first");
	cr_assert_eq(merge_missing(readers, 2, &incomplete), expected);
	cr_assert(incomplete);
	cr_assert_geq(said.count, 2);
	cr_assert(strstr(said.lines[0], "'first' is damaged") ||
		  strstr(said.lines[1], "'first' is damaged"));
	release(parts, 2);
	image_release(&one);
}

/* A file that goes on where another one ended, or before. */
static void make_rotation(struct image *part, const struct image *whole, const struct span *spans,
			  size_t from, size_t to)
{
	*part = (struct image){};
	for (size_t i = 0; i < HEADERS; i++) {
		add_bytes(part, whole->bytes + spans[i].start, spans[i].size);
		patch_header(part->bytes + spans[i].start, BLOCK_MINOR, spans[from].block.position,
			     0);
	}
	add_bytes(part, whole->bytes + spans[from].start,
		  spans[to - 1].start + spans[to - 1].size - spans[from].start);
}

Test(rotations, alone_each_misses_nothing_and_together_they_are_the_recording)
{
	struct image one, parts[3], result, expected;
	struct reader *reader;
	struct span spans[200];
	size_t nspans, events;
	bool incomplete;

	make_trace(&one, "boot", 1);
	nspans = image_spans(&one, spans, 200);
	events = find_events(spans, nspans / 2);
	make_rotation(&parts[0], &one, spans, events, nspans - 6);
	make_rotation(&parts[1], &one, spans, nspans - 8, nspans);
	make_rotation(&parts[2], &one, spans, HEADERS, events + 3);
	reader = open_image(&parts[0], "in");
	cr_assert_eq(merge_missing(&reader, 1, &incomplete), 0);
	merge_images(&one, 1, &expected);
	merge_images(parts, 3, &result);
	check_equal(&result, &expected);
	image_release(&expected);
	image_release(&result);
	release(parts, 3);
	image_release(&one);
}

/* No block comes before it that would show the gap. */
Test(rotations, what_is_damaged_before_all_else_is_missing)
{
	struct image one, parts[2];
	struct reader *readers[2];
	struct span spans[200];
	size_t nspans, first, second;
	bool incomplete;

	memset(&said, 0, sizeof(said));
	make_trace(&one, "boot", 1);
	nspans = image_spans(&one, spans, 200);
	first = find_events(spans, HEADERS);
	second = find_events(spans, first + 1);
	make_rotation(&parts[0], &one, spans, first, second);
	parts[0].bytes[spans[HEADERS].start] ^= 1;
	make_rotation(&parts[1], &one, spans, second, nspans);
	for (int i = 0; i < 2; i++)
		readers[i] = open_image(&parts[i], i ? "second" : "first");
	cr_assert_eq(merge_missing(readers, 2, &incomplete), spans[first].block.rows);
	cr_assert(incomplete);
	cr_assert(strstr(said.lines[0], "'first' is "), "%s", said.lines[0]);
	release(parts, 2);
	image_release(&one);
}

/* Epochs, which no count of events shows either: it is said unless one of the files has them. */
Test(rotations, what_is_damaged_first_and_holds_no_events)
{
	struct image one, parts[2];
	struct reader *readers[2];
	struct span spans[200];
	bool incomplete;

	make_trace(&one, "boot", 1);
	image_spans(&one, spans, 200);
	for (int spoiled = 1; spoiled <= 2; spoiled++) {
		memset(&said, 0, sizeof(said));
		for (int i = 0; i < 2; i++) {
			parts[i] = (struct image){};
			add_bytes(&parts[i], one.bytes, one.size);
			if (i < spoiled)
				parts[i].bytes[spans[HEADERS].start] ^= 1;
			readers[i] = open_image(&parts[i], i ? "second" : "first");
		}
		cr_assert_neq(spans[HEADERS].block.type, BLOCK_EVENTS);
		cr_assert_eq(merge_missing(readers, 2, &incomplete), 0);
		cr_assert_eq(incomplete, spoiled == 2);
		cr_assert_eq(said.count, spoiled == 2 ? 2 : 0);
		release(parts, 2);
	}
	image_release(&one);
}

/* Neither file has it, and neither is damaged. */
Test(rotations, what_is_in_no_file_is_said_once)
{
	struct image one, parts[2] = {};
	struct reader *readers[2];
	struct span spans[200];
	size_t nspans, lost = HEADERS + 1;
	bool incomplete;

	memset(&said, 0, sizeof(said));
	make_trace(&one, "boot", 1);
	nspans = image_spans(&one, spans, 200);
	while (spans[lost].block.type == BLOCK_EVENTS)
		lost++;
	for (size_t i = 0; i < 2 * nspans; i++)
		add_block(&parts[i / nspans], &one, &spans[i % nspans],
			  i % nspans == lost ? ABSENT : INTACT);
	for (int i = 0; i < 2; i++)
		readers[i] = open_image(&parts[i], i ? "second" : "first");
	cr_assert_eq(merge_missing(readers, 2, &incomplete), 0);
	cr_assert(incomplete);
	cr_assert_eq(said.count, 1);
	cr_assert(strstr(said.lines[0], "'first' is incomplete: 1 block is missing"), "%s",
		  said.lines[0]);
	release(parts, 2);
	image_release(&one);
}

static int merge_two(const struct image *first, const struct image *second, char *reason)
{
	struct reader *readers[] = {open_image(first, "first"), open_image(second, "second")};
	struct merge *merge;
	struct batch batch;
	int err = merge_open(&merge, readers, 2, MERGE_CLOCK_NONE, NULL, keep_line, NULL, reason);

	if (err)
		return err;
	while ((err = merge_next(merge, &batch)) > 0)
		;
	if (err)
		merge_explain(merge, err, reason);
	merge_close(merge);
	return err;
}

/* The same header, but what was recorded is not the same. */
Test(rotations, files_that_contradict_each_other_are_refused)
{
	char reason[MERGE_REASON_MAX] = "";

	for (seed = 1; seed < 100; seed += 2) {
		const uint64_t first = seed;
		struct image a, b;

		make_trace(&a, "boot", 1);
		make_trace(&b, "boot", 1);
		cr_assert_eq(merge_two(&a, &b, reason), -EEXIST);
		cr_assert(strstr(reason, "'first'") && strstr(reason, "'second'") &&
				  strstr(reason, "contradicts"),
			  "%s", reason);
		cr_assert_eq(merge_two(&a, &a, reason), 0);
		image_release(&a);
		image_release(&b);
		seed = first;
	}
}

/* Nothing numbers the blocks of older files. */
Test(rotations, older_files_are_taken_once_only)
{
	char reason[MERGE_REASON_MAX] = "";
	struct span spans[200];
	struct image image;
	size_t nspans;

	make_trace(&image, "boot", 1);
	nspans = image_spans(&image, spans, 200);
	for (size_t i = 0; i < nspans; i++)
		patch_header(image.bytes + spans[i].start, 1, spans[i].block.position, 0);
	cr_assert_eq(merge_two(&image, &image, reason), -EEXIST);
	cr_assert(strstr(reason, "'second' has a recording that is also in 'first'"), "%s", reason);
	image_release(&image);
}
