// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "format_private.h"

#define IPV4 0x0800
#define ARP  0x0806
#define IPV6 0x86dd

const struct format formats[] = {
	{"text", format_text},
	{"json", format_json},
	{NULL, NULL},
};

static const struct {
	uint8_t number;
	const char *name;
} ip_protocols[] = {
	{1, "icmp"},  {2, "igmp"},   {4, "ipip"},      {6, "tcp"}, {17, "udp"},
	{41, "ipv6"}, {47, "gre"},   {50, "esp"},      {51, "ah"}, {58, "icmp6"},
	{89, "ospf"}, {132, "sctp"}, {136, "udplite"},
};

const struct format *format_find(const char *name)
{
	for (const struct format *format = formats; format->name; format++) {
		if (!strcmp(format->name, name))
			return format;
	}
	return NULL;
}

static bool is_ip(const struct vnt_flow *flow)
{
	return flow->ethertype == IPV4 || flow->ethertype == IPV6;
}

const char *format_proto(const struct flow_report *flow, char buffer[FORMAT_PROTO_MAX])
{
	const struct vnt_flow *tuple = &flow->flow;

	if (!flow->known)
		return "unknown";
	if (tuple->ethertype == ARP)
		return "arp";
	if (!is_ip(tuple)) {
		snprintf(buffer, FORMAT_PROTO_MAX, "0x%04x", tuple->ethertype);
		return buffer;
	}
	for (size_t i = 0; i < sizeof(ip_protocols) / sizeof(ip_protocols[0]); i++) {
		if (ip_protocols[i].number == tuple->proto)
			return ip_protocols[i].name;
	}
	snprintf(buffer, FORMAT_PROTO_MAX, "%u", tuple->proto);
	return buffer;
}

void format_address(const struct flow_report *flow, const uint8_t address[16],
		    char text[FORMAT_ADDRESS_MAX])
{
	uint16_t ethertype = flow->flow.ethertype;

	if (ethertype == ARP)
		ethertype = IPV4;
	format_ip(flow->known ? ethertype : 0, address, text);
}

void format_ip(uint16_t ethertype, const uint8_t address[16], char text[FORMAT_ADDRESS_MAX])
{
	text[0] = '\0';
	if (ethertype == IPV4 || ethertype == IPV6)
		inet_ntop(ethertype == IPV6 ? AF_INET6 : AF_INET, address, text,
			  FORMAT_ADDRESS_MAX);
}

int format_finish(FILE *out)
{
	errno = 0;
	if (fflush(out) || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}
