// SPDX-License-Identifier: GPL-2.0-only
/* clocks.c - `clocks FILE`: the clock readings in a trace, and what it says of virtual machines, one line for each
 * row. Without FILE, what the kernel says of its clock now, as in the readings. */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/timex.h>

#include "lib/reader.h"

static void print_vm(const struct vm_row *row)
{
	printf("vm %" PRIu64 "-%" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 "%s\n", row->vm >> 32,
	       row->vm & UINT32_MAX, (int64_t)row->offset, row->ratio, row->fraction_bits,
	       row->before_ns <= row->after_ns ? "" : " backwards");
}

static void print_anchor(const struct anchor_row *row)
{
	printf("anchor mono %" PRIu64 " raw %" PRIu64 " real %" PRIu64 " tai %" PRIu64
	       " boot %" PRIu64 " tsc %" PRIu64 " width %" PRIu64 "\n",
	       row->mono_ns, row->raw_ns, row->real_ns, row->tai_ns, row->boot_ns, row->tsc,
	       row->width_ns);
	printf("adjtimex %" PRId64 " %" PRIu64 "\n", row->freq_scaled_ppm, row->adj_status);
	printf("ptp%" PRId64 "%s ahead %" PRId64 " width %" PRIu64 "\n",
	       (int64_t)(row->ptp_device & UINT32_MAX) - 1,
	       row->ptp_device & ANCHOR_PTP_KVM ? " kvm" : "",
	       (int64_t)(row->ptp_ns - row->ptp_real_ns), row->ptp_width_ns);
}

static int print_now(void)
{
	struct timex state = {.modes = 0};

	if (adjtimex(&state) < 0)
		err(1, "adjtimex");
	printf("adjtimex %ld %d\n", state.freq, state.status);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	struct reader *reader;
	struct batch batch;

	if (argc == 1)
		return print_now();
	if (fd < 0 || reader_open(&reader, fd, argv[1], NULL, NULL))
		errx(1, "clocks [FILE]");
	while (reader_next(reader, &batch) > 0) {
		for (size_t i = 0; batch.type == BATCH_VMS && i < batch.count; i++)
			print_vm(&batch.vms[i]);
		for (size_t i = 0; batch.type == BATCH_ANCHORS && i < batch.count; i++)
			print_anchor(&batch.anchors[i]);
	}
	reader_close(reader);
	return 0;
}
