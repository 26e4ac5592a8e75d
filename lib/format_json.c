// SPDX-License-Identifier: GPL-2.0-only
/* The schema vnettrace.report/1: keys and their order are a promise. */
#include "format_private.h"
#include "json.h"

static void print_bound(struct json *json, int64_t bound_ns)
{
	if (bound_ns < 0)
		json_string(json, "bound_ns", "unbounded");
	else
		json_int(json, "bound_ns", bound_ns);
}

static void print_latency(struct json *json, const char *key, const struct latency *latency)
{
	json_object_begin(json, key);
	json_uint(json, "count", latency->count);
	json_int(json, "min_ns", latency->min_ns);
	json_int(json, "mean_ns", latency->mean_ns);
	json_int(json, "p50_ns", latency->p50_ns);
	json_int(json, "p90_ns", latency->p90_ns);
	json_int(json, "p99_ns", latency->p99_ns);
	json_int(json, "p999_ns", latency->p999_ns);
	json_int(json, "max_ns", latency->max_ns);
	json_int(json, "jitter_ns", latency->jitter_ns);
	print_bound(json, latency->bound_ns);
	json_object_end(json);
}

static const char *domain_name(const struct report *report, uint16_t probe)
{
	return report->domains[report->probes[probe].domain].domain->name;
}

