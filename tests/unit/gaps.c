// SPDX-License-Identifier: GPL-2.0-only
/* The numbers of blocks: without holes as they are written, so that a hole says that blocks are missing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tracefile.h"

static void put_loss(struct writer *writer)
{
	const struct loss_row row = {.count = 1, .probe = ANY_PROBE, .cpu = ANY_CPU};

	cr_assert_eq(put(writer, BATCH_LOSSES, &row, 1), 0);
}

static void check_numbers(int fd, size_t blocks)
{
	struct span spans[16];
	struct image image;
	size_t count;

	image_from_fd(&image, fd);
	count = image_spans(&image, spans, 16);
	cr_assert_eq(count, 2 + blocks);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(spans[i].block.sequence, i < 2 ? 0 : i - 2, "block %zu", i);
	image_release(&image);
}

Test(gaps, what_is_not_written_or_taken_back_has_no_number)
{
	struct rlimit limit = {0, RLIM_INFINITY};
	struct vnt_event *events = make_events(10, 5);
	int fd = memfd_create("numbers", 0);
	struct trace_info info;
	struct writer *writer;

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	put_loss(writer);
	cr_assert_eq(put(writer, BATCH_EVENTS, events, 20), 0);
	put_loss(writer);
	cr_assert_eq(writer_take_back(writer), 20);
	put_loss(writer);
	signal(SIGXFSZ, SIG_IGN);
	limit.rlim_cur = writer_bytes(writer) + 10;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, events + 20, 20), -EFBIG);
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	writer_resume(writer);
	put_loss(writer);
	writer_close(writer);
	check_numbers(fd, 3);
	trace_info_release(&info);
	free(events);
}

static void cut_out(struct image *cut, const struct image *image, const struct span *first,
		    size_t blocks)
{
	size_t size = first[blocks].start - first->start, behind = first->start + size;

	*cut = (struct image){malloc(image->size), image->size - size};
	memcpy(cut->bytes, image->bytes, first->start);
	memcpy(cut->bytes + first->start, image->bytes + behind, image->size - behind);
}

static void check_said(const struct content *content, const struct span *first, size_t blocks)
{
	char line[128];

	snprintf(line, sizeof(line), "'x' is incomplete: %zu block%s missing before byte %zu",
		 blocks, blocks > 1 ? "s are" : " is", first->start);
	cr_assert_eq(content->lines, 1);
	cr_assert_str_eq(content->line, line);
	cr_assert_eq(content->damaged, blocks * sizeof(struct vnt_block));
}

/* Also where no count of events shows it. Of the first block nobody knows that it is not the first one; and what
 * lacks the end is another matter. */
Test(gaps, blocks_that_are_missing_without_a_trace)
{
	struct span spans[64];
	struct image image;
	size_t count;

	image_small(&image);
	count = image_spans(&image, spans, 64);
	for (size_t i = 3; i + 1 < count; i++) {
		for (size_t blocks = 1; blocks < 4 && i + blocks < count; blocks++) {
			struct content once, twice;
			struct image cut;
			uint64_t events =
				spans[i + blocks].block.position - spans[i].block.position;

			cut_out(&cut, &image, &spans[i], blocks);
			content_read_image(&once, &cut);
			cr_assert_eq(once.missing, events);
			check_said(&once, &spans[i], blocks);
			content_read_twice(&twice, image_to_fd(&cut));
			check_said(&twice, &spans[i], blocks);
			content_release(&once);
			content_release(&twice);
			image_release(&cut);
		}
	}
	image_release(&image);
}
