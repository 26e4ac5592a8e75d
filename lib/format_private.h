/* SPDX-License-Identifier: GPL-2.0-only */
/* format_private.h - what the formats share. */
#ifndef VNT_FORMAT_PRIVATE_H
#define VNT_FORMAT_PRIVATE_H

#include "format.h"

#define FORMAT_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */
#define FORMAT_PROTO_MAX   8

int format_text(const struct report *report, FILE *out);
int format_json(const struct report *report, FILE *out);

/* "tcp", "arp", "0x88cc", "253", ... or "unknown". Writes to `buffer` only what has no name. */
const char *format_proto(const struct flow_report *flow, char buffer[FORMAT_PROTO_MAX]);

/* One of the flow's two addresses as text; empty if it has none. */
void format_address(const struct flow_report *flow, const uint8_t address[16],
		    char text[FORMAT_ADDRESS_MAX]);

/* Empty if the EtherType is not that of IPv4 or IPv6. */
void format_ip(uint16_t ethertype, const uint8_t address[16], char text[FORMAT_ADDRESS_MAX]);

/* 0, or -errno if something of the output was not written. */
int format_finish(FILE *out);

#endif
