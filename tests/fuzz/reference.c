// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "reference.h"

#define VIEW    128u /* bytes that a probe copies */
#define DIGEST  32u
#define OPTIONS 4 /* extension headers */

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

struct carried {
	uint32_t offset;
	uint32_t end; /* of what carries it; 0: not known */
	uint32_t ethertype;
};

static bool is_extension(unsigned int proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60;
}

static bool is_vxlan(uint32_t port, const struct vnt_ports *ports)
{
	for (int i = 0; i < VNT_VXLAN_PORTS_MAX; i++)
		if (ports->vxlan[i] == port)
			return true;
	return false;
}

static bool in_udp(const uint8_t *udp, uint32_t at, const struct vnt_ports *ports,
		   struct carried *carried)
{
	if (is_vxlan(get16(udp + 2), ports)) {
		carried->offset = at + 16;
		carried->ethertype = 0x6558;
		return (udp[8] & 0x0c) == 0x08;
	}
	carried->offset = at + 16 + (udp[8] & 0x3f) * 4;
	carried->ethertype = get16(udp + 10);
	return get16(udp + 2) == 6081 && udp[8] >> 6 == 0;
}

static bool in_gre(const uint8_t *gre, uint32_t at, struct carried *carried)
{
	carried->offset = at + 4;
	for (unsigned int field = 0x80; field >= 0x10; field >>= 1)
		if (field != 0x40 && gre[0] & field)
			carried->offset += 4;
	carried->ethertype = get16(gre + 2);
	return !(gre[0] & 0x40) && !(gre[1] & 7);
}

static bool in_transport(const struct reference *r, unsigned int proto, uint32_t at,
			 const struct vnt_ports *ports, struct carried *carried)
{
	static const uint16_t known[] = {0x0800, 0x86dd, 0x6558, 0x8100, 0x88a8, 0x8847, 0x8848};
	bool found = false;

	if (at + 16 > least(r->linear, VIEW))
		return false;
	carried->offset = at;
	carried->ethertype = proto == 4 ? 0x0800 : 0x86dd;
	if (proto == 17)
		found = in_udp(r->bytes + at, at, ports, carried);
	else if (proto == 47)
		found = in_gre(r->bytes + at, at, carried);
	else if (proto == 4 || proto == 41)
		found = true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (found && carried->ethertype == known[i])
			return true;
	return false;
}

static bool in_ipv4(const struct reference *r, const struct vnt_ports *ports,
		    struct carried *carried)
{
	uint32_t at = (r->bytes[0] & 0xf) * 4;

	carried->end = get16(r->bytes + 2);
	return at >= 20 && !(get16(r->bytes + 6) & 0x3fff) &&
	       in_transport(r, r->bytes[9], at, ports, carried);
}

static bool in_ipv6(const struct reference *r, const struct vnt_ports *ports,
		    struct carried *carried)
{
	unsigned int proto = r->bytes[6];
	uint32_t at = 40;

	carried->end = get16(r->bytes + 4) ? get16(r->bytes + 4) + 40 : 0;
	for (int i = 0; i < OPTIONS && is_extension(proto) && proto != 44; i++) {
		const uint8_t *header = r->bytes + at;

		if (at + 8 > least(r->linear, VIEW))
			break;
		at += proto == 51 ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		proto = header[0];
	}
	return in_transport(r, proto, at, ports, carried);
}

static uint32_t type_of_frame(uint32_t type)
{
	return type < 0x600 ? 4 : type;
}

static bool in_label(const struct reference *r, struct carried *carried)
{
	if (r->linear < 8)
		return false;
	carried->offset = 4;
	carried->ethertype = r->ethertype;
	if (!(r->bytes[2] & 1))
		return true;
	carried->ethertype = r->bytes[4] >> 4 == 4 ? 0x0800 : 0x86dd;
	return r->bytes[4] >> 4 == 4 || r->bytes[4] >> 4 == 6;
}

static bool find_carried(const struct reference *r, const struct vnt_ports *ports,
			 struct carried *carried)
{
	bool found = false;

