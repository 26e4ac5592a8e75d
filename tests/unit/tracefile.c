// SPDX-License-Identifier: GPL-2.0-only
/* What is written is what is read. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/codec.h"
#include "lib/crc32c.h"
#include "lib/header.h"
#include "tracefile.h"

Test(tracefile, crc32c)
{
	uint8_t bytes[300];
	bool same = true;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7;
	cr_assert_eq(crc32c("123456789", 9), 0xe3069283);
	cr_assert_eq(crc32c_portable("123456789", 9), 0xe3069283);
	for (size_t size = 0; size < 200; size++)
		same &= crc32c(bytes + size % 9, size) == crc32c_portable(bytes + size % 9, size);
	cr_assert(same);
}

/* Puts one batch, reads it back, compares. */
static void round_trip(enum batch_type type, const void *rows, size_t count, size_t row_size)
{
	int fd = memfd_create("trip", 0);
	struct trace_info info;
	struct writer *writer;
	struct reader *reader;
	struct batch batch;
	size_t done = 0;

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	cr_assert_eq(put(writer, type, rows, count), 0);
	cr_assert_eq((off_t)writer_bytes(writer), lseek(fd, 0, SEEK_END));
	writer_close(writer);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(reader_open(&reader, fd, "trip", NULL, NULL), 0);
	while (reader_next(reader, &batch) == 1) {
		cr_assert_eq(batch.type, type);
		cr_assert_leq(batch.count, BLOCK_ROWS);
		cr_assert_leq(done + batch.count, count);
		cr_assert_arr_eq(batch.rows, (const char *)rows + done * row_size,
				 batch.count * row_size);
		done += batch.count;
	}
	cr_assert_eq(done, count);
	cr_assert_eq(reader_damaged(reader), 0);
	reader_close(reader);
	trace_info_release(&info);
}

#define ROUND_TRIP(type, rows) \
	round_trip(type, rows, sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]))

Test(tracefile, extreme_events)
{
	const struct vnt_event events[] = {
		{0},
		{.time_ns = 1, .flow = UINT64_MAX, .key = UINT64_MAX, .length = UINT32_MAX},
		{.time_ns = 1, .payload = UINT32_MAX, .cpu = UINT16_MAX, .flags = UINT16_MAX},
		{.time_ns = 1,
		 .flow = UINT64_MAX,
		 .key = UINT64_MAX,
		 .length = UINT32_MAX,
		 .probe = 3},
		{.time_ns = UINT64_MAX, .length = UINT32_MAX, .payload = UINT32_MAX, .probe = 1},
		{.time_ns = UINT64_MAX},
	};

	ROUND_TRIP(BATCH_EVENTS, events);
	round_trip(BATCH_EVENTS, events, 1, sizeof(events[0]));
	round_trip(BATCH_EVENTS, events, 0, sizeof(events[0]));
}

Test(tracefile, many_events)
{
	size_t npackets = 50000;
	struct vnt_event *events = make_events(npackets, 1ull << 50);

	round_trip(BATCH_EVENTS, events, npackets * 4, sizeof(*events));
	for (size_t i = 0; i < npackets * 4; i++)
		events[i].id = i / 4 * 1000; /* of flows that count up, one packet at four probes */
	round_trip(BATCH_EVENTS, events, npackets * 4, sizeof(*events));
	for (size_t i = 0; i < npackets * 4; i++) { /* nothing repeats: the largest columns */
		events[i].flow = i * 0x9e3779b97f4a7c15ull;
		events[i].key = ~i;
		events[i].length = UINT32_MAX - i;
		events[i].payload = i;
		events[i].flags = events[i].cpu = UINT16_MAX - i % 3;
		events[i].outer = i > npackets && i % 3 ? UINT64_MAX - i % 3 : 0;
		events[i].segment = i > 2 * npackets ? i : 0;
		events[i].id = i > 3 * npackets ? 7 * i : 0;
	}
	round_trip(BATCH_EVENTS, events, npackets * 4, sizeof(*events));
	free(events);
}

