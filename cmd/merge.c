// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "message.h"
#include "progress.h"
#include "lib/writer.h"

struct merge_config {
	const char *output;
	const char *clock;
	uint64_t horizon_ns;
	uint64_t memory;
	bool quiet;
	bool verbose;
	struct string_list inputs;
};

#define FIELD(name) offsetof(struct merge_config, name)

static const struct option_row rows[] = {
	{"output", 'o', "FILE", OPTION_STRING, FIELD(output),
	 "Write the merged trace to FILE (default -)"},
	{"clock", 256, "auto|none|FILE", OPTION_STRING, FIELD(clock),
	 "auto: bring all domains to the first one's clock (default); none: leave times alone; "
	 "FILE: clocks as it says"},
	{"horizon", 258, "SECONDS", OPTION_SECONDS, FIELD(horizon_ns),
	 "Reports on the output take packets to be under way for at most SECONDS"},
	{"memory", 257, "SIZE", OPTION_SIZE, FIELD(memory),
	 "Take no more memory than SIZE (default 1G)"},
	{"quiet", 'q', NULL, OPTION_FLAG, FIELD(quiet), "Say nothing but errors"},
	{"verbose", 'v', NULL, OPTION_FLAG, FIELD(verbose),
	 "Say more: the domains and their clocks"},
	{},
};

/* Where a merge failed. */
enum side {
	READING,
	MEMORY,
	WRITING
};

/* Passes one batch on: 1; 0 at the end; -errno. */
static int copy_batch(struct merge *merge, struct writer *writer, uint64_t memory,
		      struct progress *progress, enum side *side)
{
	struct batch batch;
	uint64_t left;
	int err;

	*side = READING;
	err = merge_next(merge, &batch);
	if (err < 0)
		return err;
	*side = MEMORY;
	if (!files_check_memory(merge, memory, writer_memory(writer), &left))
		return -ENOBUFS;
	*side = WRITING;
	if (!err)
		return writer_flush(writer);
	progress_batch(progress, merge, &batch);
	err = writer_put(writer, &batch);
	return err ? err : 1;
}

/* 0, or -errno; *side says of what. */
static int copy(struct merge *merge, const struct output *output, const struct merge_config *config,
		uint64_t *events, enum side *side)
{
	struct progress progress;
	struct writer *writer;
	int err;

	progress_begin(&progress, &config->inputs);
	*side = WRITING;
	err = writer_open(&writer, output->fd, merge_info(merge));
	if (!err)
		err = writer_use(writer, merge_pool(merge));
	if (!err)
		while ((err = copy_batch(merge, writer, config->memory, &progress, side)) > 0)
			;
	progress_end(&progress);
	*events = writer ? writer_events(writer) : 0;
	writer_close(writer);
	return err;
}

static int run_merge(struct merge_config *config, struct merge *merge)
{
	struct output output;
	uint64_t events;
	size_t domains;
	enum side side;
	int err;

	if (files_open_output(&output, config->output))
		return EXIT_FAILED;
	err = copy(merge, &output, config, &events, &side);
	if (err && side == WRITING)
		files_write_error(config->output, err);
	else if (err && side == READING)
		files_read_error(merge, err);
	if (files_close_output(&output, true) || err)
		return EXIT_FAILED;
	domains = merge_info(merge)->ndomains;
	message_note("%llu event%s of %zu domain%s", (unsigned long long)events,
		     message_plural(events), domains, message_plural(domains));
	return merge_incomplete(merge) ? EXIT_INCOMPLETE : EXIT_DONE;
}

static int merge_main(int argc, char **argv)
{
	struct merge_config config = {.output = "-", .clock = "auto", .memory = DEFAULT_MEMORY};
	struct merge *merge;
	int code = EXIT_FAILED;

	options_parse(&command_merge, argc, argv, &config);
	message_setup(command_merge.name, config.quiet, config.verbose);
	if (!config.inputs.count) {
		message_error("no trace files given; see 'vnettrace merge --help'");
		code = EXIT_USAGE;
		goto out;
	}
	if (files_overlap(config.output, &config.inputs))
		goto out;
	merge = files_open_traces(&config.inputs, config.clock);
	if (merge && config.horizon_ns)
		merge_set_horizon(merge, config.horizon_ns);
	if (merge)
		code = run_merge(&config, merge);
	merge_close(merge);
out:
	free(config.inputs.items);
	return code;
}

const struct command command_merge = {
	.name = "merge",
	.arguments = "FILE...",
	.summary = "Join trace files into one, on one clock",
	.rows = rows,
	.operands = FIELD(inputs),
	.run = merge_main,
};
