// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>

#include "lib/format.h"
#include "lib/grid.h"
#include "lib/units.h"

static char *print(const char *format, const struct report *report)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(format_find(format)->print(report, out) == 0);
	fclose(out);
	return text;
}

/* RFC 8259, strictly: returns what follows the value, or fails. */
static const char *skip_json(const char *text);

static const char *skip_string(const char *text)
{
	cr_assert(*text == '"', "string expected: %.20s", text);
	for (text++; *text != '"'; text++) {
		cr_assert((unsigned char)*text >= 0x20);
		if (*text != '\\')
			continue;
		text++;
		cr_assert(*text && strchr("\"\\/bfnrtu", *text));
		if (*text == 'u') {
			cr_assert(strspn(text + 1, "0123456789abcdef") >= 4);
			text += 4;
		}
	}
	return text + 1;
}

static const char *skip_number(const char *text)
{
	char *end;

	cr_assert(*text == '-' || (*text >= '0' && *text <= '9'), "value expected: %.20s", text);
	strtod(text, &end);
	cr_assert(strspn(text, "0123456789+-.e") == (size_t)(end - text));
	return end;
}

static const char *skip_members(const char *text, char end, bool keys)
{
	if (*text == end)
		return text + 1;
	for (;; text++) {
		if (keys) {
			text = skip_string(text);
			cr_assert(*text++ == ':');
		}
		text = skip_json(text);
		if (*text == end)
			return text + 1;
		cr_assert(*text == ',', "comma expected: %.20s", text);
	}
}

static const char *skip_json(const char *text)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strncmp(text, words[i], strlen(words[i])))
			return text + strlen(words[i]);
	}
	if (*text == '{')
		return skip_members(text + 1, '}', true);
	if (*text == '[')
		return skip_members(text + 1, ']', false);
	return *text == '"' ? skip_string(text) : skip_number(text);
}

struct sample {
	struct domain domains[2];
	struct domain_report domain_rows[2];
	struct range_row ranges[2];
	struct probe_report probes[2];
	uint16_t path[2], single[1];
	struct hop_report hop;
	struct path_report paths[2];
	struct loss_report loss;
	struct flow_report flows[3];
	struct vnt_flow translated[2];
	struct cpu_report cpu;
	struct tunnel_report tunnels[2];
	struct ledger_report ledger[2];
	struct program_report programs[2];
	struct report report;
};

