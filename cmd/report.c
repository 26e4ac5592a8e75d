// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "message.h"
#include "progress.h"
#include "lib/format.h"
#include "lib/pool.h"
#include "lib/stats.h"
#include "lib/tempfile.h"

/* How long a packet may be under way: beyond what queues hold. */
#define DEFAULT_HORIZON_NS 1000000000ull

/* For what is not seen coming: the report but for its flows, and what comes until it is looked at again. */
#define MEMORY_MORE    (2u << 20)
#define MEMORY_PROGRAM (3u << 20) /* its code and libraries, and what these take */

struct report_config {
	const char *output;
	const char *format;
	uint64_t horizon_ns;
	uint64_t memory;
	bool quiet;
	bool verbose;
	struct string_list inputs;
};

#define FIELD(name) offsetof(struct report_config, name)

static const struct option_row rows[] = {
	{"format", 'f', "text|json", OPTION_STRING, FIELD(format),
	 "How to print the report (default text)"},
	{"output", 'o', "FILE", OPTION_STRING, FIELD(output),
	 "Write the report to FILE (default -)"},
	{"horizon", 256, "SECONDS", OPTION_SECONDS, FIELD(horizon_ns),
	 "A packet is under way for at most SECONDS (default: as merge was told, or 1)"},
	{"memory", 257, "SIZE", OPTION_SIZE, FIELD(memory),
	 "Keep packets that do not fit into SIZE in temporary files (default 1G)"},
	{"quiet", 'q', NULL, OPTION_FLAG, FIELD(quiet), "Say nothing but errors"},
	{"verbose", 'v', NULL, OPTION_FLAG, FIELD(verbose),
	 "Say more: the domains and their clocks"},
	{},
};

/* What a report is made with. */
struct making {
	const struct report_config *config;
	struct merge *merge;
	struct stats *stats;
	uint64_t others; /* bytes: the most that all but packets in flight took so far, flows too */
};

/* What the joining of packets says; the report is not finished. */
static int explain_join(const struct stats *stats, int err)
{
	if (err == -ENOBUFS)
		message_error("--memory is too small: the events of one packet alone need %zuM",
			      (stats_needed(stats) >> 20) + 1);
	else if (err == -ENOMEM)
		message_error("%s", strerror(ENOMEM));
	else if (err && err != -EDQUOT)
		message_error("cannot keep packets in a file in '%s': %s", tempfile_folder(),
			      strerror(-err));
	return err;
}

/* Leaves to packets in flight what nothing else takes. 0, or -EDQUOT after saying that it is not enough. */
static int share_memory(void *context)
{
	struct making *making = context;
	uint64_t packets = stats_memory(making->stats), resident = files_resident(), left, flows;
	uint64_t known = merge_memory(making->merge) + MEMORY_PROGRAM;

	if (!files_check_memory(making->merge, making->config->memory,
				MEMORY_PROGRAM + MEMORY_MORE + STATS_MEMORY_MIN, &left))
		return -EDQUOT;
	/* Too little where not all memory of packets was used yet, and never too much. */
	if (resident > packets && resident - packets > making->others)
		making->others = resident - packets;
	flows = making->others > known ? making->others - known : 0;
	flows += stats_report_memory(making->stats);
	if (flows > left) {
		message_error("--memory is too small: flows, paths and packets held back need "
			      "more than %lluM",
			      (unsigned long long)(making->config->memory >> 20));
		return -EDQUOT;
	}
	stats_limit(making->stats, left - flows + STATS_MEMORY_MIN);
	return 0;
}

/* 1; 0 at the end; -errno after saying it. */
static int gather_batch(struct making *making, struct progress *progress)
{
	struct batch batch;
	int err = merge_next(making->merge, &batch);

	if (err < 0)
		files_read_error(making->merge, err);
	if (err <= 0)
		return err;
	progress_batch(progress, making->merge, &batch);
	err = batch.type == BATCH_COUNTS ? 0 : share_memory(making); /* they take next to none */
	if (!err)
		err = explain_join(making->stats, stats_put(making->stats, &batch));
	return err ? err : 1;
}

static int gather(struct making *making)
{
	struct progress progress;
	int err;

	progress_begin(&progress, &making->config->inputs);
	if (pool_threads(merge_pool(making->merge)) > 1)
		stats_use(making->stats, merge_pool(making->merge));
	while ((err = gather_batch(making, &progress)) > 0)
		;
	progress_end(&progress);
	return err;
}

static int print(const struct report_config *config, const struct format *format,
		 const struct report *report)
{
	bool to_stdout = strcmp(config->output, "-") == 0;
	FILE *out = to_stdout ? stdout : fopen(config->output, "we");
	int err;

	if (!out) {
		message_error("cannot open '%s': %s", config->output, strerror(errno));
		return EXIT_FAILED;
	}
	err = format->print(report, out);
	if (!to_stdout && fclose(out) && !err)
		err = -errno;
	if (err)
		files_write_error(config->output, err);
	return err ? EXIT_FAILED : EXIT_DONE;
}

/* As asked for, else the longest that a merge was told. */
static uint64_t find_horizon(const struct report_config *config, const struct trace_info *info)
{
	uint64_t horizon_ns = config->horizon_ns;

	for (size_t i = 0; i < info->ndomains && !config->horizon_ns; i++)
		if (info->domains[i].horizon_ns > horizon_ns)
			horizon_ns = info->domains[i].horizon_ns;
	return horizon_ns ? horizon_ns : DEFAULT_HORIZON_NS;
}

static int run_report(const struct report_config *config, const struct format *format,
		      struct merge *merge)
{
	uint64_t horizon_ns = find_horizon(config, merge_info(merge));
	struct making making = {.config = config, .merge = merge};
	struct report report = {};
	int code = EXIT_FAILED;

	if (merge_legs(merge, horizon_ns) ||
	    stats_open(&making.stats, merge_info(merge), horizon_ns)) {
		message_error("%s", strerror(ENOMEM));
		return code;
	}
	stats_watch(making.stats, share_memory, &making);
	if (!gather(&making) && !explain_join(making.stats, stats_report(making.stats, &report)))
		code = print(config, format, &report);
	if (code == EXIT_DONE && merge_incomplete(merge))
		code = EXIT_INCOMPLETE;
	report_release(&report);
	stats_close(making.stats);
	return code;
}

static int report_main(int argc, char **argv)
{
	struct report_config config = {
		.output = "-",
		.format = "text",
		.memory = DEFAULT_MEMORY,
	};
	const struct format *format;
	struct merge *merge;
	int code = EXIT_FAILED;

	options_parse(&command_report, argc, argv, &config);
	message_setup(command_report.name, config.quiet, config.verbose);
	format = format_find(config.format);
	if (!config.inputs.count || !format) {
		if (config.inputs.count)
			message_error("no format '%s'; there are text and json", config.format);
		else
			message_error("no trace files given; see 'vnettrace report --help'");
		code = EXIT_USAGE;
		goto out;
	}
	if (files_overlap(config.output, &config.inputs))
		goto out;
	merge = files_open_traces(&config.inputs, "auto");
	if (merge)
		code = run_report(&config, format, merge);
	merge_close(merge);
out:
	free(config.inputs.items);
	return code;
}

const struct command command_report = {
	.name = "report",
	.arguments = "FILE...",
	.summary = "Say where the latency went: hops, loss, flows",
	.rows = rows,
	.operands = FIELD(inputs),
	.run = report_main,
};
