// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ten million different packets, no two of one ID. Of each kind some are random and others differ in as
 * little as packets do that follow one another: what a hash that is too weak maps to one value.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/lib/layers.h"
#include "tests/lib/look.h"

struct id {
	uint64_t flow;
	uint64_t key;
};

static uint32_t get(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* Adds to the big-endian word. */
static void add_to(struct layers *p, size_t offset, uint32_t value)
{
	uint8_t *at = p->bytes + p->at + offset;
	const uint32_t sum = get(at) + value;

	at[0] = sum >> 24;
	at[1] = sum >> 16;
	at[2] = sum >> 8;
	at[3] = sum;
}

/* What follows makes the nth packet of a kind out of the first one: another one for each n below 2^24. */
static void count_payload(struct layers *p, uint32_t n)
{
	add_to(p, p->size - 4, n);
}

static void count_ip_id_and_payload(struct layers *p, uint32_t n)
{
	add_to(p, 4, n << 16);
	add_to(p, p->size - 4, n >> 16);
}

static void grid_of_ipv4_flows(struct layers *p, uint32_t n)
{
	add_to(p, 12, n & 0x3f);               /* source address */
	add_to(p, 16, (n >> 6 & 0x3f) << 8);   /* destination address */
	add_to(p, 20, (n >> 12 & 0x3f) << 16); /* source port */
	add_to(p, 20, n >> 18 & 0x3f);         /* destination port */
}

static void grid_of_ipv6_flows(struct layers *p, uint32_t n)
{
	add_to(p, 8, (n & 0xff) << 24);       /* highest byte of the source address */
	add_to(p, 20, n >> 8 & 0xff);         /* and lowest */
	add_to(p, 24, (n >> 16 & 0xf) << 28); /* of the destination address */
	add_to(p, 40, (n >> 20 & 0xf) << 16); /* source port */
}

static void scattered_flows(struct layers *p, uint32_t n)
{
	const uint64_t random = (n + 1) * 0x9e3779b97f4a7c15ull;

	add_to(p, 12, random >> 32);
	add_to(p, 16, n);
	add_to(p, 20, random);
}

static void segments_in_a_row(struct layers *p, uint32_t n)
{
	add_to(p, 4, n << 16);
	add_to(p, 24, n * 1448);
}

static void acknowledgements_in_a_row(struct layers *p, uint32_t n)
{
	add_to(p, 28, n * 1448);
	add_to(p, 34, n << 16); /* window */
}

static void pings(struct layers *p, uint32_t n)
{
	add_to(p, 24, n); /* identifier and sequence number */
}

static void make_udp4(struct layers *p, uint8_t host)
{
	layers_payload(p, 1, 24);
	layers_udp(p, 5000, 5001);
	layers_ipv4(p, VNT_PROTO_UDP, host);
}

static void make_udp6(struct layers *p, uint8_t host)
{
	layers_payload(p, 1, 24);
	layers_udp(p, 5000, 5001);
	layers_ipv6(p, VNT_PROTO_UDP, host);
}

static void make_tcp4(struct layers *p, uint8_t host)
{
	layers_payload(p, 1, 1448);
	layers_tcp(p, 1);
	layers_ipv4(p, VNT_PROTO_TCP, host);
}

static void make_ack4(struct layers *p, uint8_t host)
{
	layers_payload(p, 1, 0);
	layers_tcp(p, 1);
	layers_ipv4(p, VNT_PROTO_TCP, host);
}

static void make_ping(struct layers *p, uint8_t host)
{
	layers_payload(p, 1, 56);
	layers_push(p, (const uint8_t[8]){8, 0, 0x12, 0x34}, 8);
	layers_ipv4(p, VNT_PROTO_ICMP, host);
}

static const struct kind {
	void (*make)(struct layers *p, uint8_t host);
	void (*change)(struct layers *p, uint32_t n);
} kinds[] = {
	{make_udp4, count_payload},      {make_udp4, count_ip_id_and_payload},
	{make_udp4, grid_of_ipv4_flows}, {make_udp4, scattered_flows},
	{make_udp6, grid_of_ipv6_flows}, {make_tcp4, segments_in_a_row},
	{make_tcp4, grid_of_ipv4_flows}, {make_ack4, acknowledgements_in_a_row},
	{make_ack4, scattered_flows},    {make_ping, pings},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

#ifdef __SANITIZE_ADDRESS__
#define EACH 100000
#else
#define EACH 1000000
#endif

static struct id id_of(struct layers *packet, const struct vnt_ports *ports)
{
	struct look look = {};

	look_at(&look, packet->bytes + packet->at, packet->size, packet->size, packet->ethertype,
		ports);
	return (struct id){look.packet.flow, look.packet.key};
}

static int compare(const void *left, const void *right)
{
	const struct id *a = left, *b = right;

	if (a->flow != b->flow)
		return a->flow > b->flow ? 1 : -1;
	return (a->key > b->key) - (a->key < b->key);
}

static void make_ids(const struct kind *kind, struct id *ids, size_t count)
{
	struct layers first, packet;
	struct vnt_ports ports;

	vnt_ports_set(&ports, NULL, 0);
	kind->make(&first, kind - kinds);
	for (size_t n = 0; n < count; n++) {
		packet = first;
		kind->change(&packet, n);
		ids[n] = id_of(&packet, &ports);
	}
}

Test(collisions, of_ten_million_packets_no_two_have_one_id, .timeout = 300)
{
	struct id *ids = malloc(KINDS * EACH * sizeof(*ids));
	size_t equal = 0;

	cr_assert_not_null(ids);
	for (size_t i = 0; i < KINDS; i++)
		make_ids(&kinds[i], ids + i * EACH, EACH);
	qsort(ids, KINDS * EACH, sizeof(*ids), compare);
	for (size_t i = 1; i < KINDS * EACH; i++)
		equal += !compare(&ids[i - 1], &ids[i]);
	cr_assert_eq(equal, 0, "%zu pairs of packets have the same ID", equal);
	free(ids);
}