static void make_sample(struct sample *s)
{
	const struct latency latency = {10, 1000, 2500, 2400, 3000, 12000, 12000, 12345, 77, 0};

	*s = (struct sample){
		.domains = {{"h1", "node1", "6.1", "b-1", "tsc", 0, 0, {"reference", 0, 0, 0, 0}},
			    {"h2",
			     "node2",
			     "6.12",
			     "b-2",
			     "tsc",
			     0,
			     0,
			     {"realtime", -5, 1.5, -1, 3, 40}}},
		.domain_rows = {{&s->domains[0], 10, 1, 90, 1000, 2000},
				{&s->domains[1], 10, 0, 0, 2000, 4000}},
		.probes = {{"h1/dev:e:tx", 0, 10, 10, 1500, 12000, 10.5, 1, 90},
			   {"h2/dev:e:rx", 1, 10, 10, 1500, 0, 0, 0, 0}},
		.path = {0, 1},
		.single = {1},
		.hop = {0, 1, true, 1, latency},
		.loss = {0, 1, 10, 9, 1, 1500, 1400, 100, 0.1, 0.05, 0.2},
		.cpu = {1, 3, 10},
		.ledger = {{0, 0, 3, LOSS_SAMPLED, 900, 2500, 90},
			   {0, ANY_PROBE, ANY_CPU, LOSS_DAMAGED_FILE, 0, 13000, 1}},
		.programs = {{0, PROGRAM_DEV_TX, 4, 410}, {1, 99, 1, 2500000000}},
	};
	s->hop.latency.bound_ns = CLOCK_UNBOUNDED;
	s->paths[0] = (struct path_report){s->path, 2, 10, 3, s->hop.latency, &s->hop};
	s->paths[1] = (struct path_report){.probes = s->single, .nprobes = 1, .packets = 2};
	s->flows[0] = (struct flow_report){.known = true,
					   .packets = 10,
					   .bytes = 1500,
					   .throughput_bps = 0.5,
					   .loss_ratio = 0.1,
					   .latency = latency};
	s->flows[0].flow =
		(struct vnt_flow){.sport = 5001, .dport = 80, .ethertype = 0x86dd, .proto = 6};
	inet_pton(AF_INET6, "fd00::1", s->flows[0].flow.saddr);
	inet_pton(AF_INET6, "fd00::2", s->flows[0].flow.daddr);
	for (int i = 0; i < 2; i++) {
		s->translated[i] = s->flows[0].flow;
		inet_pton(AF_INET6, "fd00::9", s->translated[i].daddr);
	}
	inet_pton(AF_INET6, "fd00::8", s->translated[1].saddr);
	s->translated[1].sport = 7;
	s->flows[0].translated = s->translated;
	s->flows[0].ntranslated = 2;
	s->flows[1] = (struct flow_report){.known = true, .flow.ethertype = 0x88cc};
	s->flows[2] = (struct flow_report){.hash = 0xabc};
	s->tunnels[0] = (struct tunnel_report){
		1, 5, 9, {.kind = VNT_TUNNEL_VXLAN, .id = 42, .ethertype = 0x0800}};
	inet_pton(AF_INET, "10.0.0.1", s->tunnels[0].tunnel.saddr);
	inet_pton(AF_INET, "10.0.0.2", s->tunnels[0].tunnel.daddr);
	s->tunnels[1] = (struct tunnel_report){.probe = 1, .packets = 1};
	s->ranges[0] = (struct range_row){1, 2000, 3000, -5, 0.25, 30};
	s->ranges[1] = (struct range_row){1, 3000, 5000, -6, 0, CLOCK_UNBOUNDED};
	s->report = (struct report){
		.domains = s->domain_rows,
		.ndomains = 2,
		.ranges = s->ranges,
		.nranges = 2,
		.probes = s->probes,
		.nprobes = 2,
		.observed = 12,
		.complete = 10,
		.partial = 1,
		.ambiguous = 1,
		.copies = 3,
		.paths = s->paths,
		.npaths = 2,
		.losses = &s->loss,
		.nlosses = 1,
		.flows = s->flows,
		.nflows = 3,
		.cpus = &s->cpu,
		.ncpus = 1,
		.tunnels = s->tunnels,
		.ntunnels = 2,
		.ledger = s->ledger,
		.nledger = 2,
		.programs = s->programs,
		.nprograms = 2,
		.overhead_events = 20,
		.run_ns_per_event = 110.5,
		.tracer_cpu_seconds = 0.25,
	};
}

#define LATENCY(bound)                                                                             \
	"{\"count\":10,\"min_ns\":1000,\"mean_ns\":2500,\"p50_ns\":2400,\"p90_ns\":3000,"          \
	"\"p99_ns\":12000,\"p999_ns\":12000,\"max_ns\":12345,\"jitter_ns\":77,\"bound_ns\":" bound \
	"}"
#define NO_LATENCY                                                                        \
	"{\"count\":0,\"min_ns\":0,\"mean_ns\":0,\"p50_ns\":0,\"p90_ns\":0,\"p99_ns\":0," \
	"\"p999_ns\":0,\"max_ns\":0,\"jitter_ns\":0,\"bound_ns\":0}"

