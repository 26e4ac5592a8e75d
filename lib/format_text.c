// SPDX-License-Identifier: GPL-2.0-only
/* What an operator reads: one screen where the network is small. */
#include <inttypes.h>
#include <string.h>

#include "format_private.h"
#include "grid.h"
#include "units.h"

#define PATHS_SHOWN   8
#define LOSSES_SHOWN  20
#define FLOWS_SHOWN   10
#define SINGLES_SHOWN 3
#define LEDGER_SHOWN  20
#define TUNNELS_SHOWN 20
#define ALIASES_SHOWN 3 /* of a flow */

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_more(FILE *out, size_t count, size_t shown, const char *what)
{
	if (count > shown)
		fprintf(out, "  and %zu more %s%s\n", count - shown, what, plural(count - shown));
}

static size_t at_most(size_t count, size_t limit)
{
	return count < limit ? count : limit;
}

static const char *bound_text(char *text, int64_t bound_ns)
{
	if (bound_ns < 0)
		return "unbounded";
	return bound_ns ? units_duration(text, bound_ns) : "0";
}

static int print_domains(const struct report *report, FILE *out)
{
	static const char *const head[] = {"domain", "events", "lost",    "clock",    "offset",
					   "drift",  "bound",  "scatter", "rejected", NULL};
	char text[UNITS_MAX];
	struct grid grid;

	fputs("domains\n", out);
	grid_begin(&grid, "lrrlrrrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < report->ndomains; i++) {
		const struct domain_report *row = &report->domains[i];
		const struct clock_fit *clock = &row->domain->clock;

		grid_cell(&grid, row->domain->name);
		grid_format(&grid, "%" PRIu64, row->events);
		grid_format(&grid, "%" PRIu64, row->lost);
		grid_cell(&grid, clock->method);
		grid_cell(&grid, units_duration(text, clock->offset_ns));
		grid_format(&grid, "%.3g ppm", clock->drift_ppm);
		grid_cell(&grid, bound_text(text, clock->bound_ns));
		grid_cell(&grid, clock->scatter_ns ? units_duration(text, clock->scatter_ns) : "0");
		grid_format(&grid, "%" PRIu64, clock->rejected);
	}
	return grid_print(&grid, out);
}

static void latency_cells(struct grid *grid, const struct latency *latency, double share)
{
	const int64_t durations[] = {latency->min_ns,   latency->mean_ns, latency->p50_ns,
				     latency->p99_ns,   latency->p999_ns, latency->max_ns,
				     latency->jitter_ns};
	char text[UNITS_MAX];

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		grid_cell(grid, units_duration(text, durations[i]));
	grid_format(grid, "%.1f %%", share * 100);
	grid_cell(grid, bound_text(text, latency->bound_ns));
}

static int print_chain(const struct report *report, const struct path_report *path, size_t number,
		       FILE *out)
{
	struct grid grid;

	fprintf(out, "\npath %zu: %" PRIu64 " packet%s", number, path->packets,
		plural(path->packets));
	if (path->reordered)
		fprintf(out, ", %" PRIu64 " reordered", path->reordered);
	fputs("\n  ", out);
	grid_begin(&grid, "l");
	for (size_t i = 0; i < path->nprobes; i++)
		grid_format(&grid, "%s%s", i ? "-> " : "", report->probes[path->probes[i]].name);
	return grid_join(&grid, " ", out);
}

static int print_path(const struct report *report, const struct path_report *path, size_t number,
		      FILE *out)
{
	static const char *const head[] = {"hop",   "",    "",       "min",   "mean",  "p50", "p99",
					   "p99.9", "max", "jitter", "share", "bound", NULL};
	struct grid grid;
	int err = print_chain(report, path, number, out);

	if (err)
		return err;
	grid_begin(&grid, "lllrrrrrrrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i + 1 < path->nprobes; i++) {
		const struct hop_report *hop = &path->hops[i];

		grid_cell(&grid, report->probes[hop->from].name);
		grid_cell(&grid, "->");
		grid_cell(&grid, report->probes[hop->to].name);
		latency_cells(&grid, &hop->latency, hop->share);
	}
	grid_cell(&grid, "end to end");
	grid_cell(&grid, "");
	grid_cell(&grid, "");
	latency_cells(&grid, &path->end_to_end, path->end_to_end.count ? 1 : 0);
	return grid_print(&grid, out);
}

