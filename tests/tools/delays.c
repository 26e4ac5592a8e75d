// SPDX-License-Identifier: GPL-2.0-only
/*
 * delays.c - holds the delays in a trace against those in two captures of the same packets.
 *
 *   delays TRACE FROM TO FROM.pcap TO.pcap
 *
 * FROM and TO are probes as a report names them ("h1/dev:eth0:tx"); the captures are of numbered
 * UDP datagrams over IPv4 (udpnum.c) at the same places. Captured packets are paired by their
 * number, and with the trace by their packet ID. Prints the number of pairs, and median and maximum
 * of the absolute difference of both delays in nanoseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/packet.h"
#include "lib/reader.h"

#define NUMBERS    100000
#define ETHERNET   14
#define UDP_NUMBER (20 + 8) /* where the number is, from the IPv4 header on */

enum side {
	FROM,
	TO,
	SIDES
};

/* All that is known of datagram i. Times are 0 where it was not seen. */
struct datagram {
	uint64_t flow, key;
	int64_t captured_ns[SIDES];
	int64_t traced_ns[SIDES];
};

static struct datagram datagrams[NUMBERS];

static int read_capture(const char *name, enum side side)
{
	char reason[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_NANO, reason);
	struct pcap_pkthdr *header;
	const unsigned char *bytes;

	if (!pcap) {
		fprintf(stderr, "delays: %s\n", reason);
		return -EINVAL;
	}
	while (pcap_next_ex(pcap, &header, &bytes) == 1) {
		struct vnt_view view = {.ethertype = VNT_ETHERTYPE_IPV4};
		struct vnt_packet packet;
		uint32_t number;

		if (header->caplen < ETHERNET + UDP_NUMBER + sizeof(number))
			continue;
		memcpy(&number, bytes + ETHERNET + UDP_NUMBER, sizeof(number));
		number = ntohl(number);
		if (number >= NUMBERS)
			continue;
		view.length = header->len - ETHERNET;
		view.available = header->caplen - ETHERNET;
		if (view.available > VNT_HEADER_MAX)
			view.available = VNT_HEADER_MAX;
		memcpy(view.header, bytes + ETHERNET, view.available);
		vnt_packet_parse(&view, 0, &packet);
		datagrams[number].flow = packet.flow;
		datagrams[number].key = packet.key;
		datagrams[number].captured_ns[side] =
			header->ts.tv_sec * 1000000000LL + header->ts.tv_usec;
	}
	pcap_close(pcap);
	return 0;
}

static int find_probe(const struct trace_info *info, const char *name)
{
	char full[sizeof(info->probes->name) + sizeof(info->domains->name) + 1];

	for (size_t i = 0; i < info->nprobes; i++) {
		snprintf(full, sizeof(full), "%s/%s", info->domains[info->probes[i].domain].name,
			 info->probes[i].name);
		if (!strcmp(full, name))
			return i;
	}
	fprintf(stderr, "delays: no probe '%s'\n", name);
	return -ENOENT;
}

static int compare_ids(const void *a, const void *b)
{
	const struct datagram *x = a, *y = b;

	if (x->flow != y->flow)
		return x->flow < y->flow ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

static void take_event(const struct vnt_event *event, enum side side)
{
	struct datagram wanted = {.flow = event->flow, .key = event->key}, *found;

	found = bsearch(&wanted, datagrams, NUMBERS, sizeof(*datagrams), compare_ids);
	if (found)
		found->traced_ns[side] = event->time_ns;
}

static int read_trace(const char *name, char *const *probe_names)
{
	struct reader *reader;
	struct batch batch;
	int probes[SIDES], err;

	err = reader_open(&reader, open(name, O_RDONLY | O_CLOEXEC), name, NULL, NULL);
	if (err) {
		fprintf(stderr, "delays: %s: %s\n", name, strerror(-err));
		return err;
	}
	for (int side = 0; side < SIDES; side++) {
		probes[side] = find_probe(reader_info(reader), probe_names[side]);
		if (probes[side] < 0) {
			err = probes[side];
			goto out;
		}
	}
	while ((err = reader_next(reader, &batch)) == 1) {
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++)
			for (int side = 0; side < SIDES; side++)
				if (batch.events[i].probe == probes[side])
					take_event(&batch.events[i], side);
	}
out:
	reader_close(reader);
	return err;
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int print_differences(void)
{
	static int64_t differences[NUMBERS];
	size_t pairs = 0;

	for (size_t i = 0; i < NUMBERS; i++) {
		const struct datagram *d = &datagrams[i];

		if (d->captured_ns[FROM] && d->captured_ns[TO] && d->traced_ns[FROM] &&
		    d->traced_ns[TO])
			differences[pairs++] = llabs(d->traced_ns[TO] - d->traced_ns[FROM] -
						     (d->captured_ns[TO] - d->captured_ns[FROM]));
	}
	qsort(differences, pairs, sizeof(*differences), compare_numbers);
	printf("%zu %" PRId64 " %" PRId64 "\n", pairs, pairs ? differences[pairs / 2] : 0,
	       pairs ? differences[pairs - 1] : 0);
	return !pairs;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: delays TRACE FROM TO FROM.pcap TO.pcap\n");
		return 2;
	}
	if (read_capture(argv[4], FROM) || read_capture(argv[5], TO))
		return 1;
	qsort(datagrams, NUMBERS, sizeof(*datagrams), compare_ids);
	if (read_trace(argv[1], argv + 2))
		return 1;
	return print_differences();
}
