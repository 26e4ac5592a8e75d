// SPDX-License-Identifier: GPL-2.0-only
/* Damage costs the blocks it touches and no others, and says so. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/legs.h"
#include "tracefile.h"

#define SPANS_MAX 64

struct setup {
	struct image image;
	struct span spans[SPANS_MAX];
	size_t nspans;
	struct content want;
	int fd; /* the image, to spoil */
};

static void setup_open(struct setup *setup)
{
	image_small(&setup->image);
	setup->nspans = image_spans(&setup->image, setup->spans, SPANS_MAX);
	content_read_image(&setup->want, &setup->image);
	cr_assert_eq(setup->want.nevents, 80);
	cr_assert_eq(setup->want.lines, 0);
	setup->fd = image_to_fd(&setup->image);
}

static void setup_close(struct setup *setup)
{
	close(setup->fd);
	content_release(&setup->want);
	image_release(&setup->image);
}

static void setup_read(struct setup *setup, struct content *content)
{
	lseek(setup->fd, 0, SEEK_SET);
	content_read(content, dup(setup->fd));
}

static const struct span *span_at(const struct setup *setup, size_t offset)
{
	size_t i = 0;

	while (offset >= setup->spans[i].start + setup->spans[i].size)
		i++;
	return &setup->spans[i];
}

static size_t span_events(const struct span *span)
{
	return span->block.type == BLOCK_EVENTS ? span->block.rows : 0;
}

/* The events of all blocks but `without`. */
static bool same_events(const struct content *got, const struct content *want,
			const struct span *without)
{
	size_t from = without->block.position, gone = span_events(without);
	size_t behind = want->nevents - from - gone;

	return got->nevents + gone == want->nevents &&
	       !memcmp(got->events, want->events, from * sizeof(*got->events)) &&
	       !memcmp(got->events + from, want->events + from + gone,
		       behind * sizeof(*got->events));
}

static bool says(const struct content *content, const char *what, size_t from, size_t end)
{
	char line[128];

	snprintf(line, sizeof(line), "'x' is %s: bytes %zu-%zu skipped", what, from, end - 1);
	return content->lines == 1 && !strcmp(content->line, line);
}

static bool flip_is_contained(struct setup *setup, size_t offset, uint8_t mask)
{
	uint8_t byte = setup->image.bytes[offset] ^ mask;
	const struct span *span = span_at(setup, offset);
	struct content got;
	bool good;

	cr_assert(pwrite(setup->fd, &byte, 1, offset) == 1);
	setup_read(setup, &got);
	good = !got.opened && !got.ended && got.damaged == span->size &&
	       got.missing == span_events(span) && same_events(&got, &setup->want, span) &&
	       says(&got, "damaged", span->start, span->start + span->size) &&
	       got.nprobes == setup->want.nprobes;
	if (good && got.missing)
		good = got.loss.probe == ANY_PROBE && got.loss.domain == 0 &&
		       got.loss.first_ns <= span->block.first_ns &&
		       got.loss.last_ns >= span->block.last_ns;
	content_release(&got);
	cr_assert(pwrite(setup->fd, &setup->image.bytes[offset], 1, offset) == 1);
	return good;
}

Test(damage, one_byte_anywhere)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff};
	struct setup setup;

	setup_open(&setup);
	for (size_t offset = 0; offset < setup.image.size; offset++) {
		uint8_t mask = masks[offset % sizeof(masks)];

		if (!flip_is_contained(&setup, offset, mask))
			cr_assert_fail("byte %zu ^ %#x", offset, mask);
	}
	setup_close(&setup);
}

static int cut_header(const struct setup *setup, size_t size)
{
	if (!size)
		return -ENODATA;
	return size < strlen(BLOCK_MAGIC) ? -EINVAL : size < setup->spans[0].size ? -EBADMSG : 0;
}