Test(format, json_is_the_schema)
{
	struct sample sample;
	char *text;

	make_sample(&sample);
	text = print("json", &sample.report);
	cr_assert_str_eq(
		text,
		"{\"schema\":\"vnettrace.report/1\",\"domains\":["
		"{\"name\":\"h1\",\"hostname\":\"node1\",\"boot_id\":\"b-1\",\"kernel\":\"6.1\","
		"\"events\":10,\"lost\":1,\"sampled_out\":90,\"first_ns\":1000,\"last_ns\":2000,\"clock\":"
		"{\"method\":\"reference\",\"offset_ns\":0,\"drift_ppm\":0,\"bound_ns\":0,\"scatter_ns\":0,\"rejected\":0,\"segments\":[]}},"
		"{\"name\":\"h2\",\"hostname\":\"node2\",\"boot_id\":\"b-2\",\"kernel\":\"6.12\","
		"\"events\":10,\"lost\":0,\"sampled_out\":0,\"first_ns\":2000,\"last_ns\":4000,"
		"\"clock\":{\"method\":\"realtime\","
		"\"offset_ns\":-5,\"drift_ppm\":1.5,\"bound_ns\":\"unbounded\",\"scatter_ns\":40,\"rejected\":3,"
		"\"segments\":[{\"from_ns\":2000,\"to_ns\":3000,\"offset_ns\":-5,\"drift_ppm\":0.25,\"bound_ns\":30},"
		"{\"from_ns\":3000,\"to_ns\":5000,\"offset_ns\":-6,\"drift_ppm\":0,\"bound_ns\":\"unbounded\"}]}}],"
		"\"probes\":[{\"name\":\"h1/dev:e:tx\",\"domain\":\"h1\",\"events\":10,\"packets\":10,"
		"\"bytes\":1500,\"throughput_bps\":12000,\"packet_rate\":10.5,\"lost\":1,"
		"\"sampled_out\":90},"
		"{\"name\":\"h2/dev:e:rx\",\"domain\":\"h2\",\"events\":10,\"packets\":10,"
		"\"bytes\":1500,\"throughput_bps\":0,\"packet_rate\":0,\"lost\":0,"
		"\"sampled_out\":0}],"
		"\"packets\":{\"observed\":12,\"complete\":10,\"partial\":1,\"ambiguous\":1,\"copies\":3},"
		"\"paths\":[{\"probes\":[\"h1/dev:e:tx\",\"h2/dev:e:rx\"],\"packets\":10,\"reordered\":3,\"end_to_end\":" LATENCY(
			"\"unbounded\"") ",\"hops\":[{\"from\":\"h1/dev:e:tx\",\"to\":\"h2/dev:e:rx\","
					 "\"cross_domain\":true,\"share\":1,\"latency\":" LATENCY(
						 "\"unbounded\"") "}]},"
								  "{\"probes\":[\"h2/dev:e:rx\"],\"packets\":2,\"reordered\":0,\"end_to_end\":" NO_LATENCY
								  ",\"hops\":[]}],"
								  "\"loss\":[{\"from\":\"h1/dev:e:tx\",\"to\":\"h2/dev:e:rx\",\"sent\":10,\"received\":9,"
								  "\"lost\":1,\"sent_bytes\":1500,\"received_bytes\":1400,\"lost_bytes\":100,\"ratio\":0.1,\"ratio_min\":0.05,\"ratio_max\":0.2,\"reasons\":{}}],"
								  "\"flows\":[{\"proto\":\"tcp\",\"src\":\"fd00::1\",\"sport\":5001,\"dst\":\"fd00::2\","
								  "\"dport\":80,\"packets\":10,\"bytes\":1500,\"throughput_bps\":0.5,\"loss_ratio\":0.1,"
								  "\"latency\":" LATENCY(
									  "0") ",\"translated\":["
									       "{\"src\":\"fd00::1\",\"sport\":5001,\"dst\":\"fd00::9\",\"dport\":80},"
									       "{\"src\":\"fd00::8\",\"sport\":7,\"dst\":\"fd00::9\",\"dport\":80}]},"
									       "{\"proto\":\"0x88cc\",\"src\":\"\",\"sport\":0,\"dst\":\"\",\"dport\":0,\"packets\":0,"
									       "\"bytes\":0,\"throughput_bps\":0,\"loss_ratio\":0,\"latency\":" NO_LATENCY
									       ",\"translated\":[]},"
									       "{\"proto\":\"unknown\",\"src\":\"\",\"sport\":0,\"dst\":\"\",\"dport\":0,\"packets\":0,"
									       "\"bytes\":0,\"throughput_bps\":0,\"loss_ratio\":0,\"latency\":" NO_LATENCY
									       ",\"translated\":[]}],"
									       "\"cpus\":[{\"domain\":\"h2\",\"probe\":\"h2/dev:e:rx\",\"cpu\":3,\"events\":10}],"
									       "\"tunnels\":[{\"domain\":\"h2\",\"probe\":\"h2/dev:e:rx\",\"kind\":\"vxlan\",\"id\":42,"
									       "\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"packets\":9},"
									       "{\"domain\":\"h2\",\"probe\":\"h2/dev:e:rx\",\"kind\":\"other\",\"id\":0,"
									       "\"src\":\"\",\"dst\":\"\",\"packets\":1}],"
									       "\"ledger\":[{\"domain\":\"h1\",\"probe\":\"h1/dev:e:tx\",\"cpu\":3,"
									       "\"cause\":\"sampled out\",\"first_ns\":900,\"last_ns\":2500,\"count\":90},"
									       "{\"domain\":\"h1\",\"probe\":null,\"cpu\":null,\"cause\":\"damaged file\","
									       "\"first_ns\":0,\"last_ns\":13000,\"count\":1}],"
									       "\"overhead\":{\"events\":20,\"run_ns_per_event\":110.5,\"tracer_cpu_seconds\":0.25,"
									       "\"programs\":[{\"domain\":\"h1\",\"program\":\"dev:tx\",\"runs\":4,\"run_ns\":410,"
									       "\"ns_per_run\":102.5},{\"domain\":\"h2\",\"program\":\"other\",\"runs\":1,"
									       "\"run_ns\":2500000000,\"ns_per_run\":2500000000}]}}\n");
	free(text);
}