static void print_segments(struct json *json, const struct report *report, size_t domain)
{
	json_array_begin(json, "segments");
	for (size_t i = 0; i < report->nranges; i++) {
		const struct range_row *row = &report->ranges[i];

		if (row->domain != domain)
			continue;
		json_object_begin(json, NULL);
		json_uint(json, "from_ns", row->from_ns);
		json_uint(json, "to_ns", row->to_ns);
		json_int(json, "offset_ns", row->offset_ns);
		json_double(json, "drift_ppm", row->drift_ppm);
		print_bound(json, row->bound_ns);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_domains(struct json *json, const struct report *report)
{
	json_array_begin(json, "domains");
	for (size_t i = 0; i < report->ndomains; i++) {
		const struct domain_report *row = &report->domains[i];
		const struct domain *domain = row->domain;

		json_object_begin(json, NULL);
		json_string(json, "name", domain->name);
		json_string(json, "hostname", domain->hostname);
		json_string(json, "boot_id", domain->boot_id);
		json_string(json, "kernel", domain->kernel);
		json_uint(json, "events", row->events);
		json_uint(json, "lost", row->lost);
		json_uint(json, "sampled_out", row->sampled_out);
		json_uint(json, "first_ns", row->first_ns);
		json_uint(json, "last_ns", row->last_ns);
		json_object_begin(json, "clock");
		json_string(json, "method", domain->clock.method);
		json_int(json, "offset_ns", domain->clock.offset_ns);
		json_double(json, "drift_ppm", domain->clock.drift_ppm);
		print_bound(json, domain->clock.bound_ns);
		json_int(json, "scatter_ns", domain->clock.scatter_ns);
		json_uint(json, "rejected", domain->clock.rejected);
		print_segments(json, report, i);
		json_object_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_probes(struct json *json, const struct report *report)
{
	json_array_begin(json, "probes");
	for (size_t i = 0; i < report->nprobes; i++) {
		const struct probe_report *row = &report->probes[i];

		json_object_begin(json, NULL);
		json_string(json, "name", row->name);
		json_string(json, "domain", domain_name(report, i));
		json_uint(json, "events", row->events);
		json_uint(json, "packets", row->packets);
		json_uint(json, "bytes", row->bytes);
		json_double(json, "throughput_bps", row->throughput_bps);
		json_double(json, "packet_rate", row->packet_rate);
		json_uint(json, "lost", row->lost);
		json_uint(json, "sampled_out", row->sampled_out);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_packets(struct json *json, const struct report *report)
{
	json_object_begin(json, "packets");
	json_uint(json, "observed", report->observed);
	json_uint(json, "complete", report->complete);
	json_uint(json, "partial", report->partial);
	json_uint(json, "ambiguous", report->ambiguous);
	json_uint(json, "copies", report->copies);
	json_object_end(json);
}

static void print_hop(struct json *json, const struct report *report, const struct hop_report *hop)
{
	json_object_begin(json, NULL);
	json_string(json, "from", report->probes[hop->from].name);
	json_string(json, "to", report->probes[hop->to].name);
	json_bool(json, "cross_domain", hop->cross_domain);
	json_double(json, "share", hop->share);
	print_latency(json, "latency", &hop->latency);
	json_object_end(json);
}

static void print_paths(struct json *json, const struct report *report)
{
	json_array_begin(json, "paths");
	for (size_t i = 0; i < report->npaths; i++) {
		const struct path_report *path = &report->paths[i];

		json_object_begin(json, NULL);
		json_array_begin(json, "probes");
		for (size_t k = 0; k < path->nprobes; k++)
			json_string(json, NULL, report->probes[path->probes[k]].name);
		json_array_end(json);
		json_uint(json, "packets", path->packets);
		json_uint(json, "reordered", path->reordered);
		print_latency(json, "end_to_end", &path->end_to_end);
		json_array_begin(json, "hops");
		for (size_t k = 0; k + 1 < path->nprobes; k++)
			print_hop(json, report, &path->hops[k]);
		json_array_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_losses(struct json *json, const struct report *report)
{
	json_array_begin(json, "loss");
	for (size_t i = 0; i < report->nlosses; i++) {
		const struct loss_report *row = &report->losses[i];

		json_object_begin(json, NULL);
		json_string(json, "from", report->probes[row->from].name);
		json_string(json, "to", report->probes[row->to].name);
		json_uint(json, "sent", row->sent);
		json_uint(json, "received", row->received);
		json_uint(json, "lost", row->lost);
		json_uint(json, "sent_bytes", row->sent_bytes);
		json_uint(json, "received_bytes", row->received_bytes);
		json_uint(json, "lost_bytes", row->lost_bytes);
		json_double(json, "ratio", row->ratio);
		json_double(json, "ratio_min", row->ratio_min);
		json_double(json, "ratio_max", row->ratio_max);
		json_object_begin(json, "reasons");
		json_object_end(json);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_translated(struct json *json, const struct flow_report *row)
{
	char address[FORMAT_ADDRESS_MAX];

	json_array_begin(json, "translated");
	for (size_t i = 0; i < row->ntranslated; i++) {
		const struct vnt_flow *flow = &row->translated[i];

		json_object_begin(json, NULL);
		format_ip(flow->ethertype, flow->saddr, address);
		json_string(json, "src", address);
		json_uint(json, "sport", flow->sport);
		format_ip(flow->ethertype, flow->daddr, address);
		json_string(json, "dst", address);
		json_uint(json, "dport", flow->dport);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_flows(struct json *json, const struct report *report)
{
	char address[FORMAT_ADDRESS_MAX], proto[FORMAT_PROTO_MAX];

	json_array_begin(json, "flows");
	for (size_t i = 0; i < report->nflows; i++) {
		const struct flow_report *row = &report->flows[i];

		json_object_begin(json, NULL);
		json_string(json, "proto", format_proto(row, proto));
		format_address(row, row->flow.saddr, address);
		json_string(json, "src", address);
		json_uint(json, "sport", row->flow.sport);
		format_address(row, row->flow.daddr, address);
		json_string(json, "dst", address);
		json_uint(json, "dport", row->flow.dport);
		json_uint(json, "packets", row->packets);
		json_uint(json, "bytes", row->bytes);
		json_double(json, "throughput_bps", row->throughput_bps);
		json_double(json, "loss_ratio", row->loss_ratio);
		print_latency(json, "latency", &row->latency);
		print_translated(json, row);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_cpus(struct json *json, const struct report *report)
{
	json_array_begin(json, "cpus");
	for (size_t i = 0; i < report->ncpus; i++) {
		const struct cpu_report *row = &report->cpus[i];

		json_object_begin(json, NULL);
		json_string(json, "domain", domain_name(report, row->probe));
		json_string(json, "probe", report->probes[row->probe].name);
		json_uint(json, "cpu", row->cpu);
		json_uint(json, "events", row->events);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_tunnels(struct json *json, const struct report *report)
{
	char address[FORMAT_ADDRESS_MAX];

	json_array_begin(json, "tunnels");
	for (size_t i = 0; i < report->ntunnels; i++) {
		const struct tunnel_report *row = &report->tunnels[i];

		json_object_begin(json, NULL);
		json_string(json, "domain", domain_name(report, row->probe));
		json_string(json, "probe", report->probes[row->probe].name);
		json_string(json, "kind", tunnel_kind_name(row->tunnel.kind));
		json_uint(json, "id", row->tunnel.id);
		format_ip(row->tunnel.ethertype, row->tunnel.saddr, address);
		json_string(json, "src", address);
		format_ip(row->tunnel.ethertype, row->tunnel.daddr, address);
		json_string(json, "dst", address);
		json_uint(json, "packets", row->packets);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_ledger(struct json *json, const struct report *report)
{
	json_array_begin(json, "ledger");
	for (size_t i = 0; i < report->nledger; i++) {
		const struct ledger_report *row = &report->ledger[i];

		json_object_begin(json, NULL);
		json_string(json, "domain", report->domains[row->domain].domain->name);
		if (row->probe == ANY_PROBE)
			json_null(json, "probe");
		else
			json_string(json, "probe", report->probes[row->probe].name);
		if (row->cpu == ANY_CPU)
			json_null(json, "cpu");
		else
			json_uint(json, "cpu", row->cpu);
		json_string(json, "cause", loss_cause_name(row->cause));
		json_uint(json, "first_ns", row->first_ns);
		json_uint(json, "last_ns", row->last_ns);
		json_uint(json, "count", row->count);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_programs(struct json *json, const struct report *report)
{
	json_array_begin(json, "programs");
	for (size_t i = 0; i < report->nprograms; i++) {
		const struct program_report *row = &report->programs[i];

		json_object_begin(json, NULL);
		json_string(json, "domain", report->domains[row->domain].domain->name);
		json_string(json, "program", cost_program_name(row->program));
		json_uint(json, "runs", row->runs);
		json_uint(json, "run_ns", row->run_ns);
		json_double(json, "ns_per_run", (double)row->run_ns / (double)row->runs);
		json_object_end(json);
	}
	json_array_end(json);
}

static void print_overhead(struct json *json, const struct report *report)
{
	json_object_begin(json, "overhead");
	json_uint(json, "events", report->overhead_events);
	json_double(json, "run_ns_per_event", report->run_ns_per_event);
	json_double(json, "tracer_cpu_seconds", report->tracer_cpu_seconds);
	print_programs(json, report);
	json_object_end(json);
}

int format_json(const struct report *report, FILE *out)
{
	static void (*const parts[])(struct json * json, const struct report *report) = {
		print_domains, print_probes, print_packets, print_paths,  print_losses,
		print_flows,   print_cpus,   print_tunnels, print_ledger, print_overhead,
	};
	struct json json;

	json_begin(&json, out);
	json_object_begin(&json, NULL);
	json_string(&json, "schema", "vnettrace.report/1");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		parts[i](&json, report);
	json_object_end(&json);
	putc('\n', out);
	return format_finish(out);
}