Test(tracefile, rows)
{
	struct flow_row flows[2] = {{.hash = UINT64_MAX}};
	const struct anchor_row anchors[] = {
		{.mono_ns = UINT64_MAX,
		 .freq_scaled_ppm = INT64_MIN,
		 .adj_offset_ns = -1,
		 .domain = 1,
		 .ptp_device = ANCHOR_PTP_KVM | 3},
		{0},
	};
	const struct loss_row losses[] = {
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, 1, ANY_PROBE, UINT64_MAX, LOSS_DAMAGED_FILE},
		{.probe = 3, .cause = LOSS_SAMPLED, .bytes = UINT64_MAX},
	};
	const struct epoch_row epochs[] = {{UINT64_MAX, 3, 1, UINT32_MAX}, {0, 0, 0}};
	const struct cost_row costs[] = {
		{1, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, UINT64_MAX, PROGRAM_DEV_TX}};

	const struct vm_row vms[] = {{1, 1, 2, UINT64_MAX, UINT64_MAX, UINT64_MAX, 48}, {0}};
	const struct range_row ranges[] = {{1, 0, UINT64_MAX, INT64_MIN, -0.125, INT64_MAX}, {0}};
	struct tunnel_row tunnels[2] = {{.hash = UINT64_MAX}};

	memset(&tunnels[1].tunnel, 0xff, sizeof(tunnels[1].tunnel));
	tunnels[1].tunnel.pad = 0;
	for (int i = 0; i < 16; i++)
		tunnels[0].tunnel.saddr[i] = tunnels[0].tunnel.daddr[15 - i] = i;
	memset(&flows[1].flow, 0xff, sizeof(flows[1].flow));
	flows[1].flow.pad = 0;
	for (int i = 0; i < 16; i++)
		flows[0].flow.saddr[i] = flows[0].flow.daddr[15 - i] = i;
	ROUND_TRIP(BATCH_FLOWS, flows);
	ROUND_TRIP(BATCH_ANCHORS, anchors);
	ROUND_TRIP(BATCH_LOSSES, losses);
	ROUND_TRIP(BATCH_EPOCHS, epochs);
	ROUND_TRIP(BATCH_COSTS, costs);
	ROUND_TRIP(BATCH_TUNNELS, tunnels);
	ROUND_TRIP(BATCH_VMS, vms);
	ROUND_TRIP(BATCH_RANGES, ranges);
	round_trip(BATCH_FLOWS, flows, 0, sizeof(flows[0]));
	round_trip(BATCH_ANCHORS, anchors, 0, sizeof(anchors[0]));
}

Test(tracefile, many_rows)
{
	struct anchor_row *anchors = calloc(BLOCK_ROWS + 10, sizeof(*anchors));

	for (size_t i = 0; i < BLOCK_ROWS + 10; i++)
		anchors[i].mono_ns = i;
	round_trip(BATCH_ANCHORS, anchors, BLOCK_ROWS + 10, sizeof(*anchors));
	free(anchors);
}

static void fill_domain(struct domain *domain, int i)
{
	snprintf(domain->name, sizeof(domain->name), "domain %d", i);
	memset(domain->hostname, 'h', sizeof(domain->hostname) - 1);
	memset(domain->kernel, 'k', i % sizeof(domain->kernel));
	snprintf(domain->boot_id, sizeof(domain->boot_id), "%036d", i);
	snprintf(domain->clock_source, sizeof(domain->clock_source), "tsc");
	domain->timens_monotonic_ns = -i;
	domain->timens_boottime_ns = INT64_MIN;
	snprintf(domain->clock.method, sizeof(domain->clock.method), "realtime");
	domain->clock.offset_ns = INT64_MIN + i;
	domain->clock.drift_ppm = i ? -1.0 / i : 1e300;
	domain->clock.bound_ns = CLOCK_UNBOUNDED;
	domain->clock.rejected = UINT64_MAX;
}

static void fill_probe(struct probe *probe, int i, size_t ndomains)
{
	snprintf(probe->name, sizeof(probe->name), "%0*d", i % 128 + 1, i);
	probe->domain = i % ndomains;
	memset(probe->recording, i, sizeof(probe->recording));
	probe->netns = UINT64_MAX - i;
	probe->ifindex = UINT32_MAX - i;
	probe->direction = UINT16_MAX - i;
	probe->from = UINT64_MAX - 2 * i;
	probe->to = i;
}

