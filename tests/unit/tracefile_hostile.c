// SPDX-License-Identifier: GPL-2.0-only
/* Blocks whose CRCs are right and whose contents are not, and blocks of newer versions. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/codec.h"
#include "lib/columns.h"
#include "lib/crc32c.h"
#include "lib/rows.h"
#include "tracefile.h"

#define EVENTS_AT 4 /* the first EVENTS block of image_small(): five events of probes 0 to 3 */

/* image_small() with one more block, `payload`, between its headers and the rest. */
static void read_with(const struct vnt_block *block, const void *payload, struct content *got)
{
	struct image image, other = {0};
	struct vnt_block extra = *block;
	struct span spans[64];
	size_t rest;

	image_small(&image);
	image_spans(&image, spans, 64);
	rest = spans[2].start;
	other.bytes = malloc(rest);
	memcpy(other.bytes, image.bytes, rest);
	other.size = rest;
	extra.tag = spans[0].block.tag;
	image_append(&other, extra, payload);
	other.bytes = realloc(other.bytes, other.size + image.size - rest);
	memcpy(other.bytes + other.size, image.bytes + rest, image.size - rest);
	other.size += image.size - rest;
	content_read_image(got, &other);
	image_release(&image);
	image_release(&other);
}

/* The block is refused, and nothing else is. */
static bool refused(const struct vnt_block *block, const void *payload)
{
	struct content got;
	bool good;

	read_with(block, payload, &got);
	good = !got.opened && !got.ended && got.lines == 1 &&
	       got.damaged == sizeof(*block) + block->stored && got.nwords == IMAGE_WORDS &&
	       got.nevents == 80;
	content_release(&got);
	return good;
}