/* `size` is inside the block, or at its end. */
static bool cut_is_contained(struct setup *setup, const struct span *span, size_t size)
{
	bool whole = size == span->start + span->size;
	size_t events = span->block.position + (whole ? span_events(span) : 0);
	struct content got;
	bool good;

	cr_assert_eq(ftruncate(setup->fd, size), 0);
	setup_read(setup, &got);
	good = got.opened == cut_header(setup, size);
	if (good && got.opened)
		return got.lines == 0;
	good &= !got.ended && got.nevents == events && got.nwords <= setup->want.nwords &&
		!memcmp(got.events ? got.events : setup->want.events, setup->want.events,
			events * sizeof(*got.events)) &&
		!memcmp(got.words ? got.words : setup->want.words, setup->want.words,
			got.nwords * sizeof(*got.words));
	if (whole)
		good &= !got.damaged && !got.missing && !got.lines;
	else
		good &= got.damaged == size - span->start &&
			says(&got, "truncated", span->start, size) &&
			(got.missing == span_events(span) ||
			 (!got.missing && size - span->start < sizeof(struct vnt_block)));
	content_release(&got);
	return good;
}

Test(damage, cut_anywhere)
{
	struct setup setup;

	setup_open(&setup);
	for (size_t size = setup.image.size; size; size--)
		if (!cut_is_contained(&setup, span_at(&setup, size - 1), size))
			cr_assert_fail("%zu bytes", size);
	cr_assert(cut_is_contained(&setup, &setup.spans[0], 0));
	setup_close(&setup);
}

/* Bytes that are missing or too many in the middle: the block is lost, the next one is not. */
Test(damage, bytes_missing_or_added)
{
	struct setup setup;
	bool good = true;

	setup_open(&setup);
	for (size_t i = 2; i + 1 < setup.nspans; i++) {
		const struct span *span = &setup.spans[i];
		size_t at = span->start + sizeof(struct vnt_block) + 10;
		struct image *image = &setup.image, other;
		struct content got;

		other.bytes = calloc(1, image->size + 50);
		memcpy(other.bytes, image->bytes, at);
		memcpy(other.bytes + at, image->bytes + at + 5, image->size - at - 5);
		other.size = image->size - 5;
		content_read_image(&got, &other);
		good &= same_events(&got, &setup.want, span) && got.missing == span_events(span) &&
			got.damaged == span->size - 5 && got.lines == 1;
		content_release(&got);

		at = span->start; /* between two blocks: none is lost */
		memset(other.bytes + at, 'V', 50);
		memcpy(other.bytes + at + 50, image->bytes + at, image->size - at);
		other.size = image->size + 50;
		content_read_image(&got, &other);
		good &= content_equal(&got, &setup.want) && !got.missing &&
			says(&got, "damaged", at, at + 50);
		content_release(&got);
		free(other.bytes);
		cr_assert(good, "block %zu", i);
	}
	setup_close(&setup);
}

static int open_result(const void *bytes, size_t size)
{
	struct image image = {.bytes = (uint8_t *)bytes, .size = size};
	struct content content;

	content_read_image(&content, &image);
	return content.lines ? 1 : content.opened;
}

