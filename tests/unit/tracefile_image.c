// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/codec.h"
#include "lib/rows.h"
#include "tracefile.h"

void small_info(struct trace_info *info)
{
	struct domain domain = {.name = "h1", .hostname = "host", .kernel = "6.1"};
	struct probe probe = {.name = "dev:eth0:tx", .recording = {1, 2, 3}, .ifindex = 2};

	memset(info, 0, sizeof(*info));
	trace_info_add_domain(info, &domain);
	trace_info_add_domain(info, &domain);
	for (int i = 0; i < 4; i++) {
		probe.domain = i / 2;
		getrandom(probe.recording, sizeof(probe.recording), 0);
		trace_info_add_probe(info, &probe);
	}
}

struct vnt_event *make_events(size_t npackets, uint64_t start_ns)
{
	struct vnt_event *events = calloc(npackets * 4 + 1, sizeof(*events));

	for (size_t i = 0; i < npackets * 4; i++) {
		uint64_t packet = i / 4;

		events[i] = (struct vnt_event){
			.time_ns = start_ns + i * 700 + i * i % 300,
			.flow = (packet % 3 + 1) * 0x9e3779b97f4a7c15ull,
			.key = (packet + 1) * 0xc2b2ae3d27d4eb4full,
			.length = 60 + packet * 37 % 1440,
			.payload = packet % 5 ? packet * 37 % 1440 : 0,
			.probe = i % 4,
			.cpu = packet % 2,
			.flags = packet % 7 ? 0 : VNT_PACKET_TCP_DATA,
		};
	}
	return events;
}

int put(struct writer *writer, enum batch_type type, const void *rows, size_t count)
{
	struct batch batch = {.type = type, .count = count, .rows = rows};

	return writer_put(writer, &batch);
}

void image_small(struct image *image)
{
	struct flow_row flow = {.hash = 7, .flow = {.saddr = {1, 2}, .sport = 5001, .proto = 17}};
	struct anchor_row anchor = {.mono_ns = 900, .real_ns = 1ull << 60, .domain = 1};
	struct loss_row loss = {.first_ns = 1, .last_ns = 9, .count = 3, .domain = 1, .probe = 2};
	struct epoch_row epoch = {.time_ns = 800, .probe = 3, .active = 1};
	struct cost_row cost = {.domain = 1, .events = 5, .run_ns = 500};
	struct vnt_event *events = make_events(20, 1000);
	int fd = memfd_create("small", 0), err = 0;
	struct trace_info info;
	struct writer *writer;
	size_t at = 0;

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	err |= put(writer, BATCH_ANCHORS, &anchor, 1);
	err |= put(writer, BATCH_EPOCHS, &epoch, 1);
	for (size_t count = 5; at + count <= 80; at += count, count++)
		err |= put(writer, BATCH_EVENTS, &events[at], count);
	err |= put(writer, BATCH_FLOWS, &flow, 1);
	err |= put(writer, BATCH_EVENTS, &events[at], 80 - at);
	err |= put(writer, BATCH_LOSSES, &loss, 1);
	err |= put(writer, BATCH_COSTS, &cost, 1);
	err |= put(writer, BATCH_ANCHORS, &anchor, 1);
	cr_assert_eq(err, 0);
	cr_assert_eq(writer_events(writer), 80);
	writer_close(writer);
	trace_info_release(&info);
	free(events);
	image_from_fd(image, fd);
}

void image_from_fd(struct image *image, int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	image->size = st.st_size;
	image->bytes = malloc(image->size + 1);
	cr_assert_eq(pread(fd, image->bytes, image->size, 0), st.st_size);
	close(fd);
}