Test(hostile, headers)
{
	static const struct {
		const char *what;
		struct vnt_block block;
	} cases[] = {
		{"raw length of nothing",
		 {.type = BLOCK_FLOWS, .rows = 1, .raw = BLOCK_MAX, .codec = CODEC_LZ4}},
		{"the same, zlib",
		 {.type = BLOCK_FLOWS, .rows = 1, .raw = BLOCK_MAX, .codec = CODEC_ZLIB}},
		{"lengths differ", {.type = BLOCK_FLOWS, .rows = 1, .raw = 48, .stored = 40}},
		{"odd row length", {.type = BLOCK_FLOWS, .rows = 1, .raw = 47, .stored = 47}},
		{"rows do not divide", {.type = BLOCK_FLOWS, .rows = 7, .raw = 48, .stored = 48}},
		{"too many rows",
		 {.type = BLOCK_FLOWS, .rows = UINT32_MAX, .raw = 48, .stored = 48}},
		{"unknown codec",
		 {.type = BLOCK_FLOWS, .rows = 1, .raw = 48, .stored = 48, .codec = 9}},
		{"times backwards",
		 {.type = BLOCK_FLOWS, .rows = 1, .raw = 48, .stored = 48, .first_ns = 1}},
		{"position at the end",
		 {.type = BLOCK_FLOWS, .rows = 1, .raw = 48, .stored = 48, .position = UINT64_MAX}},
	};
	static const uint8_t payload[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert(refused(&cases[i].block, payload), "%s", cases[i].what);
}

Test(hostile, lengths_beyond_the_limit)
{
	struct vnt_block block = {.type = BLOCK_FLOWS, .stored = BLOCK_MAX + 1, .raw = 48}, parsed;
	uint8_t *payload = calloc(1, BLOCK_MAX + 1);

	block_seal(&block, payload);
	cr_assert_not(block_parse(&parsed, &block));
	block = (struct vnt_block){.type = BLOCK_FLOWS, .stored = 48, .raw = BLOCK_MAX + 1};
	block_seal(&block, payload);
	cr_assert_not(block_parse(&parsed, &block));
	block = (struct vnt_block){.type = BLOCK_FLOWS, .stored = 48, .raw = BLOCK_MAX};
	block_seal(&block, payload);
	cr_assert(block_parse(&parsed, &block));
	free(payload);
}

Test(hostile, rows)
{
	struct loss_row loss = {.probe = 4};
	struct epoch_row epoch = {.probe = ANY_PROBE};
	struct anchor_row anchor = {.domain = 2};
	struct cost_row cost = {.domain = UINT64_MAX};
	struct vnt_block block = {
		.type = BLOCK_LOSS, .rows = 1, .raw = sizeof(loss), .stored = sizeof(loss)};

	cr_assert(refused(&block, &loss));
	loss = (struct loss_row){.probe = ANY_PROBE, .domain = 2};
	cr_assert(refused(&block, &loss));
	block = (struct vnt_block){
		.type = BLOCK_EPOCH, .rows = 1, .raw = sizeof(epoch), .stored = sizeof(epoch)};
	cr_assert(refused(&block, &epoch));
	block = (struct vnt_block){
		.type = BLOCK_CLOCK, .rows = 1, .raw = sizeof(anchor), .stored = sizeof(anchor)};
	cr_assert(refused(&block, &anchor));
	block = (struct vnt_block){
		.type = BLOCK_COST, .rows = 1, .raw = sizeof(cost), .stored = sizeof(cost)};
	cr_assert(refused(&block, &cost));
}

/* However many blocks are refused behind it. */
Test(hostile, batch_before_keeps_its_rows)
{
	struct loss_row good = {.count = 1, .probe = 3}, bad = {.count = 2, .probe = 4};
	struct vnt_block block = {
		.type = BLOCK_LOSS, .rows = 1, .raw = sizeof(good), .stored = sizeof(good)};
	struct batch before = {0}, batch;
	struct span spans[64];
	struct reader *reader;
	struct image image;
	int fd;

	image_small(&image);
	image_spans(&image, spans, 64);
	image.size = spans[2].start;
	block.tag = spans[0].block.tag;
	image_append(&image, block, &good);
	image_append(&image, block, &bad);
	image_append(&image, block, &bad);
	image_append(&image, block, &good);
	fd = image_to_fd(&image);
	cr_assert_eq(reader_open(&reader, fd, "hostile", NULL, NULL), 0);
	cr_assert_eq(reader_next(reader, &before), 1);
	cr_assert_eq(reader_next(reader, &batch), 1);
	cr_assert_eq(batch.losses->count, 1);
	cr_assert_eq(before.losses->count, 1);
	cr_assert_neq(before.losses, batch.losses);
	cr_assert_eq(reader_next(reader, &batch), 0);
	reader_close(reader);
	close(fd);
	image_release(&image);
}

/* One event by hand: {flow, flow index, key, length, headers, flags, time, packet, probe, cpu,
 * outer, segment, id}. */
struct column_bytes {
	size_t size;
	uint8_t bytes[12];
};

static const struct column_bytes good_columns[FIELDS] = {
	{8, {1}}, {1, {0}}, {8, {2}}, {1, {60}}, {1, {56}}, {1, {0}}, {1, {0}},
	{1, {0}}, {1, {0}}, {1, {0}}, {8, {3}},  {1, {4}},  {1, {9}},
};

static size_t columns_build(const struct vnt_columns *head, const struct column_bytes *columns,
			    uint8_t *out)
{
	uint8_t *entry = out + sizeof(*head), *at = entry + FIELDS * sizeof(struct vnt_column);

	memcpy(out, head, sizeof(*head));
	for (int i = 0; i < FIELDS; i++) {
		struct vnt_column column = {
			.id = i, .encoding = fields[i].encoding, .bytes = columns[i].size};

		memcpy(entry, &column, sizeof(column));
		entry += sizeof(column);
		memcpy(at, columns[i].bytes, columns[i].size);
		at += columns[i].size;
	}
	return at - out;
}

/* A few events at a time. 0 or -EBADMSG. */
static int decode(struct decoder *decoder, const uint8_t *payload, size_t size,
		  const struct vnt_block *block, struct vnt_event *events)
{
	int got = decoder_begin(decoder, payload, size, block, 4);

	if (got)
		return got;
	while ((got = decoder_next(decoder, events, 3)) > 0)
		events += got;
	return got;
}

static int columns_result(const struct vnt_columns *head, const struct column_bytes *columns,
			  uint64_t first_ns)
{
	struct vnt_block block = {.rows = 1, .first_ns = first_ns, .last_ns = first_ns};
	struct decoder *decoder;
	struct vnt_event event;
	uint8_t payload[512];
	size_t size = columns_build(head, columns, payload);
	uint8_t *exact = malloc(size); /* so that a read beyond the end is caught */
	int err;

	memcpy(exact, payload, size);
	cr_assert_eq(decoder_open(&decoder), 0);
	err = decode(decoder, exact, size, &block, &event);
	decoder_close(decoder);
	free(exact);
	return err;
}

Test(hostile, columns)
{
	static const struct {
		const char *what;
		enum field_id id;
		struct column_bytes column;
	} cases[] = {
		{"flow too short", FIELD_FLOW, {7, {1}}},
		{"flow too long", FIELD_FLOW, {9, {1}}},
		{"flow index", FIELD_FLOW_INDEX, {1, {1}}},
		{"length of 33 bits", FIELD_LENGTH, {5, {0x80, 0x80, 0x80, 0x80, 0x10}}},
		{"negative payload", FIELD_HEADERS, {1, {122}}},
		{"flags of 17 bits", FIELD_FLAGS, {3, {0x80, 0x80, 0x04}}},
		{"no end", FIELD_TIME, {1, {0x80}}},
		{"no end in ten bytes",
		 FIELD_TIME,
		 {11, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}}},
		{"empty", FIELD_TIME, {0, {0}}},
		{"last time", FIELD_TIME, {1, {1}}},
		{"packet before the first", FIELD_PACKET, {1, {1}}},
		{"packet far away", FIELD_PACKET, {5, {0xff, 0xff, 0xff, 0xff, 0x0f}}},
		{"probe", FIELD_PROBE, {1, {4}}},
		{"cpu of 17 bits", FIELD_CPU, {3, {0x80, 0x80, 0x04}}},
		{"one value too many", FIELD_CPU, {2, {0, 0}}},
		{"tunnel too short", FIELD_OUTER, {7, {3}}},
		{"segment of 17 bits", FIELD_SEGMENT, {3, {0x80, 0x80, 0x04}}},
		{"no end of the ID", FIELD_ID, {1, {0x80}}},
	};
	struct vnt_columns head = {1, 1, FIELDS};
	struct column_bytes columns[FIELDS];

	cr_assert_eq(columns_result(&head, good_columns, 5), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(columns, good_columns, sizeof(columns));
		columns[cases[i].id] = cases[i].column;
		cr_assert_eq(columns_result(&head, columns, 5), -EBADMSG, "%s", cases[i].what);
	}
}

