// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random inputs of every type of row against the definition of a merge: the rows of each input come
 * as they were, renumbered and in their order; what has a time comes in the order of (time, input).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/merge.h"
#include "lib/writer.h"

#define INPUTS_MAX 64
#define ITEMS_MAX  6000
#define DOMAINS    2
#define PROBES     3
#define EPOCH_NS   1000000000ull

/* One row. `serial` is in it, where it has room. */
struct item {
	enum batch_type type;
	uint64_t time_ns;
	uint64_t place_ns; /* where it belongs among those of all inputs */
	uint32_t serial;
	uint16_t probe; /* of events, epochs and losses, or ANY_PROBE */
	uint16_t domain;
};

struct source {
	struct item items[ITEMS_MAX];
	size_t count;
	size_t seen;
	int64_t wall_ns;
	int64_t shift_ns; /* as it must come out */
	int fd;
};

static struct source sources[INPUTS_MAX];

static void say_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static uint64_t code(size_t input, const struct item *item)
{
	return (uint64_t)(input + 1) << 32 | item->serial;
}

/* All items of the batch are of one type. */
static void write_batch(struct writer *writer, size_t input, const struct item *items, size_t count)
{
	static union {
		struct vnt_event events[ITEMS_MAX];
		struct flow_row flows[ITEMS_MAX];
		struct anchor_row anchors[ITEMS_MAX];
		struct loss_row losses[ITEMS_MAX];
		struct epoch_row epochs[ITEMS_MAX];
		struct cost_row costs[ITEMS_MAX];
		struct tunnel_row tunnels[ITEMS_MAX];
		struct translation_row translations[ITEMS_MAX];
		struct vm_row vms[ITEMS_MAX];
	} rows;
	const struct batch batch = {.type = items[0].type, .count = count, .rows = &rows};

	memset(&rows, 0, sizeof(rows));
	for (size_t i = 0; i < count; i++) {
		const struct item *item = &items[i];
		uint64_t number = code(input, item);

		if (item->type == BATCH_EVENTS)
			rows.events[i] = (struct vnt_event){
				.time_ns = item->time_ns, .key = number, .probe = item->probe};
		else if (item->type == BATCH_FLOWS)
			rows.flows[i].hash = number;
		else if (item->type == BATCH_ANCHORS)
			rows.anchors[i] = (struct anchor_row){.mono_ns = item->time_ns,
							      .real_ns = item->time_ns +
									 sources[input].wall_ns,
							      .tai_ns = number,
							      .domain = item->domain};
		else if (item->type == BATCH_LOSSES)
			rows.losses[i] = (struct loss_row){.first_ns = item->time_ns - 5,
							   .last_ns = item->time_ns,
							   .count = number,
							   .domain = item->domain,
							   .probe = item->probe,
							   .cpu = 3,
							   .cause = LOSS_RING_FULL};
		else if (item->type == BATCH_EPOCHS)
			rows.epochs[i] =
				(struct epoch_row){.time_ns = item->time_ns, .probe = item->probe};
		else if (item->type == BATCH_TUNNELS)
			rows.tunnels[i].hash = number;
		else if (item->type == BATCH_TRANSLATIONS)
			rows.translations[i] = (struct translation_row){
				.time_ns = item->time_ns, .before = number, .probe = item->probe};
		else if (item->type == BATCH_VMS)
			rows.vms[i] = (struct vm_row){.domain = item->domain,
						      .before_ns = item->time_ns,
						      .offset = number};
		else
			rows.costs[i] = (struct cost_row){.events = number, .domain = item->domain};
	}
	cr_assert_eq(writer_put(writer, &batch), 0);
}

static void info_make(struct trace_info *info, size_t input)
{
	struct domain domain = {.clock = {.method = "reference"}};
	struct probe probe = {.recording = {input, 1}};

	memset(info, 0, sizeof(*info));
	snprintf(domain.boot_id, sizeof(domain.boot_id), "boot-%zu", input);
	for (int i = 0; i < DOMAINS; i++) {
		snprintf(domain.name, sizeof(domain.name), "h%zu-%d", input, i);
		cr_assert_geq(trace_info_add_domain(info, &domain), 0);
		snprintf(domain.clock.method, sizeof(domain.clock.method), "same");
	}
	for (int i = 0; i < PROBES; i++) {
		snprintf(probe.name, sizeof(probe.name), "dev:e%d:rx", i);
		probe.domain = i % DOMAINS;
		cr_assert_geq(trace_info_add_probe(info, &probe), 0);
	}
}

static void add_item(struct source *source, enum batch_type type, uint64_t time_ns)
{
	struct item *item = &source->items[source->count];
	bool any = type == BATCH_LOSSES && rand() % 3 == 0;

	cr_assert(source->count < ITEMS_MAX);
	*item = (struct item){.type = type,
			      .time_ns = time_ns,
			      .serial = source->count++,
			      .probe = any ? ANY_PROBE : rand() % PROBES,
			      .domain = rand() % DOMAINS};
}