/* Paths of one probe say where packets were seen, and nothing of time. */
static int print_single_probes(const struct report *report, FILE *out)
{
	uint64_t packets = 0;
	size_t count = 0;
	struct grid grid;

	grid_begin(&grid, "l");
	for (size_t i = 0; i < report->npaths; i++) {
		const struct path_report *path = &report->paths[i];

		if (path->nprobes != 1)
			continue;
		packets += path->packets;
		if (count++ < SINGLES_SHOWN)
			grid_format(&grid, "%" PRIu64 " at %s", path->packets,
				    report->probes[path->probes[0]].name);
	}
	if (count > SINGLES_SHOWN)
		grid_format(&grid, "and %zu more", count - SINGLES_SHOWN);
	if (count)
		fprintf(out, "\nseen at one probe only: %" PRIu64 " packet%s: ", packets,
			plural(packets));
	return grid_join(&grid, ", ", out);
}

static int print_paths(const struct report *report, FILE *out)
{
	size_t shown = 0, count = 0;
	int err = 0;

	for (size_t i = 0; i < report->npaths && !err; i++) {
		const struct path_report *path = &report->paths[i];

		if (path->nprobes < 2)
			continue;
		if (count++ < PATHS_SHOWN)
			err = print_path(report, path, ++shown, out);
	}
	if (err)
		return err;
	print_more(out, count, shown, "path");
	return print_single_probes(report, out);
}

static int print_losses(const struct report *report, FILE *out)
{
	static const char *const head[] = {"from", "",      "to",    "sent",    "received",
					   "lost", "bytes", "ratio", "between", NULL};
	size_t shown = at_most(report->nlosses, LOSSES_SHOWN);
	char text[UNITS_MAX];
	struct grid grid;
	int err;

	if (!report->nlosses)
		return 0;
	fputs("\nloss\n", out);
	grid_begin(&grid, "lllrrrrrl");
	grid_cells(&grid, head);
	for (size_t i = 0; i < shown; i++) {
		const struct loss_report *row = &report->losses[i];

		grid_cell(&grid, report->probes[row->from].name);
		grid_cell(&grid, "->");
		grid_cell(&grid, report->probes[row->to].name);
		grid_format(&grid, "%" PRIu64, row->sent);
		grid_format(&grid, "%" PRIu64, row->received);
		grid_format(&grid, "%" PRIu64, row->lost);
		grid_cell(&grid, units_bytes(text, row->lost_bytes));
		grid_cell(&grid, units_percent(text, row->ratio));
		if (row->ratio_min < row->ratio_max)
			grid_format(&grid, "%.2f..%.2f %%", row->ratio_min * 100,
				    row->ratio_max * 100);
		else
			grid_cell(&grid, "");
	}
	err = grid_print(&grid, out);
	print_more(out, report->nlosses, shown, "row");
	return err;
}

static void endpoint_cell(struct grid *grid, const char *address, uint16_t port)
{
	if (!port)
		grid_cell(grid, address);
	else
		grid_format(grid, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port);
}

/* Source, arrow and destination; what has no addresses goes by its hash, if by anything. */
static void endpoints_cells(struct grid *grid, const struct flow_report *row)
{
	char source[FORMAT_ADDRESS_MAX], destination[FORMAT_ADDRESS_MAX];

	format_address(row, row->flow.saddr, source);
	format_address(row, row->flow.daddr, destination);
	if (*source) {
		endpoint_cell(grid, source, row->flow.sport);
		grid_cell(grid, "->");
		endpoint_cell(grid, destination, row->flow.dport);
		return;
	}
	if (row->known)
		grid_cell(grid, "");
	else
		grid_format(grid, "%016" PRIx64, row->hash);
	grid_cell(grid, "");
	grid_cell(grid, "");
}

