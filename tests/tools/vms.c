// SPDX-License-Identifier: GPL-2.0-only
/* vms.c - `vms FILE`: what a trace says of virtual machines, one line for each row. */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/reader.h"

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	struct reader *reader;
	struct batch batch;

	if (fd < 0 || reader_open(&reader, fd, argv[1], NULL, NULL))
		errx(1, "vms FILE");
	while (reader_next(reader, &batch) > 0) {
		for (size_t i = 0; batch.type == BATCH_VMS && i < batch.count; i++) {
			const struct vm_row *row = &batch.vms[i];

			printf("%" PRIu64 "-%" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 "%s\n",
			       row->vm >> 32, row->vm & UINT32_MAX, (int64_t)row->offset,
			       row->ratio, row->fraction_bits,
			       row->before_ns <= row->after_ns ? "" : " backwards");
		}
	}
	reader_close(reader);
	return 0;
}