/*
 * An epoch may be later than events behind it, or older than those before: it comes no later than the
 * next event of its input, and in the order of its input.
 */
static void place_items(struct source *source)
{
	uint64_t next_ns = UINT64_MAX, last_ns = 0;

	for (size_t i = source->count; i-- > 0;) {
		struct item *item = &source->items[i];

		if (item->type == BATCH_EVENTS)
			next_ns = item->time_ns;
		item->place_ns = item->time_ns < next_ns ? item->time_ns : next_ns;
	}
	for (size_t i = 0; i < source->count; i++) {
		struct item *item = &source->items[i];

		if (item->type != BATCH_EVENTS && item->type != BATCH_EPOCHS)
			continue;
		if (item->place_ns < last_ns)
			item->place_ns = last_ns;
		last_ns = item->place_ns;
	}
}

/* Batches of any type but one in any order, with times that often repeat; anchors of all domains first.
 * Ranges of another clock than the reference are not passed on. */
static void make_items(struct source *source, size_t batches, size_t rows_max)
{
	uint64_t time_ns = EPOCH_NS + rand() % 100;

	source->count = source->seen = 0;
	for (int i = 0; i < DOMAINS; i++) {
		add_item(source, BATCH_ANCHORS, time_ns);
		source->items[source->count - 1].domain = i;
	}
	for (size_t i = 0; i < batches; i++) {
		enum batch_type type = rand() % 2 ? BATCH_EVENTS : 1 + rand() % (BATCH_RANGES - 1);
		size_t rows = 1 + rand() % rows_max;

		for (size_t row = 0; row < rows; row++) {
			add_item(source, type, time_ns);
			if (type == BATCH_EPOCHS && rand() % 2)
				source->items[source->count - 1].time_ns += rand() % 300 - 150;
			time_ns += rand() % 3 ? 0 : rand() % 20;
		}
	}
}

static void write_source(size_t input)
{
	struct source *source = &sources[input];
	struct trace_info info;
	struct writer *writer;

	place_items(source);
	info_make(&info, input);
	source->fd = memfd_create("trace", 0);
	cr_assert_eq(writer_open(&writer, source->fd, &info), 0);
	for (size_t i = 0, end; i < source->count; i = end) {
		for (end = i + 1; end < source->count; end++)
			if (source->items[end].type != source->items[i].type)
				break;
		write_batch(writer, input, &source->items[i], end - i);
	}
	writer_close(writer);
	trace_info_release(&info);
	lseek(source->fd, 0, SEEK_SET);
}

static struct merge *open_sources(size_t count)
{
	struct reader *readers[INPUTS_MAX];
	char name[32], reason[MERGE_REASON_MAX] = "";
	struct merge *merge;

	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "in%zu", i);
		lseek(sources[i].fd, 0, SEEK_SET);
		cr_assert_eq(reader_open(&readers[i], dup(sources[i].fd), name, say_nothing, NULL),
			     0);
	}
	cr_assert_eq(merge_open(&merge, readers, count, MERGE_CLOCK_AUTO, NULL, say_nothing, NULL,
				reason),
		     0, "%s", reason);
	return merge;
}

struct checker {
	const struct trace_info *info;
	uint64_t last_ns;
	size_t last_input;
	size_t total;
};

/* The next item of an input; the row's domain and probe must be those of that input. */
static const struct item *expect(struct checker *checker, size_t input, enum batch_type type)
{
	struct source *source = &sources[input];

	cr_assert(source->seen < source->count, "input %zu has no more rows", input);
	cr_assert_eq(source->items[source->seen].type, type, "input %zu, row %zu: type %d, not %d",
		     input, source->seen, type, source->items[source->seen].type);
	checker->total++;
	return &source->items[source->seen++];
}

static size_t input_of_probe(const struct checker *checker, uint64_t probe)
{
	cr_assert(probe < checker->info->nprobes);
	return checker->info->probes[probe].recording[0];
}

static void check_probe(const struct checker *checker, size_t input, const struct item *item,
			uint64_t probe)
{
	char name[32];

	if (item->probe == ANY_PROBE) {
		cr_assert_eq(probe, ANY_PROBE);
		return;
	}
	snprintf(name, sizeof(name), "dev:e%d:rx", item->probe);
	cr_assert_eq(input_of_probe(checker, probe), input);
	cr_assert_str_eq(checker->info->probes[probe].name, name);
}

static void check_domain(const struct checker *checker, size_t input, const struct item *item,
			 uint64_t domain)
{
	char name[32];

	snprintf(name, sizeof(name), "h%zu-%d", input, item->domain);
	cr_assert(domain < checker->info->ndomains);
	cr_assert_str_eq(checker->info->domains[domain].name, name);
}