Test(format, empty_report)
{
	const struct report report = {0};
	char *text = print("json", &report);

	cr_assert_str_eq(
		text,
		"{\"schema\":\"vnettrace.report/1\",\"domains\":[],\"probes\":[],"
		"\"packets\":{\"observed\":0,\"complete\":0,\"partial\":0,\"ambiguous\":0,\"copies\":0},"
		"\"paths\":[],\"loss\":[],\"flows\":[],\"cpus\":[],\"tunnels\":[],\"ledger\":[],\"overhead\":"
		"{\"events\":0,\"run_ns_per_event\":0,\"tracer_cpu_seconds\":0,"
		"\"programs\":[]}}\n");
	free(text);
	text = print("text", &report);
	cr_assert_str_eq(text,
			 "domains\n"
			 "  domain  events  lost  clock  offset  drift  bound  scatter  rejected\n"
			 "\n"
			 "packets   0 observed: 0 complete, 0 partial, 0 ambiguous\n"
			 "overhead  0 events, 0.000 s of tracer CPU\n");
	free(text);
}

Test(format, text)
{
	struct sample sample;
	char *text;

	make_sample(&sample);
	text = print("text", &sample.report);
	cr_assert_str_eq(
		text,
		"domains\n"
		"  domain  events  lost  clock      offset    drift      bound  scatter  rejected\n"
		"  h1          10     1  reference    0 ns    0 ppm          0        0         0\n"
		"  h2          10     0  realtime    -5 ns  1.5 ppm  unbounded    40 ns         3\n"
		"\n"
		"path 1: 10 packets, 3 reordered\n"
		"  h1/dev:e:tx -> h2/dev:e:rx\n"
		"  hop                                min      mean       p50       p99     p99.9    "
		"   max  jitter    share      bound\n"
		"  h1/dev:e:tx  ->  h2/dev:e:rx  1.000 us  2.500 us  2.400 us  12.00 us  12.00 us  12"
		".35 us   77 ns  100.0 %  unbounded\n"
		"  end to end                    1.000 us  2.500 us  2.400 us  12.00 us  12.00 us  12"
		".35 us   77 ns  100.0 %  unbounded\n"
		"\n"
		"seen at one probe only: 2 packets: 2 at h2/dev:e:rx\n"
		"\n"
		"loss\n"
		"  from             to           sent  received  lost  bytes    ratio  between\n"
		"  h1/dev:e:tx  ->  h2/dev:e:rx    10         9     1  100 B  10.00 %  5.00..20.00 %\n"
		"\n"
		"flows\n"
		"  flow                                         packets     bytes   throughput     lo"
		"ss       p50       p99  jitter\n"
		"  tcp      [fd00::1]:5001    ->  [fd00::2]:80       10  1.500 kB  0.500 bit/s  10.00"
		" %  2.400 us  12.00 us   77 ns\n"
		"    as     [fd00::1]:5001    ->  [fd00::9]:80\n"
		"    as     [fd00::8]:7       ->  [fd00::9]:80\n"
		"  0x88cc                                             0       0 B      0 bit/s   0.00"
		" %         -         -       -\n"
		"  unknown  0000000000000abc                          0       0 B      0 bit/s   0.00"
		" %         -         -       -\n"
		"\n"
		"tunnels\n"
		"  probe        tunnel  id                          packets\n"
		"  h2/dev:e:rx  vxlan   42  10.0.0.1  ->  10.0.0.2        9\n"
		"  h2/dev:e:rx  other    0                                1\n"
		"\n"
		"probes\n"
		"  probe        events  packets     bytes    throughput  packet rate  lost\n"
		"  h1/dev:e:tx      10       10  1.500 kB  12.00 kbit/s     10.50 /s     1\n"
		"  h2/dev:e:rx      10       10  1.500 kB       0 bit/s         0 /s     0\n"
		"\n"
		"not kept by the tracer\n"
		"  probe        cpu  cause         events   from        to\n"
		"  h1/dev:e:tx    3  sampled out       90  start  1.500 us\n"
		"  h1/any       any  damaged file       1  start  12.00 us\n"
		"\n"
		"programs\n"
		"  program    runs     time    ns per run\n"
		"  h1/dev:tx     4  0.000 s         102.5\n"
		"  h2/other      1  2.500 s  2500000000.0\n"
		"\n"
		"packets   12 observed: 10 complete, 1 partial, 1 ambiguous; 3 copies\n"
		"overhead  20 events, 110.5 ns each, 0.250 s of tracer CPU\n");
	free(text);
}