	*carried = (struct carried){0};
	if (r->ethertype == 0x0800 && r->linear >= 20)
		found = in_ipv4(r, ports, carried);
	else if (r->ethertype == 0x86dd && r->linear >= 40)
		found = in_ipv6(r, ports, carried);
	else if (r->ethertype == 0x8847 || r->ethertype == 0x8848)
		found = in_label(r, carried);
	if ((r->ethertype == 0x8100 || r->ethertype == 0x88a8) && r->linear >= 4) {
		carried->offset = 4;
		carried->ethertype = type_of_frame(get16(r->bytes + 2));
		return true;
	}
	if (found && carried->ethertype == 0x6558) {
		if (r->linear < carried->offset + 16)
			return false;
		carried->ethertype = type_of_frame(get16(r->bytes + carried->offset + 12));
		carried->offset += 14;
	}
	return found;
}

static bool is_sound(const struct reference *r)
{
	if (r->ethertype == 0x0800)
		return r->linear >= 20 && r->bytes[0] >= 0x45 && r->bytes[0] <= 0x4f;
	if (r->ethertype == 0x86dd)
		return r->linear >= 40 && r->bytes[0] >> 4 == 6;
	return r->linear >= 4;
}

static void go_inside(struct reference *r, const struct vnt_ports *ports)
{
	struct carried carried;

	while (r->tunnels < VNT_LAYERS_MAX && find_carried(r, ports, &carried)) {
		struct reference inner = *r;

		if (carried.end && carried.end < inner.length)
			inner.length = carried.end;
		inner.linear = least(inner.linear, inner.length);
		if (inner.linear < carried.offset)
			return;
		inner.bytes += carried.offset;
		inner.linear -= carried.offset;
		inner.length -= carried.offset;
		inner.ethertype = carried.ethertype;
		inner.tunnels++;
		if (!is_sound(&inner))
			return;
		*r = inner;
	}
}

static void say(struct reference *r, const void *bytes, uint32_t size)
{
	memcpy(r->name + r->size, bytes, size);
	r->size += size;
}

static void say_number(struct reference *r, uint64_t number)
{
	say(r, &number, sizeof(number));
}

/* At most DIGEST of the bytes from `at` on that are in reach. */
static void say_bytes(struct reference *r, uint32_t at, uint32_t count)
{
	uint32_t reach = least(r->linear, VIEW);

	count = least(count, DIGEST);
	count = at < reach ? least(count, reach - at) : 0;
	say_number(r, count);
	say(r, r->bytes + at, count);
}

static void say_tcp(struct reference *r, uint64_t id, uint32_t at, uint32_t end)
{
	const uint8_t *tcp = r->bytes + at;
	uint32_t header = (tcp[12] >> 4) * 4, reach = least(r->linear, VIEW);
	bool timed = header >= 32 && at + 28 <= reach && get32(tcp + 20) == 0x0101080a;
	bool stamped = header >= 28 && at + header <= reach &&
		       get32(tcp + header - 8) == 0xfd08564e;
	uint32_t number = (id & 0xffff) << 16 | (timed ? get16(tcp + 26) : 0);

	if (stamped)
		number = get32(tcp + header - 4);
	if (end > at + header && !(tcp[13] & 2)) {
		r->size -= 2 * sizeof(uint64_t); /* the length is not part of the name */
		say_number(r, number);
		say(r, tcp + 4, 4);
		return;
	}
	say_number(r, stamped ? number : UINT64_MAX);
	say(r, tcp + 4, 12);
	say_bytes(r, at + 20, header > 20 ? header - 20 : 0);
}

/* The number of the stamp is part of the name, and its bytes are not part of the datagram. */
static uint32_t say_stamp(struct reference *r, uint32_t at, uint32_t rest)
{
	uint32_t length = get16(r->bytes + at + 4), option = at + length + 2 + length % 2;

	if (length < 8 || length + 12 != rest)
		return rest;
	r->unread = option + 8 > r->linear;
	if (!r->unread && get32(r->bytes + option) == 0x7f08564e)
		say_number(r, get32(r->bytes + option + 4));
	return length;
}