Test(damage, not_a_trace_file)
{
	size_t size = 1 << 20;
	uint8_t *bytes = malloc(size);
	struct content content;

	srandom(1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = random();
	cr_assert_eq(open_result(bytes, size), -EINVAL);
	cr_assert_eq(open_result(bytes, 10), -EINVAL);
	memcpy(bytes, BLOCK_MAGIC, 4);
	cr_assert_eq(open_result(bytes, size), -EBADMSG);
	cr_assert_eq(open_result("", 0), -ENODATA);
	cr_assert_eq(open_result("VNTBVNTBVNTB", 12), -EBADMSG);
	content_read(&content, -1);
	cr_assert_eq(content.opened, -EBADF);
	content_read(&content, open("/dev/zero", O_RDONLY));
	cr_assert_eq(content.opened, -EINVAL);
	content_read(&content, open("/", O_RDONLY));
	cr_assert_eq(content.opened, -EISDIR);
	free(bytes);
}

Test(damage, newer_major_version)
{
	struct vnt_block block = {.type = BLOCK_HEADER};
	struct image image = {0};
	struct content content;
	uint32_t crc;

	image_append(&image, block, "");
	image.bytes[4] = BLOCK_MAJOR + 1;
	crc = htole32(crc32c(image.bytes, offsetof(struct vnt_block, header_crc)));
	memcpy(image.bytes + offsetof(struct vnt_block, header_crc), &crc, sizeof(crc));
	content_read_image(&content, &image);
	cr_assert_eq(content.opened, -EPROTONOSUPPORT);
	image_release(&image);
}

/* Two recordings in one file: the second has another tag. */
Test(damage, foreign_blocks)
{
	struct image image, other;
	struct content want, got;
	size_t size;

	image_small(&image);
	image_small(&other);
	content_read_image(&want, &image);
	size = image.size;
	image.bytes = realloc(image.bytes, size + other.size);
	memcpy(image.bytes + size, other.bytes, other.size);
	image.size += other.size;
	content_read_image(&got, &image);
	cr_assert(content_equal(&want, &got));
	cr_assert(says(&got, "damaged", size, image.size));
	content_release(&want);
	content_release(&got);
	image_release(&image);
	image_release(&other);
}

static int image_to_pipe(const struct image *image)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_lt(image->size, 65536);
	cr_assert_eq(write(ends[1], image->bytes, image->size), (ssize_t)image->size);
	close(ends[1]);
	return ends[0];
}

/* A file and a pipe, whole and with a wrong byte anywhere. */
Test(damage, read_twice_as_once)
{
	struct content once, twice;
	struct image image;

	image_small(&image);
	for (size_t at = 0; at <= image.size; at += 13) {
		if (at)
			image.bytes[at - 1] ^= 1;
		content_read_image(&once, &image);
		for (int piped = 0; piped < 2; piped++) {
			content_read_twice(&twice,
					   piped ? image_to_pipe(&image) : image_to_fd(&image));
			cr_assert(content_equal(&once, &twice), "byte %zu", at);
			cr_assert_eq(once.damaged, twice.damaged, "byte %zu", at);
			cr_assert_eq(once.missing, twice.missing, "byte %zu", at);
			cr_assert_eq(once.lines, twice.lines, "byte %zu", at);
			content_release(&twice);
		}
		content_release(&once);
		if (at)
			image.bytes[at - 1] ^= 1;
	}
	image_release(&image);
}

/* What is written between the first and the second time is not part of it. */
Test(damage, a_growing_file_ends_where_it_did_the_first_time)
{
	struct span spans[SPANS_MAX];
	struct image image;
	size_t count;

	image_small(&image);
	image_spans(&image, spans, SPANS_MAX);
	for (size_t cut = spans[2].start; cut < image.size; cut += 29) {
		int fd = memfd_create("growing", 0);
		struct reader *reader;
		struct batch batch;

		cr_assert_eq(write(fd, image.bytes, cut), (ssize_t)cut);
		cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
		cr_assert_eq(reader_open(&reader, dup(fd), "x", NULL, NULL), 0);
		reader_set_growing(reader);
		cr_assert_eq(reader_mark(reader), 0);
		for (count = 0; reader_next(reader, &batch) > 0; count++)
			;
		cr_assert_eq(pwrite(fd, image.bytes + cut, image.size - cut, cut),
			     (ssize_t)(image.size - cut));
		cr_assert_eq(reader_rewind(reader), 0);
		for (; reader_next(reader, &batch) > 0; count--)
			;
		cr_assert_eq(count, 0, "cut at %zu", cut);
		cr_assert_eq(reader_damaged(reader), 0);
		reader_close(reader);
		close(fd);
	}
	image_release(&image);
}

static void note_line(void *context, const char *line)
{
	snprintf(context, 512, "%s", line);
}

