/* SPDX-License-Identifier: GPL-2.0-only */
/* layers.h - packets in packets, built from the inside out: each function puts a header in front. */
#ifndef TESTS_LAYERS_H
#define TESTS_LAYERS_H

#include <stdarg.h>
#include <string.h>

#include "lib/tunnel.h"

#define LAYERS_MAX 2048

struct layers {
	__u8 bytes[LAYERS_MAX];
	size_t at;   /* first byte */
	size_t size; /* from there on */
	__u32 ethertype;
};

static inline void layers_push(struct layers *p, const void *bytes, size_t size)
{
	p->at -= size;
	p->size += size;
	memcpy(p->bytes + p->at, bytes, size);
}

static inline void layers_payload(struct layers *p, __u8 number, size_t size)
{
	*p = (struct layers){.at = LAYERS_MAX};
	for (size_t i = size; i-- > 0;)
		layers_push(p, &(__u8){number + i}, 1);
}

static inline void layers_udp(struct layers *p, __u16 sport, __u16 dport)
{
	const __u16 length = p->size + 8;
	const __u8 header[8] = {sport >> 8,  sport,  dport >> 8, dport,
				length >> 8, length, 0xc5,       0x5c};

	layers_push(p, header, sizeof(header));
}

static inline void layers_tcp(struct layers *p, __u8 number)
{
	const __u8 header[20] = {0x9c, 0x40, 0, 80, 0, 0, 1, number, 0, 0, 9, 9, 0x50, 0x18};

	layers_push(p, header, sizeof(header));
}

static inline void layers_ipv4(struct layers *p, __u8 proto, __u8 host)
{
	const __u16 length = p->size + 20;
	const __u8 header[20] = {0x45, 0,    length >> 8, length, 0x12, host, 0x40, 0,    64, proto,
				 0xaa, 0xbb, 10,          host,   0,    1,    10,   host, 0,  2};

	layers_push(p, header, sizeof(header));
	p->ethertype = VNT_ETHERTYPE_IPV4;
}

static inline void layers_ipv6(struct layers *p, __u8 proto, __u8 host)
{
	const __u8 header[40] = {0x60, 0,    0,    0,        p->size >> 8, p->size,     proto,
				 64,   0xfd, host, [23] = 1, [24] = 0xfd,  [25] = host, [39] = 2};

	layers_push(p, header, sizeof(header));
	p->ethertype = VNT_ETHERTYPE_IPV6;
}

static inline __u8 layers_proto(const struct layers *p)
{
	return p->ethertype == VNT_ETHERTYPE_IPV4 ? VNT_PROTO_IPV4 : VNT_PROTO_IPV6;
}

static inline void layers_ethernet(struct layers *p)
{
	const __u8 header[14] = {2,           0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, p->ethertype >> 8,
				 p->ethertype};

	layers_push(p, header, sizeof(header));
	p->ethertype = VNT_ETHERTYPE_ETHERNET;
}

static inline void layers_vxlan(struct layers *p, __u32 vni)
{
	const __u8 header[8] = {8, 0, 0, 0, vni >> 16, vni >> 8, vni, 0};

	layers_ethernet(p);
	layers_push(p, header, sizeof(header));
}

/* Carries what p->ethertype says, with `words` of options. */
static inline void layers_geneve(struct layers *p, __u32 vni, __u8 words)
{
	const __u8 header[8] = {words,    0,  p->ethertype >> 8, p->ethertype, vni >> 16,
				vni >> 8, vni};
	const __u8 option[4] = {1, 2, 3, 0};

	for (int i = 0; i < words; i++)
		layers_push(p, option, sizeof(option));
	layers_push(p, header, sizeof(header));
}

/* `flags`: 0x80 checksum, 0x20 key, 0x10 sequence number. */
static inline void layers_gre(struct layers *p, __u8 flags, __u32 key)
{
	const __u8 sequence[4] = {0, 0, 0, 7}, checksum[4] = {1, 2, 0, 0};
	const __u8 keys[4] = {key >> 24, key >> 16, key >> 8, key};
	const __u8 header[4] = {flags, 0, p->ethertype >> 8, p->ethertype};

	if (flags & 0x10)
		layers_push(p, sequence, sizeof(sequence));
	if (flags & 0x20)
		layers_push(p, keys, sizeof(keys));
	if (flags & 0x80)
		layers_push(p, checksum, sizeof(checksum));
	layers_push(p, header, sizeof(header));
}

static inline void layers_tag(struct layers *p, __u16 ethertype, __u16 tag)
{
	const __u8 header[4] = {0x60 | tag >> 8, tag, p->ethertype >> 8, p->ethertype};

	layers_push(p, header, sizeof(header));
	p->ethertype = ethertype;
}

static inline void layers_mpls(struct layers *p, __u32 label)
{
	const __u8 last = p->ethertype != VNT_ETHERTYPE_MPLS;
	const __u8 header[4] = {label >> 12, label >> 4, label << 4 | last, 64};

	layers_push(p, header, sizeof(header));
	p->ethertype = VNT_ETHERTYPE_MPLS;
}

#endif