Test(hostile, column_counts)
{
	static const struct vnt_columns heads[] = {
		{UINT32_MAX, 1, FIELDS}, {1, UINT32_MAX, FIELDS}, {1, 1, UINT32_MAX},
		{2, 1, FIELDS},          {1, 2, FIELDS},          {1, 1, 0},
		{1, 1, FIELDS - 1},      {0, 1, FIELDS},          {1, 0, FIELDS},
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		cr_assert_eq(columns_result(&heads[i], good_columns, 5), -EBADMSG, "%zu", i);
}

/* Bytes of a block changed at random, CRCs made right again: whatever comes out is in order and
 * within the tables. */
Test(hostile, random_columns)
{
	struct image image;
	struct span spans[64];
	struct vnt_event events[64];
	struct decoder *decoder;
	size_t bad = 0, wrong = 0;
	uint8_t *raw;

	image_small(&image);
	image_spans(&image, spans, 64);
	raw = image_payload(&image, &spans[EVENTS_AT]);
	cr_assert_eq(decoder_open(&decoder), 0);
	srandom(2);
	for (int round = 0; round < 20000; round++) {
		struct vnt_block block = spans[EVENTS_AT].block;
		uint8_t *copy = malloc(block.raw);

		memcpy(copy, raw, block.raw);
		for (int i = random() % 3; i >= 0; i--)
			copy[random() % block.raw] = random();
		if (decode(decoder, copy, block.raw, &block, events)) {
			bad++;
		} else {
			for (size_t i = 0; i < block.rows; i++)
				wrong += events[i].probe >= 4 ||
					 (i && events[i].time_ns < events[i - 1].time_ns);
		}
		free(copy);
	}
	cr_assert_eq(wrong, 0);
	cr_assert_gt(bad, 0);
	decoder_close(decoder);
	free(raw);
	image_release(&image);
}

/* Every header lies in the payload of the one before, whose CRC is wrong. Were each payload looked
 * at, that would be more than 100 GB. */
Test(hostile, nested_headers)
{
	size_t count = 60000;
	struct span spans[64];
	struct image image;
	struct content got;
	size_t small;

	image_small(&image);
	small = image.size;
	image_spans(&image, spans, 64);
	image.bytes = realloc(image.bytes, small + count * sizeof(struct vnt_block));
	for (size_t i = 0; i < count; i++) {
		struct vnt_block block = {
			.type = BLOCK_EVENTS,
			.rows = 1,
			.tag = spans[0].block.tag,
			.position = 80,
			.first_ns = 1ull << 40,
			.last_ns = 1ull << 40,
		};
		uint8_t *at = image.bytes + small + i * sizeof(block);

		block_seal(&block, ""); /* the CRC of nothing; then it claims the rest */
		block.stored = htole32((count - i - 1) * sizeof(block));
		block.header_crc = htole32(crc32c(&block, offsetof(struct vnt_block, header_crc)));
		memcpy(at, &block, sizeof(block));
	}
	image.size += count * sizeof(struct vnt_block);
	content_read_image(&got, &image);
	cr_assert_eq(got.nevents, 80);
	cr_assert_eq(got.damaged, image.size - small);
	content_release(&got);
	image_release(&image);
}

/* What a newer version may add, an older reader leaves out. */
Test(hostile, longer_and_shorter_rows)
{
	uint64_t words[2][10] = {{1, 2, 3, 0, 1, 0, 99, 8, 7, 7},
				 {4, 5, 6, 1, ANY_PROBE, 0, 1, 9, 7, 7}};
	struct vnt_block block = {.rows = 2, .raw = sizeof(words), .stored = sizeof(words)};
	const struct row_type *type = row_type_of_block(BLOCK_LOSS);
	struct loss_row losses[2];

	cr_assert_eq(rows_decode(type, (uint8_t *)words, block.raw, 2, losses), 0);
	cr_assert_eq(losses[0].count, 3);
	cr_assert_eq(losses[0].cause, LOSS_OTHER);
	cr_assert_eq(losses[1].first_ns, 4);
	cr_assert_eq(losses[1].cause, LOSS_RING_FULL);
	cr_assert_eq(losses[1].bytes, 9);
	cr_assert_eq(rows_decode(type, (uint8_t *)words, 48, 2, losses), 0);
	cr_assert_eq(losses[1].first_ns, 0);
	cr_assert_eq(losses[1].last_ns, 1);
	cr_assert_eq(losses[1].count, 0);
	cr_assert_eq(losses[1].probe, 0);
}

/* Rows as version 1.0 wrote them: all packets were kept, and costs are of all programs. */
Test(hostile, rows_without_sampling)
{
	const uint64_t words[] = {1, 0, 1, 0, 20, 30, 40, 50, 60};
	struct loss_row loss = {.bytes = 1};
	struct epoch_row epoch = {.sampling = 1};
	struct cost_row cost = {.program = 1};

	cr_assert_eq(rows_decode(row_type_of_block(BLOCK_LOSS), (uint8_t *)words, 56, 1, &loss), 0);
	cr_assert_eq(loss.bytes, 0);
	cr_assert_eq(loss.cause, LOSS_OTHER, "40 is no cause");
	cr_assert_eq(rows_decode(row_type_of_block(BLOCK_EPOCH), (uint8_t *)words, 24, 1, &epoch),
		     0);
	cr_assert_eq(epoch.sampling, 0);
	cr_assert_eq(epoch.active, 1);
	cr_assert_eq(rows_decode(row_type_of_block(BLOCK_COST), (uint8_t *)&words[3], 48, 1, &cost),
		     0);
	cr_assert_eq(cost.program, PROGRAM_ALL);
	cr_assert_eq(cost.recording, 60);
}

Test(hostile, unknown_block_type)
{
	struct vnt_block block = {
		.type = 200, .rows = UINT32_MAX, .raw = 9, .stored = 5, .codec = 77};
	struct content got;

	read_with(&block, "12345", &got);
	cr_assert_eq(got.nevents, 80);
	cr_assert_eq(got.nwords, IMAGE_WORDS);
	cr_assert_eq(got.damaged, 0);
	content_release(&got);
}

Test(hostile, unknown_column)
{
	struct vnt_columns head = {1, 1, FIELDS};
	struct vnt_column column = {.id = 500, .encoding = 9, .bytes = 3};
	struct vnt_block block = {.rows = 1, .first_ns = 5, .last_ns = 5};
	uint8_t payload[512], longer[600];
	size_t size = columns_build(&head, good_columns, payload);
	struct decoder *decoder;
	struct vnt_event event;

	head.columns++;
	memcpy(longer, &head, sizeof(head));
	memcpy(longer + sizeof(head), &column, sizeof(column));
	memcpy(longer + sizeof(head) + sizeof(column), payload + sizeof(head),
	       FIELDS * sizeof(column));
	memset(longer + sizeof(head) + sizeof(column) * (FIELDS + 1), 0xff, 3);
	memcpy(longer + sizeof(head) + sizeof(column) * (FIELDS + 1) + 3,
	       payload + sizeof(head) + sizeof(column) * FIELDS,
	       size - sizeof(head) - sizeof(column) * FIELDS);
	cr_assert_eq(decoder_open(&decoder), 0);
	cr_assert_eq(decode(decoder, longer, size + sizeof(column) + 3, &block, &event), 0);
	cr_assert_eq(event.flow, 1);
	cr_assert_eq(event.key, 2);
	cr_assert_eq(event.length, 60);
	cr_assert_eq(event.payload, 32);
	cr_assert_eq(event.outer, 3);
	cr_assert_eq(event.segment, 4);
	cr_assert_eq(event.id, 0xfffb);
	decoder_close(decoder);
}