int image_to_fd(const struct image *image)
{
	int fd = memfd_create("image", 0);

	cr_assert_eq(write(fd, image->bytes, image->size), (ssize_t)image->size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

void image_append(struct image *image, struct vnt_block block, const void *payload)
{
	size_t stored = block.stored;

	block_seal(&block, payload);
	image->bytes = realloc(image->bytes, image->size + sizeof(block) + stored + 1);
	memcpy(image->bytes + image->size, &block, sizeof(block));
	if (stored)
		memcpy(image->bytes + image->size + sizeof(block), payload, stored);
	image->size += sizeof(block) + stored;
}

void image_release(struct image *image)
{
	free(image->bytes);
	memset(image, 0, sizeof(*image));
}

size_t image_spans(const struct image *image, struct span *spans, size_t max)
{
	size_t n = 0, at = 0;

	while (at < image->size) {
		cr_assert_lt(n, max);
		cr_assert(block_parse(&spans[n].block, image->bytes + at));
		spans[n].start = at;
		spans[n].size = sizeof(struct vnt_block) + spans[n].block.stored;
		at += spans[n++].size;
	}
	return n;
}

uint8_t *image_payload(const struct image *image, const struct span *span)
{
	const uint8_t *stored = image->bytes + span->start + sizeof(struct vnt_block);
	const struct codec *codec = codec_find(span->block.codec);
	uint8_t *raw = malloc(span->block.raw + 1);

	if (!codec->decompress)
		memcpy(raw, stored, span->block.raw);
	else
		cr_assert_eq(codec->decompress(stored, span->block.stored, raw, span->block.raw),
			     0);
	return raw;
}

static void content_log(void *context, const char *line)
{
	struct content *content = context;

	content->lines++;
	snprintf(content->line, sizeof(content->line), "%s", line);
}

static void content_add(struct content *content, const struct batch *batch)
{
	size_t words;

	if (batch->type == BATCH_EVENTS) {
		content->events = reallocarray(content->events, content->nevents + batch->count,
					       sizeof(*content->events));
		memcpy(&content->events[content->nevents], batch->events,
		       batch->count * sizeof(*content->events));
		content->nevents += batch->count;
		return;
	}
	if (batch->type == BATCH_LOSSES && batch->losses->cause == LOSS_DAMAGED_FILE) {
		content->missing += batch->losses->count;
		content->loss = *batch->losses;
		return;
	}
	words = batch->count * row_type_of_batch(batch->type)->words;
	content->words = reallocarray(content->words, content->nwords + words, sizeof(uint64_t));
	memcpy(&content->words[content->nwords], batch->rows, words * sizeof(uint64_t));
	content->nwords += words;
}

static void read_content(struct content *content, int fd, bool twice)
{
	struct reader *reader;
	struct batch batch;

	memset(content, 0, sizeof(*content));
	content->opened = reader_open(&reader, fd, "x", content_log, content);
	if (content->opened)
		return;
	if (twice) {
		cr_assert_eq(reader_mark(reader), 0);
		while (reader_next(reader, &batch) > 0)
			;
		cr_assert_eq(reader_rewind(reader), 0);
	}
	content->ndomains = reader_info(reader)->ndomains;
	content->nprobes = reader_info(reader)->nprobes;
	while ((content->ended = reader_next(reader, &batch)) > 0)
		content_add(content, &batch);
	content->damaged = reader_damaged(reader);
	reader_close(reader);
}

void content_read(struct content *content, int fd)
{
	read_content(content, fd, false);
}

void content_read_twice(struct content *content, int fd)
{
	read_content(content, fd, true);
}

void content_read_image(struct content *content, const struct image *image)
{
	content_read(content, image_to_fd(image));
}

bool content_equal(const struct content *a, const struct content *b)
{
	return a->nevents == b->nevents && a->nwords == b->nwords &&
	       (!a->nevents || !memcmp(a->events, b->events, a->nevents * sizeof(*a->events))) &&
	       (!a->nwords || !memcmp(a->words, b->words, a->nwords * sizeof(*a->words)));
}

void content_release(struct content *content)
{
	free(content->events);
	free(content->words);
	memset(content, 0, sizeof(*content));
}