static void header_trip(size_t ndomains, size_t nprobes)
{
	int fd = memfd_create("header", 0);
	struct trace_info info = {.ndomains = ndomains, .nprobes = nprobes};
	const struct trace_info *got;
	struct writer *writer;
	struct reader *reader;

	info.domains = calloc(ndomains, sizeof(*info.domains));
	info.probes = calloc(nprobes + 1, sizeof(*info.probes));
	for (size_t i = 0; i < ndomains; i++)
		fill_domain(&info.domains[i], i);
	for (size_t i = 0; i < nprobes; i++)
		fill_probe(&info.probes[i], i, ndomains);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	writer_close(writer);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(reader_open(&reader, fd, "header", NULL, NULL), 0);
	got = reader_info(reader);
	cr_assert_eq(got->ndomains, ndomains);
	cr_assert_eq(got->nprobes, nprobes);
	cr_assert_arr_eq(got->domains, info.domains, ndomains * sizeof(*info.domains));
	if (nprobes)
		cr_assert_arr_eq(got->probes, info.probes, nprobes * sizeof(*info.probes));
	reader_close(reader);
	trace_info_release(&info);
}

Test(tracefile, headers)
{
	header_trip(1, 0);
	header_trip(3, 500);
	header_trip(MAX_DOMAINS, 10);
	header_trip(MAX_DOMAINS, MAX_PROBES);
}

Test(tracefile, tables_grow)
{
	struct trace_info info = {0};
	struct domain domain = {.name = "d"};
	struct probe probe = {.name = "p"};

	for (int i = 0; i < 20; i++) {
		cr_assert_eq(trace_info_add_domain(&info, &domain), i);
		cr_assert_eq(trace_info_add_probe(&info, &probe), i);
	}
	cr_assert_str_eq(info.domains[0].name, "d");
	cr_assert_str_eq(info.probes[19].name, "p");
	info.ndomains = MAX_DOMAINS;
	cr_assert_eq(trace_info_add_domain(&info, &domain), -EOVERFLOW);
	trace_info_release(&info);
	cr_assert_eq(info.nprobes, 0);
}

Test(tracefile, header_refuses)
{
	struct trace_info info = {0};
	struct domain domain = {0};
	struct probe probe = {.domain = 1};
	struct writer *writer;

	cr_assert_eq(writer_open(&writer, -1, &info), -EINVAL);
	cr_assert_null(writer);
	trace_info_add_domain(&info, &domain);
	trace_info_add_probe(&info, &probe);
	cr_assert_eq(writer_open(&writer, -1, &info), -EINVAL);
	info.probes[0].domain = 0;
	cr_assert_eq(writer_open(&writer, -1, &info), -EBADF);
	cr_assert_null(writer);
	trace_info_release(&info);
	writer_close(NULL);
	reader_close(NULL);
}

Test(tracefile, refuses_bad_rows)
{
	const struct vnt_event late = {.time_ns = 100}, early = {.time_ns = 99};
	const struct vnt_event swapped[] = {{.time_ns = 200}, {.time_ns = 199}};
	const struct vnt_event probe = {.time_ns = 300, .probe = 4};
	const struct loss_row loss = {.probe = 4};
	const struct anchor_row anchor = {.domain = 2};
	int fd = memfd_create("refuse", 0);
	struct content content;
	struct trace_info info;
	struct writer *writer;

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, &late, 1), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, &early, 1), -EINVAL);
	cr_assert_eq(put(writer, BATCH_EVENTS, swapped, 2), -EINVAL);
	cr_assert_eq(put(writer, BATCH_EVENTS, &probe, 1), -EINVAL);
	cr_assert_eq(put(writer, BATCH_LOSSES, &loss, 1), -EINVAL);
	cr_assert_eq(put(writer, BATCH_ANCHORS, &anchor, 1), -EINVAL);
	cr_assert_eq(put(writer, BATCH_TYPES, &anchor, 1), -EINVAL);
	cr_assert_eq(put(writer, BATCH_EVENTS, &late, 1), 0);
	cr_assert_eq(writer_events(writer), 2);
	writer_close(writer);
	trace_info_release(&info);
	lseek(fd, 0, SEEK_SET);
	content_read(&content, fd);
	cr_assert_eq(content.nevents, 2);
	cr_assert_eq(content.damaged, 0);
	content_release(&content);
}

Test(tracefile, all_codecs)
{
	struct content want, got;
	struct span spans[64];
	struct image image;
	size_t n;

	image_small(&image);
	n = image_spans(&image, spans, 64);
	content_read_image(&want, &image);
	cr_assert_eq(want.nevents, 80);
	cr_assert_eq(want.nwords, IMAGE_WORDS);
	for (int id = CODEC_NONE; id <= CODEC_ZLIB; id++) {
		const struct codec *codec = codec_find(id);
		struct image other = {0};

		for (size_t i = 0; i < n; i++) {
			struct vnt_block block = spans[i].block;
			uint8_t *raw = image_payload(&image, &spans[i]), packed[4096];

			block.codec = id;
			block.stored = block.raw;
			if (codec->compress)
				block.stored =
					codec->compress(raw, block.raw, packed, sizeof(packed));
			cr_assert_gt(block.stored, 0);
			image_append(&other, block, codec->compress ? packed : raw);
			free(raw);
		}
		content_read_image(&got, &other);
		cr_assert(content_equal(&want, &got), "%s", codec->name);
		cr_assert_eq(got.damaged, 0);
		content_release(&got);
		image_release(&other);
	}
	content_release(&want);
	image_release(&image);
}

