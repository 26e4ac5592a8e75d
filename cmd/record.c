// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "files.h"
#include "message.h"
#include "stamping.h"
#include "targets.h"
#include "bpf/host.h"
#include "bpf/recorder.h"

#define CHECK_NS       250000000ull /* how often we look whether devices are still there */
#define DEFAULT_BUFFER (4u << 20)
#define MIN_BUFFER     4096u
#define MAX_BUFFER     (1u << 30)
#define DOMAIN_MAX     (sizeof(((struct domain *)0)->name) - 1)

struct record_config {
	struct string_list interfaces;
	struct string_list probes;
	const char *output;
	const char *domain;
	const char *stamp;
	uint64_t duration_ns;
	uint64_t count;
	uint64_t buffer;
	uint64_t sample; /* one packet in this many */
	double max_overhead;
	const char *id;
	struct port_list vxlan_ports;
	bool strict;
	bool quiet;
	bool verbose;
	struct string_list filter;
};

#define FIELD(name) offsetof(struct record_config, name)

static const struct option_row rows[] = {
	{"interface", 'i', "DEV", OPTION_LIST, FIELD(interfaces),
	 "Trace a device; if it is a bridge, its ports too (may be repeated)"},
	{"probe", 'p', "PROBE", OPTION_LIST, FIELD(probes),
	 "Trace dev:[NETNS/]IFNAME[:rx|:tx] or port-of:BRIDGE (may be repeated)"},
	{"output", 'o', "FILE", OPTION_STRING, FIELD(output),
	 "Write the trace to FILE, - for standard output (default HOST-TIME.vnt)"},
	{"domain", 256, "NAME", OPTION_STRING, FIELD(domain),
	 "Call this domain NAME (default host name)"},
	{"duration", 'd', "SECONDS", OPTION_SECONDS, FIELD(duration_ns), "Stop after SECONDS"},
	{"count", 'n', "COUNT", OPTION_COUNT, FIELD(count), "Stop after COUNT events"},
	{"buffer", 257, "SIZE", OPTION_SIZE, FIELD(buffer), "Event ring of each CPU (default 4M)"},
	{"sample", 259, "1/N", OPTION_RATE, FIELD(sample),
	 "Keep one packet in N, the same ones in every domain"},
	{"max-overhead", 260, "PCT", OPTION_PERCENT, FIELD(max_overhead),
	 "Sample less while the programs take more than PCT percent of one CPU"},
	{"id", 263, "auto|payload", OPTION_STRING, FIELD(id),
	 "What names a packet: payload leaves addresses and ports out (default auto)"},
	{"vxlan-port", 261, "PORT", OPTION_PORTS, FIELD(vxlan_ports),
	 "UDP port of VXLAN in place of 4789 and 8472 (may be repeated)"},
	{"stamp", 262, "PROTOCOLS", OPTION_STRING, FIELD(stamp),
	 "Write packet IDs into what is sent: tcp, udp or tcp,udp"},
	{"strict", 258, NULL, OPTION_FLAG, FIELD(strict),
	 "Fail if anything asked for cannot be traced"},
	{"quiet", 'q', NULL, OPTION_FLAG, FIELD(quiet), "Say nothing but errors"},
	{"verbose", 'v', NULL, OPTION_FLAG, FIELD(verbose),
	 "Say more, and measure the programs' run time"},
	{},
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* The first signal ends the recording, a second one the process. */
static void catch_signals(void)
{
	const struct sigaction end = {.sa_handler = stop, .sa_flags = SA_RESETHAND};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction hangup;

	sigaction(SIGINT, &end,
		  NULL); /* also where a shell ignores it for jobs in the background */
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, &hangup);
	if (hangup.sa_handler == SIG_IGN) /* nohup(1) */
		sigaction(SIGHUP, &hangup, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* write(2) says it */
}

static char *join_words(const struct string_list *words)
{
	size_t length = 1;
	char *text, *end;

	for (size_t i = 0; i < words->count; i++)
		length += strlen(words->items[i]) + 1;
	text = end = malloc(length);
	if (!text)
		return NULL;
	*text = '\0';
	for (size_t i = 0; i < words->count; i++) {
		if (i)
			end = stpcpy(end, " ");
		end = stpcpy(end, words->items[i]);
	}
	return text;
}

/* EXIT_DONE with filter->insns NULL if none was given. */
static int compile_filter(const struct record_config *config, struct filter *filter)
{
	char reason[FILTER_REASON_MAX], *expression;
	int err;

	if (!config->filter.count)
		return EXIT_DONE;
	expression = join_words(&config->filter);
	if (!expression) {
		message_error("%s", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	err = filter_compile(filter, expression, reason);
	if (err)
		message_error("filter '%s': %s", expression, reason);
	free(expression);
	if (err)
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	return EXIT_DONE;
}

static void default_output(char *path, size_t size, const struct domain *domain)
{
	time_t now = time(NULL);
	char stamp[32];

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", localtime(&now));
	snprintf(path, size, "%s-%s.vnt", domain->hostname, stamp);
}

/* Says which devices are gone, and ends their probes as of when they were last seen. */
static int end_gone(struct recorder *recorder, struct targets *targets, uint64_t seen_ns)
{
	int err = 0;

	if (!device_check(&targets->list))
		return 0;
	for (size_t i = 0; !err && i < targets->nprobes; i++) {
		const struct device *device = &targets->list.devices[targets->devices[i]];

		if (!device->gone || targets->ended[i])
			continue;
		targets->ended[i] = true;
		targets->left--;
		message_error("'%s' is gone", targets->info.probes[i].name);
		err = recorder_end_probe(recorder, i, seen_ns);
	}
	return err;
}

static void pause_ns(uint64_t duration_ns)
{
	const struct timespec pause = {.tv_sec = duration_ns / 1000000000,
				       .tv_nsec = duration_ns % 1000000000};

	if (duration_ns)
		nanosleep(&pause, NULL);
}

static bool is_stopped(void *context)
{
	(void)context;
	return stopped;
}

/* Until a signal, the end of the time, the last event or the last device. 0 or -errno. */
static int record(struct recorder *recorder, struct targets *targets)
{
	const struct domain *domain = &targets->info.domains[0];
	uint64_t checked_ns = host_now_ns(domain);
	int err = 0;

	while (!stopped && !err && targets->left) {
		uint64_t now_ns;

		pause_ns(recorder_patience(recorder));
		now_ns = host_now_ns(domain);
		err = recorder_tick(recorder);
		if (!err && now_ns - checked_ns >= CHECK_NS) {
			err = end_gone(recorder, targets, checked_ns);
			checked_ns = now_ns;
		}
	}
	if (err >= 0)
		err = end_gone(recorder, targets, checked_ns);
	return err;
}

static void summarize_sampling(const struct recorder_summary *summary, double max_overhead)
{
	if (summary->sampled)
		message_note("%llu packets left out, rate 1/%.0f at the end",
			     (unsigned long long)summary->sampled,
			     0x1p32 / (summary->threshold + 1.0));
	if (summary->exhausted)
		message_error("the programs took more than %g %% of one CPU at the lowest rate",
			      max_overhead);
}

static void summarize(const struct recorder_summary *summary, double max_overhead)
{
	double seconds = summary->duration_ns / 1e9;

	message_note("%llu event%s, %llu lost, %.1f KiB, %.1f B/event, %.0f events/s, %.2f s, "
		     "%.1f %% of one CPU",
		     (unsigned long long)summary->events, message_plural(summary->events),
		     (unsigned long long)summary->lost, summary->bytes / 1024.0,
		     summary->events ? (double)summary->bytes / summary->events : 0.0,
		     summary->events / seconds, seconds, summary->tracer_cpu_ns / seconds / 1e7);
	summarize_sampling(summary, max_overhead);
	if (summary->cost.runs)
		message_detail("%llu runs of the BPF programs, %.0f ns each, %.2f %% of one CPU",
			       (unsigned long long)summary->cost.runs,
			       (double)summary->cost.run_ns / summary->cost.runs,
			       summary->cost.run_ns / seconds / 1e7);
}

/* Scripts wait for this line before they send what is to be traced. */
static void say_targets(const struct targets *targets, const char *output)
{
	for (size_t i = 0; i < targets->nprobes; i++)
		message_detail("probe %zu: %s", i, targets->info.probes[i].name);
	message_note("tracing %zu probe%s on %zu device%s to %s%s%s", targets->nprobes,
		     message_plural(targets->nprobes), targets->list.count,
		     message_plural(targets->list.count), strcmp(output, "-") ? "'" : "",
		     strcmp(output, "-") ? output : "standard output",
		     strcmp(output, "-") ? "'" : "");
}

static int run_recorder(const struct record_config *config, struct targets *targets,
			const struct recorder_options *options, const char *output, bool *started)
{
	char reason[TRACER_REASON_MAX];
	struct recorder_summary summary;
	struct recorder *recorder;
	int err, last;

	err = recorder_open(&recorder, options, reason);
	*started = !err;
	if (err) {
		message_error("%s", reason);
		return EXIT_FAILED;
	}
	say_targets(targets, output);
	err = record(recorder, targets);
	last = recorder_finish(recorder, &summary);
	recorder_close(recorder);
	if (!err)
		err = last;
	if (err)
		files_write_error(output, err);
	summarize(&summary, config->max_overhead);
	if (err || (config->strict && targets->left < targets->nprobes))
		return EXIT_FAILED;
	return targets->missing || targets->left < targets->nprobes || summary.lost
		       ? EXIT_INCOMPLETE
		       : EXIT_DONE;
}

/* The ring's slots: as many as fit the size, a power of two. */
static uint32_t ring_slots(uint64_t buffer)
{
	uint32_t slots = 1;

	while (slots * 2ull * sizeof(struct vnt_slot) <= buffer)
		slots *= 2;
	return slots;
}

static int run_targets(const struct record_config *config, struct targets *targets,
		       const struct filter *filter)
{
	struct recorder_options options = {
		.tracer = {.probes = targets->probes,
			   .nprobes = targets->nprobes,
			   .filter = filter->insns ? filter : NULL,
			   .ring_slots = ring_slots(config->buffer),
			   .vxlan_ports = config->vxlan_ports.ports,
			   .nvxlan_ports = config->vxlan_ports.count,
			   .measure = config->verbose,
			   .log = message_log_detail},
		.info = &targets->info,
		.max_events = config->count,
		.duration_ns = config->duration_ns,
		.threshold = vnt_sample_threshold(config->sample),
		.max_overhead = config->max_overhead / 100,
		.stop = is_stopped,
	};
	const char *name = config->output;
	struct output output;
	char path[256];
	bool started;
	int code;

	if (!name) {
		default_output(path, sizeof(path), &targets->info.domains[0]);
		name = path;
	}
	if (files_open_output(&output, name))
		return EXIT_FAILED;
	options.fd = output.fd;
	code = run_recorder(config, targets, &options, name, &started);
	return files_close_output(&output, started) ? EXIT_FAILED : code;
}

static int run_stamped(const struct record_config *config, struct targets *targets,
		       const struct filter *filter)
{
	struct stamp *stamp = NULL;
	int code = EXIT_DONE;

	if (config->stamp)
		code = stamping_open(&stamp, stamping_parse(config->stamp), targets,
				     filter->insns ? filter : NULL);
	if (!code)
		code = run_targets(config, targets, filter);
	stamp_close(stamp);
	return code;
}

/* enum vnt_id, or -1. */
static int find_id(const char *name)
{
	static const char *const names[] = {[VNT_ID_AUTO] = "auto", [VNT_ID_PAYLOAD] = "payload"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int check_config(const struct record_config *config)
{
	const char *domain = config->domain;

	if (domain && (!*domain || strlen(domain) > DOMAIN_MAX || strchr(domain, '/'))) {
		message_error("--domain must be 1 to %zu characters, and no '/'", DOMAIN_MAX);
		return EXIT_USAGE;
	}
	if (!config->interfaces.count && !config->probes.count) {
		message_error(
			"nothing to trace: give -i DEV or -p PROBE; see 'vnettrace record --help'");
		return EXIT_USAGE;
	}
	if (config->stamp && !stamping_parse(config->stamp)) {
		message_error("--stamp must be tcp, udp or tcp,udp, not '%s'", config->stamp);
		return EXIT_USAGE;
	}
	if (find_id(config->id) < 0) {
		message_error("no packet ID '%s'; there are auto and payload", config->id);
		return EXIT_USAGE;
	}
	if (config->buffer < MIN_BUFFER || config->buffer > MAX_BUFFER) {
		message_error("--buffer must be between 4K and 1G");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static int record_main(int argc, char **argv)
{
	struct record_config config = {.buffer = DEFAULT_BUFFER, .sample = 1, .id = "auto"};
	struct targets targets = {};
	struct filter filter = {};
	char reason[TRACER_REASON_MAX];
	int code;

	options_parse(&command_record, argc, argv, &config);
	message_setup(command_record.name, config.quiet, config.verbose);
	code = check_config(&config);
	if (!code)
		code = compile_filter(&config, &filter);
	if (!code)
		code = targets_parse(&targets, &config.interfaces, &config.probes);
	if (!code && tracer_check(reason)) {
		message_error("%s", reason);
		code = EXIT_FAILED;
	}
	if (!code)
		code = targets_find(&targets, config.domain, config.strict);
	if (!code) {
		targets.info.domains[0].id = find_id(config.id);
		catch_signals();
		code = run_stamped(&config, &targets, &filter);
	}
	targets_release(&targets);
	filter_release(&filter);
	free(config.interfaces.items);
	free(config.probes.items);
	free(config.filter.items);
	return code;
}

const struct command command_record = {
	.name = "record",
	.arguments = "[FILTER]",
	.summary = "Trace packets at probes into a trace file",
	.rows = rows,
	.operands = FIELD(filter),
	.run = record_main,
};
