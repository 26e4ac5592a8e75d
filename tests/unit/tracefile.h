/* SPDX-License-Identifier: GPL-2.0-only */
/* tracefile.h - trace files in memory, to write, spoil and read back. */
#ifndef VNT_TESTS_TRACEFILE_H
#define VNT_TESTS_TRACEFILE_H

#include "lib/block.h"
#include "lib/reader.h"
#include "lib/writer.h"

struct image {
	uint8_t *bytes;
	size_t size;
};

struct span {
	size_t start; /* of the block header */
	size_t size;
	struct vnt_block block;
};

/* All that a reader handed out, and said. */
struct content {
	int opened; /* result of reader_open() */
	int ended;  /* result of the last reader_next() */
	struct vnt_event *events;
	size_t nevents;
	uint64_t *words; /* rows of all other batches but LOSS_DAMAGED_FILE, as they came */
	size_t nwords;
	size_t ndomains;
	size_t nprobes;
	uint64_t missing;     /* sum of LOSS_DAMAGED_FILE */
	struct loss_row loss; /* the last of these */
	uint64_t damaged;
	int lines;
	char line[512]; /* the last one */
};

/* Two domains, four probes of a new recording. */
void small_info(struct trace_info *info);

/* Deterministic events of `npackets` packets at the four probes. */
struct vnt_event *make_events(size_t npackets, uint64_t start_ns);

#define IMAGE_WORDS (17 + 4 + 6 + 8 + 7 + 17) /* of the rows in it */

/* EVENTS blocks of 5, 6, ... events, with blocks of all other types between and behind them. */
void image_small(struct image *image);

void image_from_fd(struct image *image, int fd); /* the whole file; closes it */
int image_to_fd(const struct image *image);
void image_append(struct image *image, struct vnt_block block, const void *payload);
void image_release(struct image *image);

/* The blocks of an undamaged image; returns how many. */
size_t image_spans(const struct image *image, struct span *spans, size_t max);

/* The decompressed payload; the caller frees it. */
uint8_t *image_payload(const struct image *image, const struct span *span);

void content_read(struct content *content, int fd); /* takes the fd */
void content_read_image(struct content *content, const struct image *image);
void content_read_twice(struct content *content, int fd);             /* the second time counts */
bool content_equal(const struct content *a, const struct content *b); /* the batches */
void content_release(struct content *content);

int put(struct writer *writer, enum batch_type type, const void *rows, size_t count);

#endif