/* The events that come as legs, and behind how many of them others are missing. */
static size_t count_legs(const struct image *image, size_t limit, size_t *before)
{
	static const uint16_t probes[] = {0, 1, 2, 3};
	const struct timeline timeline = {0};
	const struct legs_shape shape = {
		.span_ns = UINT32_MAX, .timeline = &timeline, .probes = probes};
	size_t counted = 0, sightings = 0;
	struct reader *reader;
	struct batch batch;

	cr_assert_eq(reader_open(&reader, image_to_fd(image), "x", NULL, NULL), 0);
	reader_limit(reader, limit);
	reader_make_legs(reader, &shape);
	while (reader_next(reader, &batch) == 1) {
		if (batch.type == BATCH_LOSSES)
			*before = counted;
		for (size_t i = 0; batch.type == BATCH_COUNTS && i < batch.count; i++)
			counted += batch.counts[i].events;
		for (size_t i = 0; batch.type == BATCH_LEGS && i < batch.count; i++)
			sightings += batch.legs[i].count;
		cr_assert(batch.type != BATCH_LEGS || sightings == counted);
	}
	reader_close(reader);
	return counted;
}

/* A block is handed out before all of it was looked at: what was, stays; the rest of it is missing. */
Test(damage, found_late)
{
	struct vnt_event *events = make_events(1300, 1000);
	struct image image, spoilt = {0};
	struct trace_info info;
	struct writer *writer;
	struct reader *reader;
	struct batch batch;
	struct span spans[4];
	char line[512] = "";
	uint8_t *raw;
	int fd = memfd_create("late", 0);

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, events, 5000), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, events + 5000, 200), 0);
	writer_close(writer);
	image_from_fd(&image, fd);
	cr_assert_eq(image_spans(&image, spans, 4), 4);
	raw = image_payload(&image, &spans[2]);

	spoilt.bytes = malloc(spans[2].start);
	spoilt.size = spans[2].start;
	memcpy(spoilt.bytes, image.bytes, spoilt.size);
	spans[2].block.last_ns++; /* but of the last event it is not the time */
	spans[2].block.codec = 0;
	spans[2].block.stored = spans[2].block.raw;
	image_append(&spoilt, spans[2].block, raw);
	image_append(&spoilt, spans[3].block,
		     image.bytes + spans[3].start + sizeof(struct vnt_block));

	for (size_t limit = 256; limit <= 8192; limit *= 2) {
		size_t kept = 0, before = 0;

		cr_assert_eq(reader_open(&reader, image_to_fd(&spoilt), "x", note_line, line), 0);
		reader_limit(reader, limit);
		while (reader_next(reader, &batch) == 1 && batch.type == BATCH_EVENTS) {
			cr_assert_eq(reader_damaged(reader), 0);
			cr_assert_leq(batch.count, limit);
			cr_assert_eq(
				memcmp(batch.events, events + kept, batch.count * sizeof(*events)),
				0);
			kept += batch.count;
		}
		cr_assert_eq(kept, 4864, "%zu", kept); /* all but its last chunk */
		cr_assert(reader_found(reader, &batch));
		cr_assert_eq(batch.losses->count, 5000 - kept);
		cr_assert_eq(batch.losses->first_ns, events[kept - 1].time_ns);
		cr_assert_eq(batch.losses->last_ns, spans[2].block.last_ns);
		cr_assert_eq(reader_damaged(reader), sizeof(struct vnt_block) + spans[2].block.raw);
		cr_assert(strstr(line, "damaged"));
		cr_assert_eq(reader_next(reader, &batch), 1);
		cr_assert_eq(batch.count, 200);
		cr_assert_eq(memcmp(batch.events, events + 5000, 200 * sizeof(*events)), 0);
		cr_assert_eq(reader_next(reader, &batch), 0);
		reader_close(reader);
		cr_assert_eq(count_legs(&spoilt, limit, &before), kept + 200);
		cr_assert_eq(before, kept);
	}
	image_release(&spoilt);
	image_release(&image);
	trace_info_release(&info);
	free(events);
	free(raw);
}