static void check_order(struct checker *checker, size_t input, const struct item *item,
			uint64_t time_ns)
{
	uint64_t place_ns = item->place_ns + sources[input].shift_ns;

	cr_assert_eq(time_ns, item->time_ns + sources[input].shift_ns);
	cr_assert(place_ns > checker->last_ns ||
			  (place_ns == checker->last_ns && input >= checker->last_input),
		  "%lu of input %zu comes after %lu of input %zu", place_ns, input,
		  checker->last_ns, checker->last_input);
	checker->last_ns = place_ns;
	checker->last_input = input;
}

static void check_row(struct checker *checker, const struct batch *batch, size_t i)
{
	const struct item *item;
	uint64_t number = 0;
	size_t input;

	if (batch->type == BATCH_EVENTS || batch->type == BATCH_EPOCHS) {
		bool is_event = batch->type == BATCH_EVENTS;
		uint64_t probe = is_event ? batch->events[i].probe : batch->epochs[i].probe;

		input = input_of_probe(checker, probe);
		item = expect(checker, input, batch->type);
		check_probe(checker, input, item, probe);
		check_order(checker, input, item,
			    is_event ? batch->events[i].time_ns : batch->epochs[i].time_ns);
		if (is_event)
			cr_assert_eq(batch->events[i].key, code(input, item));
		return;
	}
	if (batch->type == BATCH_FLOWS)
		number = batch->flows[i].hash;
	else if (batch->type == BATCH_TUNNELS)
		number = batch->tunnels[i].hash;
	else if (batch->type == BATCH_ANCHORS)
		number = batch->anchors[i].tai_ns;
	else if (batch->type == BATCH_LOSSES)
		number = batch->losses[i].count;
	else if (batch->type == BATCH_TRANSLATIONS)
		number = batch->translations[i].before;
	else if (batch->type == BATCH_VMS)
		number = batch->vms[i].offset;
	else
		number = batch->costs[i].events;
	input = (number >> 32) - 1;
	item = expect(checker, input, batch->type);
	cr_assert_eq(number, code(input, item));
	if (batch->type == BATCH_ANCHORS) {
		check_domain(checker, input, item, batch->anchors[i].domain);
		cr_assert_eq(batch->anchors[i].mono_ns, item->time_ns, "anchors stay");
	} else if (batch->type == BATCH_LOSSES) {
		check_domain(checker, input, item, batch->losses[i].domain);
		check_probe(checker, input, item, batch->losses[i].probe);
		cr_assert_eq(batch->losses[i].first_ns,
			     item->time_ns - 5 + sources[input].shift_ns);
		cr_assert_eq(batch->losses[i].last_ns, item->time_ns + sources[input].shift_ns);
		cr_assert_eq(batch->losses[i].cpu, 3);
	} else if (batch->type == BATCH_TRANSLATIONS) {
		check_probe(checker, input, item, batch->translations[i].probe);
		cr_assert_eq(batch->translations[i].time_ns,
			     item->time_ns + sources[input].shift_ns);
	} else if (batch->type == BATCH_VMS) {
		check_domain(checker, input, item, batch->vms[i].domain);
		cr_assert_eq(batch->vms[i].before_ns, item->time_ns, "as the domain has it");
	} else if (batch->type == BATCH_COSTS) {
		check_domain(checker, input, item, batch->costs[i].domain);
	}
}

/* Returns a checksum of all that was handed out. */
static uint64_t check_merge(size_t inputs)
{
	static const size_t sizes[BATCH_TYPES] = {
		[BATCH_EVENTS] = sizeof(struct vnt_event),
		[BATCH_FLOWS] = sizeof(struct flow_row),
		[BATCH_ANCHORS] = sizeof(struct anchor_row),
		[BATCH_LOSSES] = sizeof(struct loss_row),
		[BATCH_EPOCHS] = sizeof(struct epoch_row),
		[BATCH_COSTS] = sizeof(struct cost_row),
		[BATCH_TUNNELS] = sizeof(struct tunnel_row),
	};
	struct merge *merge = open_sources(inputs);
	struct checker checker = {.info = merge_info(merge)};
	uint64_t sum = 14695981039346656037ull;
	struct batch batch;
	int err;

	for (size_t i = 0; i < inputs; i++)
		sources[i].seen = 0;
	while ((err = merge_next(merge, &batch)) > 0) {
		const uint8_t *bytes = batch.rows;

		cr_assert(batch.count > 0);
		for (size_t i = 0; i < batch.count; i++)
			check_row(&checker, &batch, i);
		for (size_t i = 0; i < batch.count * sizes[batch.type]; i++)
			sum = (sum ^ bytes[i]) * 1099511628211ull;
	}
	cr_assert_eq(err, 0);
	cr_assert_eq(merge_next(merge, &batch), 0, "the end stays the end");
	for (size_t i = 0; i < inputs; i++)
		cr_assert_eq(sources[i].seen, sources[i].count, "input %zu: %zu rows of %zu", i,
			     sources[i].seen, sources[i].count);
	cr_assert_eq(merge_damaged(merge), 0);
	merge_close(merge);
	return sum;
}