static void flow_cells(struct grid *grid, const struct flow_report *row)
{
	char text[UNITS_MAX], proto[FORMAT_PROTO_MAX];

	grid_cell(grid, format_proto(row, proto));
	endpoints_cells(grid, row);
	grid_format(grid, "%" PRIu64, row->packets);
	grid_cell(grid, units_bytes(text, row->bytes));
	grid_cell(grid, units_bit_rate(text, row->throughput_bps));
	grid_cell(grid, units_percent(text, row->loss_ratio));
	if (!row->latency.count) {
		for (int i = 0; i < 3; i++)
			grid_cell(grid, "-");
		return;
	}
	grid_cell(grid, units_duration(text, row->latency.p50_ns));
	grid_cell(grid, units_duration(text, row->latency.p99_ns));
	grid_cell(grid, units_duration(text, row->latency.jitter_ns));
}

static void blank_cells(struct grid *grid, int count)
{
	for (int i = 0; i < count; i++)
		grid_cell(grid, "");
}

/* A row for each, below the flow's own. */
static void translated_cells(struct grid *grid, const struct flow_report *row)
{
	size_t shown = at_most(row->ntranslated, ALIASES_SHOWN);
	char address[FORMAT_ADDRESS_MAX];

	for (size_t i = 0; i < shown; i++) {
		const struct vnt_flow *flow = &row->translated[i];

		grid_cell(grid, "  as");
		format_ip(flow->ethertype, flow->saddr, address);
		endpoint_cell(grid, address, flow->sport);
		grid_cell(grid, "->");
		format_ip(flow->ethertype, flow->daddr, address);
		endpoint_cell(grid, address, flow->dport);
		blank_cells(grid, 7);
	}
	if (row->ntranslated == shown)
		return;
	grid_cell(grid, "  as");
	grid_format(grid, "%zu more", row->ntranslated - shown);
	blank_cells(grid, 9);
}

static int print_flows(const struct report *report, FILE *out)
{
	static const char *const head[] = {"flow",       "",     "",    "",    "packets", "bytes",
					   "throughput", "loss", "p50", "p99", "jitter",  NULL};
	size_t shown = at_most(report->nflows, FLOWS_SHOWN);
	struct grid grid;
	int err;

	if (!report->nflows)
		return 0;
	fputs("\nflows\n", out);
	grid_begin(&grid, "llllrrrrrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < shown; i++) {
		flow_cells(&grid, &report->flows[i]);
		translated_cells(&grid, &report->flows[i]);
	}
	err = grid_print(&grid, out);
	print_more(out, report->nflows, shown, "flow");
	return err;
}

static int print_tunnels(const struct report *report, FILE *out)
{
	static const char *const head[] = {"probe", "tunnel", "id", "", "", "", "packets", NULL};
	size_t shown = at_most(report->ntunnels, TUNNELS_SHOWN);
	char address[FORMAT_ADDRESS_MAX];
	struct grid grid;
	int err;

	if (!report->ntunnels)
		return 0;
	fputs("\ntunnels\n", out);
	grid_begin(&grid, "llrlllr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < shown; i++) {
		const struct tunnel_report *row = &report->tunnels[i];

		grid_cell(&grid, report->probes[row->probe].name);
		grid_cell(&grid, tunnel_kind_name(row->tunnel.kind));
		grid_format(&grid, "%u", row->tunnel.id);
		format_ip(row->tunnel.ethertype, row->tunnel.saddr, address);
		grid_cell(&grid, address);
		grid_cell(&grid, *address ? "->" : "");
		format_ip(row->tunnel.ethertype, row->tunnel.daddr, address);
		grid_cell(&grid, address);
		grid_format(&grid, "%" PRIu64, row->packets);
	}
	err = grid_print(&grid, out);
	print_more(out, report->ntunnels, shown, "tunnel");
	return err;
}

static int print_probes(const struct report *report, FILE *out)
{
	static const char *const head[] = {"probe",      "events",      "packets", "bytes",
					   "throughput", "packet rate", "lost",    NULL};
	char text[UNITS_MAX];
	struct grid grid;

	if (!report->nprobes)
		return 0;
	fputs("\nprobes\n", out);
	grid_begin(&grid, "lrrrrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < report->nprobes; i++) {
		const struct probe_report *row = &report->probes[i];

		grid_cell(&grid, row->name);
		grid_format(&grid, "%" PRIu64, row->events);
		grid_format(&grid, "%" PRIu64, row->packets);
		grid_cell(&grid, units_bytes(text, row->bytes));
		grid_cell(&grid, units_bit_rate(text, row->throughput_bps));
		grid_cell(&grid, units_rate(text, row->packet_rate));
		grid_format(&grid, "%" PRIu64, row->lost);
	}
	return grid_print(&grid, out);
}

