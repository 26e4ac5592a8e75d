// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of a trace file as others read them, on standard output.
 *
 *   bench-export csv FILE     time in ns, flow, key, probe
 *   bench-export pcap FILE    raw IP packets: UDP, with the flow in the addresses and the key as payload
 */
#include <endian.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/reader.h"

#define PCAP_MAGIC_NS 0xa1b23c4du /* of files with nanoseconds */
#define LINKTYPE_RAW  101
#define SNAPLEN       262144
#define NS_PER_SECOND 1000000000ull

/* As in the file. */
struct pcap_header {
	uint32_t magic;
	uint16_t major;
	uint16_t minor;
	uint32_t zone;
	uint32_t accuracy;
	uint32_t snaplen;
	uint32_t linktype;
};

struct pcap_packet {
	uint32_t seconds;
	uint32_t ns;
	uint32_t captured;
	uint32_t length;
	uint8_t version;
	uint8_t tos;
	uint16_t total_length;
	uint32_t id;
	uint8_t ttl;
	uint8_t protocol;
	uint16_t checksum;
	uint32_t source;
	uint32_t destination;
	uint16_t ports[2];
	uint16_t udp_length;
	uint16_t udp_checksum;
	uint32_t key[2];
};

#define PACKET_BYTES 36
_Static_assert(sizeof(struct pcap_header) == 24, "written as it is");
_Static_assert(sizeof(struct pcap_packet) == 16 + PACKET_BYTES, "written as it is");

static void csv_begin(void)
{
}

static void csv_put(const struct vnt_event *event)
{
	printf("%llu,%llu,%llu,%u\n", event->time_ns, event->flow, event->key, event->probe);
}

static void pcap_begin(void)
{
	const struct pcap_header header = {
		.magic = PCAP_MAGIC_NS,
		.major = 2,
		.minor = 4,
		.snaplen = SNAPLEN,
		.linktype = LINKTYPE_RAW,
	};

	fwrite(&header, sizeof(header), 1, stdout);
}

static void pcap_put(const struct vnt_event *event)
{
	struct pcap_packet packet = {
		.seconds = event->time_ns / NS_PER_SECOND,
		.ns = event->time_ns % NS_PER_SECOND,
		.captured = PACKET_BYTES,
		.length = event->length,
		.version = 0x45,
		.total_length = htobe16(event->length),
		.ttl = 64,
		.protocol = 17,
		.source = event->flow,
		.destination = event->flow >> 32,
		.udp_length = htobe16(event->length - 20),
	};

	memcpy(packet.key, &event->key, sizeof(packet.key));
	fwrite(&packet, sizeof(packet), 1, stdout);
}

static const struct format {
	const char *name;
	void (*begin)(void);
	void (*put)(const struct vnt_event *event);
} formats[] = {
	{"csv", csv_begin, csv_put},
	{"pcap", pcap_begin, pcap_put},
};

static const struct format *format_find(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!strcmp(formats[i].name, name))
			return &formats[i];
	}
	errx(2, "no format '%s'", name);
}

static void say(void *context, const char *line)
{
	(void)context;
	warnx("%s", line);
}

int main(int argc, char **argv)
{
	const struct format *format;
	struct reader *reader;
	struct batch batch;
	int fd, error;

	if (argc != 3)
		errx(2, "usage: bench-export csv|pcap FILE");
	format = format_find(argv[1]);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "cannot open '%s'", argv[2]);
	error = reader_open(&reader, fd, argv[2], say, NULL);
	if (error)
		errx(1, "cannot read '%s': error %d", argv[2], error);
	format->begin();
	while ((error = reader_next(reader, &batch)) > 0) {
		for (size_t i = 0; batch.type == BATCH_EVENTS && i < batch.count; i++)
			format->put(&batch.events[i]);
	}
	if (error)
		errx(1, "cannot read '%s': error %d", argv[2], error);
	reader_close(reader);
	if (fflush(stdout) || ferror(stdout))
		err(1, "cannot write");
	return 0;
}