static void merge_random(size_t inputs, size_t batches, size_t rows_max)
{
	for (size_t i = 0; i < inputs; i++) {
		sources[i].wall_ns = 5000000 + (i ? rand() % 200 - 100 : 0);
		sources[i].shift_ns = sources[i].wall_ns - sources[0].wall_ns;
		make_items(&sources[i], rand() % (batches + 1), rows_max);
		write_source(i);
	}
	cr_assert_eq(check_merge(inputs), check_merge(inputs), "two runs differ");
	for (size_t i = 0; i < inputs; i++)
		close(sources[i].fd);
}

Test(merge_rows, every_row_comes_renumbered_and_in_its_place)
{
	static const struct {
		size_t inputs;
		size_t batches;
		size_t rows_max;
	} sizes[] = {{1, 50, 9},  {2, 1, 1},    {2, 60, 3},   {2, 6, 900},
		     {3, 60, 20}, {5, 100, 10}, {17, 40, 10}, {64, 20, 20}};

	srand(11);
	for (int round = 0; round < 12; round++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			merge_random(sizes[i].inputs, sizes[i].batches, sizes[i].rows_max);
}

/* No rows at all in any of them, and beside one that has some. */
Test(merge_rows, inputs_that_are_a_header_only)
{
	for (size_t with = 0; with < 4; with++) {
		for (size_t i = 0; i < 4; i++) {
			sources[i] = (struct source){.wall_ns = 1};
			if (i + 1 == with)
				for (int k = 0; k < 3; k++)
					add_item(&sources[i], BATCH_EVENTS, EPOCH_NS + k);
			write_source(i);
		}
		check_merge(4);
	}
}

/* A reload that is written late: its epochs are of different times, and other inputs go on meanwhile. */
Test(merge_rows, epochs_of_one_batch_come_each_at_its_time)
{
	for (size_t i = 0; i < 2; i++)
		sources[i] = (struct source){.wall_ns = 1};
	for (int i = 0; i < 6; i++)
		add_item(&sources[0], BATCH_EPOCHS, EPOCH_NS + i / 2 * 10);
	for (int i = 0; i < 30; i++)
		add_item(&sources[1], BATCH_EVENTS, EPOCH_NS + i);
	for (size_t i = 0; i < 2; i++)
		write_source(i);
	check_merge(2);
}

/* A recorder that lags behind with its events: the probe's end is written before them. */
Test(merge_rows, events_do_not_come_late_because_of_an_epoch_before_them)
{
	for (size_t i = 0; i < 2; i++)
		sources[i] = (struct source){.wall_ns = 1};
	add_item(&sources[0], BATCH_EPOCHS, EPOCH_NS + 1000);
	add_item(&sources[0], BATCH_LOSSES, EPOCH_NS);
	add_item(&sources[0], BATCH_EPOCHS, EPOCH_NS + 2000);
	for (int i = 0; i < 50; i++)
		add_item(&sources[0], BATCH_EVENTS, EPOCH_NS + 100 + 10 * i);
	for (int i = 0; i < 300; i++)
		add_item(&sources[1], BATCH_EVENTS, EPOCH_NS + 10 * i);
	for (size_t i = 0; i < 2; i++)
		write_source(i);
	check_merge(2);
}

/* A flow whose hash is 0, behind another one of its slot in what was seen lately, and alone. */
Test(merge_rows, no_flow_is_left_out)
{
	static const struct flow_row flows[] = {{.hash = 65536}, {.hash = 0}, {.hash = 1}};

	for (size_t first = 0; first < 2; first++) {
		const struct batch batch = {
			.type = BATCH_FLOWS, .count = 3 - first, .flows = flows + first};
		struct trace_info info;
		struct writer *writer;
		struct merge *merge;
		struct batch out;

		info_make(&info, 0);
		sources[0].fd = memfd_create("trace", 0);
		cr_assert_eq(writer_open(&writer, sources[0].fd, &info), 0);
		cr_assert_eq(writer_put(writer, &batch), 0);
		writer_close(writer);
		trace_info_release(&info);
		merge = open_sources(1);
		cr_assert_eq(merge_next(merge, &out), 1);
		cr_assert_eq(out.type, BATCH_FLOWS);
		cr_assert_eq(out.count, 3 - first);
		merge_close(merge);
	}
}
