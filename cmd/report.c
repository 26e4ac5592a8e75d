// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "files.h"
#include "message.h"
#include "lib/format.h"
#include "lib/stats.h"

/* How long a packet may be under way: beyond what queues hold, within what memory holds. */
#define HORIZON_NS 1000000000ull

struct report_config {
	const char *output;
	const char *format;
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
	{"quiet", 'q', NULL, OPTION_FLAG, FIELD(quiet), "Say nothing but errors"},
	{"verbose", 'v', NULL, OPTION_FLAG, FIELD(verbose),
	 "Say more: the domains and their clocks"},
	{},
};

static int gather(struct merge *merge, struct stats *stats)
{
	struct batch batch;
	int err;

	while ((err = merge_next(merge, &batch)) > 0) {
		err = stats_put(stats, &batch);
		if (err)
			break;
	}
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

static int run_report(const struct report_config *config, const struct format *format,
		      struct merge *merge)
{
	struct report report = {};
	struct stats *stats;
	int code = EXIT_FAILED;
	int err = stats_open(&stats, merge_info(merge), HORIZON_NS);

	if (!err)
		err = gather(merge, stats);
	if (!err)
		err = stats_report(stats, &report);
	if (err)
		message_error("cannot read the inputs: %s", strerror(-err));
	else
		code = print(config, format, &report);
	if (code == EXIT_DONE && merge_incomplete(merge))
		code = EXIT_INCOMPLETE;
	report_release(&report);
	stats_close(stats);
	return code;
}

static int report_main(int argc, char **argv)
{
	struct report_config config = {.output = "-", .format = "text"};
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