/* Names from a hostile file: quotes, controls, a terminal's escape sequence, broken UTF-8, length. */
Test(format, hostile_names)
{
	struct sample sample;
	char *text, *line;
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	make_sample(&sample);
	sample.probes[0].name = "a\"\\\n\x1b[2J\xff\xc3\xbc\xc2\x9b";
	sample.probes[1].name = name;
	snprintf(sample.domains[0].name, sizeof(sample.domains[0].name), "\x01\"}");
	text = print("json", &sample.report);
	cr_assert_str_eq(skip_json(text), "\n");
	cr_assert(strstr(text, "\"a\\\"\\\\\\n\\u001b[2J\\ufffd\xc3\xbc\xc2\x9b\""));
	free(text);

	text = print("text", &sample.report);
	cr_assert(strstr(text, "a\"\\??[2J?\xc3\xbc?? "));
	cr_assert(!strchr(text, '\x1b'));
	line = strstr(text, "  hop ");
	cr_assert(line != NULL);
	/* The u-umlaut is two bytes. */
	cr_assert(strcspn(line, "\n") + 1 == strcspn(strchr(line, '\n') + 1, "\n"));
	free(text);
}

Test(format, protocols)
{
	static const struct {
		uint16_t ethertype;
		uint8_t proto;
		const char *want;
	} rows[] = {
		{0x0800, 17, "\"udp\""},  {0x0800, 1, "\"icmp\""},   {0x86dd, 58, "\"icmp6\""},
		{0x0800, 253, "\"253\""}, {0x0806, 0, "\"arp\""},    {0x0842, 6, "\"0x0842\""},
		{0x0800, 0, "\"0\""},     {0x86dd, 132, "\"sctp\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow_report flow = {.known = true,
					   .flow = {.ethertype = rows[i].ethertype,
						    .proto = rows[i].proto,
						    .saddr = {10, 0, 0, 7}}};
		const struct report report = {.flows = &flow, .nflows = 1};
		char *text = print("json", &report);
		char *proto = strstr(text, "\"proto\":");

		cr_assert(!strncmp(proto + 8, rows[i].want, strlen(rows[i].want)), "%s", proto);
		if (rows[i].ethertype == 0x0806)
			cr_assert(strstr(text, "\"src\":\"10.0.0.7\""));
		free(text);
	}
}

Test(format, write_errors_are_told)
{
	const struct report report = {0};
	FILE *full = fopen("/dev/full", "w");

	cr_assert(full != NULL);
	cr_assert(format_find("json")->print(&report, full) == -ENOSPC);
	fclose(full);
	cr_assert(format_find("nonsense") == NULL);
}

Test(format, units)
{
	static const struct {
		int64_t ns;
		const char *want;
	} rows[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{1000, "1.000 us"},
		{-1500, "-1.500 us"},
		{9999, "9.999 us"},
		{12346, "12.35 us"},
		{99999, "100.0 us"},
		{999949, "999.9 us"},
		{999950, "1.000 ms"},
		{59999999999, "60.00 s"},
		{INT64_MAX, "9223372037 s"},
		{INT64_MIN, "-9223372037 s"},
	};
	char text[UNITS_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert_str_eq(units_duration(text, rows[i].ns), rows[i].want);
	cr_assert_str_eq(units_bit_rate(text, 1.25e9), "1.250 Gbit/s");
	cr_assert_str_eq(units_bytes(text, 999), "999 B");
	cr_assert_str_eq(units_percent(text, 0.125), "12.50 %");
}