/* The first event of all; 0 if there is none. */
static uint64_t begin_of_trace(const struct report *report)
{
	uint64_t begin_ns = 0;

	for (size_t i = 0; i < report->ndomains; i++) {
		const struct domain_report *row = &report->domains[i];

		if (row->events && (!begin_ns || row->first_ns < begin_ns))
			begin_ns = row->first_ns;
	}
	return begin_ns;
}

static void since_cell(struct grid *grid, uint64_t time_ns, uint64_t begin_ns)
{
	char text[UNITS_MAX];

	grid_cell(grid, time_ns > begin_ns ? units_duration(text, time_ns - begin_ns) : "start");
}

static int print_ledger(const struct report *report, FILE *out)
{
	static const char *const head[] = {"probe", "cpu", "cause", "events", "from", "to", NULL};
	size_t shown = at_most(report->nledger, LEDGER_SHOWN);
	uint64_t begin_ns = begin_of_trace(report);
	struct grid grid;
	int err;

	if (!report->nledger)
		return 0;
	fputs("\nnot kept by the tracer\n", out);
	grid_begin(&grid, "lrlrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < shown; i++) {
		const struct ledger_report *row = &report->ledger[i];

		if (row->probe == ANY_PROBE)
			grid_format(&grid, "%s/any", report->domains[row->domain].domain->name);
		else
			grid_cell(&grid, report->probes[row->probe].name);
		if (row->cpu == ANY_CPU)
			grid_cell(&grid, "any");
		else
			grid_format(&grid, "%u", row->cpu);
		grid_cell(&grid, loss_cause_name(row->cause));
		grid_format(&grid, "%" PRIu64, row->count);
		since_cell(&grid, row->first_ns, begin_ns);
		since_cell(&grid, row->last_ns, begin_ns);
	}
	err = grid_print(&grid, out);
	print_more(out, report->nledger, shown, "row");
	return err;
}

static int print_programs(const struct report *report, FILE *out)
{
	static const char *const head[] = {"program", "runs", "time", "ns per run", NULL};
	struct grid grid;

	if (!report->nprograms)
		return 0;
	fputs("\nprograms\n", out);
	grid_begin(&grid, "lrrr");
	grid_cells(&grid, head);
	for (size_t i = 0; i < report->nprograms; i++) {
		const struct program_report *row = &report->programs[i];

		grid_format(&grid, "%s/%s", report->domains[row->domain].domain->name,
			    cost_program_name(row->program));
		grid_format(&grid, "%" PRIu64, row->runs);
		grid_format(&grid, "%.3f s", (double)row->run_ns / 1e9);
		grid_format(&grid, "%.1f", (double)row->run_ns / (double)row->runs);
	}
	return grid_print(&grid, out);
}

static int print_totals(const struct report *report, FILE *out)
{
	fprintf(out,
		"\npackets   %" PRIu64 " observed: %" PRIu64 " complete, %" PRIu64
		" partial, %" PRIu64 " ambiguous",
		report->observed, report->complete, report->partial, report->ambiguous);
	if (report->copies)
		fprintf(out, "; %" PRIu64 " copies", report->copies);
	fprintf(out, "\noverhead  %" PRIu64 " events", report->overhead_events);
	if (report->run_ns_per_event > 0)
		fprintf(out, ", %.1f ns each", report->run_ns_per_event);
	fprintf(out, ", %.3f s of tracer CPU\n", report->tracer_cpu_seconds);
	return 0;
}

int format_text(const struct report *report, FILE *out)
{
	static int (*const parts[])(const struct report *report, FILE *out) = {
		print_domains, print_paths,  print_losses,   print_flows,  print_tunnels,
		print_probes,  print_ledger, print_programs, print_totals,
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++)
		err = parts[i](report, out);
	return err ? err : format_finish(out);
}