Test(tracefile, pipe_with_tiny_writes)
{
	struct content want, got;
	struct image image;
	int ends[2], status;
	pid_t child;

	image_small(&image);
	content_read_image(&want, &image);
	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (!child) {
		for (size_t at = 0; at < image.size;) {
			size_t left = image.size - at, part = at % 7 + 1;

			at += write(ends[1], image.bytes + at, part < left ? part : left);
		}
		_exit(0);
	}
	close(ends[1]);
	content_read(&got, ends[0]);
	cr_assert(content_equal(&want, &got));
	cr_assert_eq(got.damaged, 0);
	waitpid(child, &status, 0);
	cr_assert_eq(status, 0);
	content_release(&want);
	content_release(&got);
	image_release(&image);
}

/* Short writes, and a pipe that is full most of the time. */
Test(tracefile, non_blocking_pipe)
{
	size_t npackets = 30000;
	struct vnt_event *events = make_events(npackets, 5);
	struct trace_info info;
	struct writer *writer;
	int ends[2], status;
	pid_t child;

	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	fcntl(ends[0], F_SETFL, 0);
	child = fork();
	if (!child) {
		struct content got;

		close(ends[1]);
		content_read(&got, ends[0]);
		_exit(got.opened || got.damaged || got.nevents != npackets * 4 ||
		      memcmp(got.events, events, got.nevents * sizeof(*events)));
	}
	close(ends[0]);
	small_info(&info);
	cr_assert_eq(writer_open(&writer, ends[1], &info), 0);
	cr_assert_eq(put(writer, BATCH_EVENTS, events, npackets * 4), 0);
	writer_close(writer);
	close(ends[1]);
	waitpid(child, &status, 0);
	cr_assert_eq(status, 0);
	trace_info_release(&info);
	free(events);
}

Test(tracefile, full_device)
{
	int fd = open("/dev/full", O_WRONLY);
	struct trace_info info;
	struct writer *writer;

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), -ENOSPC);
	cr_assert_null(writer);
	trace_info_release(&info);
	close(fd);
}

/* Writes behind `before` bytes until the file may not grow; then the file ends with a whole block. */
static void fill_up(int flags, size_t before)
{
	const struct rlimit limit = {100000, RLIM_INFINITY};
	struct vnt_event *events = make_events(200, 5);
	char path[] = "/tmp/vnettrace-unit-XXXXXX";
	struct content content;
	struct trace_info info;
	struct writer *writer;
	int fd = mkstemp(path), err = 0;

	cr_assert_eq(ftruncate(fd, before), 0);
	close(fd);
	fd = open(path, O_RDWR | flags);
	unlink(path);
	if (!(flags & O_APPEND))
		lseek(fd, before, SEEK_SET);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);

	small_info(&info);
	cr_assert_eq(writer_open(&writer, fd, &info), 0);
	for (int i = 0; i < 1000 && !err; i++) {
		for (int k = 0; k < 800; k++)
			events[k].time_ns += 1000000;
		err = put(writer, BATCH_EVENTS, events, 800);
	}
	cr_assert_eq(err, -EFBIG);
	cr_assert_eq(put(writer, BATCH_EVENTS, events, 1), -EFBIG);
	cr_assert_eq(put(writer, BATCH_EVENTS, events, 0), -EFBIG);
	cr_assert_eq(lseek(fd, 0, SEEK_END), (off_t)(before + writer_bytes(writer)));
	lseek(fd, before, SEEK_SET);
	content_read(&content, fd);
	cr_assert_eq(content.damaged, 0);
	cr_assert_gt(content.nevents, 0);
	cr_assert_eq(content.nevents, writer_events(writer));
	writer_close(writer);
	content_release(&content);
	trace_info_release(&info);
	free(events);
}

Test(tracefile, file_size_limit)
{
	fill_up(0, 0);
	fill_up(0, 1000);
	fill_up(O_APPEND, 1000);
}