static bool has_identifier(unsigned int proto, unsigned int type)
{
	static const uint8_t types[] = {0, 8, 13, 14, 15, 16, 17, 18};

	if (proto == 58)
		return type == 128 || type == 129;
	return proto == 1 && memchr(types, (int)type, sizeof(types));
}

static void say_transport(struct reference *r, unsigned int proto, uint64_t id, bool later,
			  uint32_t at, uint32_t end)
{
	static const uint8_t none[4] = {0};
	bool ports = proto == 6 || proto == 17 || proto == 132 || proto == 136;
	uint32_t rest = end > at ? end - at : 0, reach = least(r->linear, VIEW);
	bool bare = later || rest < 8 || at + 8 > reach, udp = proto == 17 || proto == 136;
	const uint8_t *header = r->bytes + at;
	bool asked = at + 8 <= reach && has_identifier(proto, header[0]);

	if (bare)
		ports = asked = false;
	if (asked)
		say(r, header + 4, 2);
	say(r, ports ? header : none, asked ? 2 : 4);
	if (ports && proto == 17 && !r->fragment)
		rest = say_stamp(r, at, rest);
	say_number(r, 2 * later + bare);
	say_number(r, id);
	say_number(r, bare ? rest : udp ? get16(header + 4) : 0);
	if (bare) {
		say_bytes(r, at, rest);
	} else if (proto == 6 && rest >= 20 && at + 20 <= reach) {
		say_tcp(r, id, at, end);
	} else if (udp) {
		say_bytes(r, at + 8, rest - 8);
	} else {
		if (!ports)
			say(r, header, proto == 1 || proto == 58 ? 2 : 4);
		say(r, header + (asked ? 6 : 4), asked ? 2 : 4);
		say_bytes(r, at + 12, rest > 12 ? rest - 12 : 0);
	}
}

static void say_ipv4(struct reference *r)
{
	uint32_t at = (r->bytes[0] & 0xf) * 4, end = get16(r->bytes + 2);
	uint64_t id = get16(r->bytes + 4);
	bool later = get16(r->bytes + 6) & 0x1fff;

	r->fragment = get16(r->bytes + 6) & 0x3fff;
	say(r, r->bytes + 9, 1);
	say(r, r->bytes + 12, 8);
	if (later)
		id = id << 16 | (get16(r->bytes + 6) & 0x3fff);
	if (at)
		say_transport(r, r->bytes[9], id, later, at, end ? end : r->length);
	else
		say_bytes(r, 0, 28);
}

static void say_ipv6(struct reference *r)
{
	uint32_t at = 40, end = get16(r->bytes + 4) ? get16(r->bytes + 4) + 40 : r->length;
	unsigned int proto = r->bytes[6];
	bool later = false;
	uint64_t id = 0;

	for (int i = 0; i < OPTIONS && is_extension(proto); i++) {
		const uint8_t *header = r->bytes + at;

		if (at + 8 > least(r->linear, VIEW))
			break;
		if (proto == 44) {
			r->fragment |= get16(header + 2) & 0xfff9;
			if (get16(header + 2) & 0xfff8) {
				id = (uint64_t)get32(header + 4) << 16 |
				     (get16(header + 2) & 0xfff9);
				later = true;
			}
			at += 8;
		} else {
			at += proto == 51 ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		}
		proto = header[0];
	}
	say(r, &(uint8_t){proto}, 1);
	say(r, r->bytes + 8, 32);
	say_transport(r, proto, id, later, at, end);
}

void reference_parse(struct reference *reference, const uint8_t *bytes, uint32_t linear,
		     uint32_t length, uint32_t ethertype, const struct vnt_ports *ports)
{
	*reference = (struct reference){
		.bytes = bytes, .linear = linear, .length = length, .ethertype = ethertype};
	go_inside(reference, ports);
	say_number(reference, reference->ethertype);
	if (reference->ethertype == 0x0800 && reference->linear >= 20)
		say_ipv4(reference);
	else if (reference->ethertype == 0x86dd && reference->linear >= 40)
		say_ipv6(reference);
	else
		say_bytes(reference, 0, 28);
}
