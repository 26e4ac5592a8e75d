// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "topology.h"

/* In place of a parent: */
#define STRANGER (UINT32_MAX - 1) /* no medium tells */
#define ECHO     (UINT32_MAX - 2) /* none: the host hears what it sent itself */
/* In place of a lesson: */
#define NOTHING   UINT32_MAX
#define UNDECIDED (UINT32_MAX - 1) /* not the same from all packets */

/* Of a probe. Numbers are those of the media, but different for every kernel. */
struct place {
	uint64_t kernel;
	uint64_t host;   /* network namespace */
	uint64_t device; /* 0 if none */
	uint64_t from;
	uint64_t to;
	bool rx;
	bool tx;
	bool open;       /* may have handed the packet to where no probe says so */
	uint32_t next;   /* with the same `to`, or MAP_NONE */
	uint32_t lesson; /* the probe before it where no medium tells */
	/* Of the packet at hand: */
	uint32_t sighting; /* if `packet` is its number */
	uint32_t packet;
	uint32_t search;   /* the last one that came by */
	uint32_t searched; /* ... and the last one of what has this `to` */
};

struct topology {
	struct place *places;
	size_t nplaces;
	struct map senders;    /* medium -> the last place with that `to` */
	struct map receivers;  /* medium -> a place with that `from` */
	struct map hosts_sent; /* hosts with a probe where packets leave */
	bool blank;            /* no probe says which direction it looks in */
	uint32_t packet;
	uint32_t search;
	uint32_t lessons;
	uint64_t *media; /* queue of a search: at most one for each place, and the first */
	uint64_t *ends;  /* ... and the device that each leads to */
};

/* The packet at hand. */
struct packet {
	struct topology *topology;
	const uint16_t *probes;
	size_t n;
	uint32_t *parents;
};

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 1;

	for (; *text; text++)
		hash = map_hash(hash, (uint8_t)*text);
	return hash;
}

static uint64_t medium_of(uint64_t kernel, uint64_t medium)
{
	return medium > MEDIUM_OUTSIDE ? map_hash(kernel, medium) | 2 : medium;
}

static void place_init(struct place *place, const struct trace_info *info, size_t probe)
{
	const struct probe *row = &info->probes[probe];
	const struct domain *domain = &info->domains[row->domain];

	place->kernel = *domain->boot_id ? hash_text(domain->boot_id) : row->domain;
	place->host = map_hash(place->kernel, row->netns);
	place->device = row->ifindex ? map_hash(place->host, row->ifindex) : 0;
	place->from = medium_of(place->kernel, row->from);
	place->to = medium_of(place->kernel, row->to);
	place->rx = row->direction == DIRECTION_RX;
	place->tx = row->direction == DIRECTION_TX;
	place->next = MAP_NONE;
	place->lesson = NOTHING;
}

static int map_note(struct map *map, uint64_t key, uint32_t value)
{
	return map_find(map, key) == MAP_NONE ? map_add(map, key, value) : 0;
}

static int topology_note(struct topology *topology, uint32_t index)
{
	struct place *place = &topology->places[index];
	uint32_t before = map_find(&topology->senders, place->to);
	int err = 0;

	if (place->to > MEDIUM_OUTSIDE && before == MAP_NONE) {
		err = map_add(&topology->senders, place->to, index);
	} else if (place->to > MEDIUM_OUTSIDE) { /* behind the one that the map has */
		place->next = topology->places[before].next;
		topology->places[before].next = index;
	}
	if (!err && place->from > MEDIUM_OUTSIDE)
		err = map_note(&topology->receivers, place->from, index);
	if (!err && place->tx)
		err = map_note(&topology->hosts_sent, place->host, index);
	topology->blank &= !place->rx && !place->tx;
	return err;
}

static bool place_is_open(const struct topology *topology, const struct place *place)
{
	if (place->rx)
		return map_find(&topology->hosts_sent, place->host) == MAP_NONE;
	return place->to <= MEDIUM_OUTSIDE || map_find(&topology->receivers, place->to) == MAP_NONE;
}

int topology_open(struct topology **topology, const struct trace_info *info)
{
	struct topology *t = calloc(1, sizeof(*t));
	int err = 0;

	*topology = NULL;
	if (!t)
		return -ENOMEM;
	t->nplaces = info->nprobes;
	t->blank = true;
	t->places = calloc(info->nprobes + 1, sizeof(*t->places));
	t->media = calloc(info->nprobes + 1, sizeof(*t->media));
	t->ends = calloc(info->nprobes + 1, sizeof(*t->ends));
	if (!t->places || !t->media || !t->ends)
		err = -ENOMEM;
	for (size_t i = 0; i < info->nprobes && !err; i++) {
		place_init(&t->places[i], info, i);
		err = topology_note(t, i);
	}
	if (err) {
		topology_close(t);
		return err;
	}
	for (size_t i = 0; i < info->nprobes; i++)
		t->places[i].open = place_is_open(t, &t->places[i]);
	*topology = t;
	return 0;
}

static struct place *packet_place(const struct packet *packet, size_t sighting)
{
	return &packet->topology->places[packet->probes[sighting]];
}

/* The last sighting before `until` that the medium took the packet from, but not from the device that it
 * leads to; NO_PARENT. Places that did not see the packet are put behind the `*count` in the queue. */
static uint32_t search_medium(const struct packet *packet, size_t at, uint32_t until, size_t *count)
{
	struct topology *topology = packet->topology;
	uint32_t first = map_find(&topology->senders, topology->media[at]);
	uint32_t best = NO_PARENT;

	if (first == MAP_NONE || topology->places[first].searched == topology->search)
		return NO_PARENT;
	topology->places[first].searched = topology->search;
	for (uint32_t i = first; i != MAP_NONE; i = topology->places[i].next) {
		struct place *place = &topology->places[i];

		if (place->device == topology->ends[at])
			continue;
		if (place->packet == topology->packet) {
			if (place->sighting < until &&
			    (best == NO_PARENT || place->sighting > best))
				best = place->sighting;
		} else if (place->search != topology->search) {
			place->search = topology->search;
			topology->media[*count] = place->from;
			topology->ends[*count] = place->device;
			++*count;
		}
	}
	return best;
}

/* The last sighting before at the same place: more than one recording may look there. */
static uint32_t find_twin(const struct packet *packet, uint32_t sighting)
{
	const struct place *place = packet_place(packet, sighting);

	for (uint32_t i = sighting; i-- > 0;) {
		const struct place *other = packet_place(packet, i);

		if (other->device == place->device && other->rx == place->rx)
			return i;
	}
	return NO_PARENT;
}

/* The sighting that lies nearest before it, across media and probes that did not see the packet. */
static uint32_t search(const struct packet *packet, uint32_t sighting)
{
	const struct place *place = packet_place(packet, sighting);
	struct topology *topology = packet->topology;
	uint32_t found = NO_PARENT;
	size_t count = 1;

	topology->search++;
	topology->media[0] = place->from;
	topology->ends[0] = place->device;
	for (size_t at = 0; at < count && found == NO_PARENT; at++)
		found = search_medium(packet, at, sighting, &count);
	return found;
}

/* Was what was sent there also handed back to the host? Nobody has sent it over the wire. */
static bool is_echo(const struct packet *packet, uint32_t sighting)
{
	const struct place *place = packet_place(packet, sighting);

	if (!place->rx || map_find(&packet->topology->senders, place->from) == MAP_NONE)
		return false;
	for (size_t i = 0; i < packet->n; i++) {
		const struct place *other = packet_place(packet, i);

		if (other->tx && other->device == place->device)
			return true;
	}
	return false;
}

/* The last sighting before in the same host that has not left it; STRANGER. */
static uint32_t find_in_host(const struct packet *packet, uint32_t sighting)
{
	const struct place *place = packet_place(packet, sighting);

	for (uint32_t i = sighting; i-- > 0;) {
		const struct place *other = packet_place(packet, i);
		bool left = other->tx && other->to != MEDIUM_UNKNOWN;

		if (other->host == place->host && (other->rx || other->tx) && !left &&
		    packet->parents[i] != ECHO)
			return i;
	}
	return STRANGER;
}

/* By what is known for sure, and within a host. */
static uint32_t known_parent(const struct packet *packet, uint32_t sighting)
{
	const struct place *place = packet_place(packet, sighting);
	uint32_t found = NO_PARENT;

	if (!place->rx && !place->tx)
		return STRANGER;
	found = find_twin(packet, sighting);
	if (found == NO_PARENT)
		found = search(packet, sighting);
	if (found != NO_PARENT)
		return found;
	if (is_echo(packet, sighting))
		return ECHO;
	return place->tx || place->from == MEDIUM_UNKNOWN ? find_in_host(packet, sighting)
							  : STRANGER;
}

/* Is the order of time one in which everything follows the sighting before it? */
static bool is_chain(const struct packet *packet)
{
	bool open = false; /* any before the last */

	if (packet->parents[0] == ECHO)
		return packet->n == 1;
	for (uint32_t i = 1; i < packet->n; i++) {
		const struct place *before = packet_place(packet, i - 1);

		if (packet->parents[i] == STRANGER ? open && !before->open
						   : packet->parents[i] != i - 1)
			return false;
		open |= before->open;
	}
	return true;
}

/* What is the parent of which in a packet that has not branched is so in those that have. */
static void learn(const struct packet *packet)
{
	for (uint32_t i = 1; i < packet->n; i++) {
		struct place *place = packet_place(packet, i);
		uint32_t before = packet->probes[i - 1];

		if (packet->parents[i] != STRANGER)
			continue;
		packet->parents[i] = i - 1;
		if (place->lesson == before || place->lesson == UNDECIDED ||
		    !(packet_place(packet, i - 1)->open || place->from == MEDIUM_UNKNOWN))
			continue;
		place->lesson = place->lesson == NOTHING ? before : UNDECIDED;
		packet->topology->lessons++;
	}
}

static bool is_below(const struct packet *packet, uint32_t sighting, uint32_t above)
{
	while (sighting > above && sighting < packet->n)
		sighting = packet->parents[sighting];
	return sighting == above;
}

static bool has_child(const struct packet *packet, uint32_t sighting)
{
	for (size_t i = 0; i < packet->n; i++)
		if (packet->parents[i] == sighting)
			return true;
	return false;
}

/* May the other one have handed the packet to it? Clocks of two kernels do not say which was first. */
static bool is_candidate(const struct packet *packet, uint32_t sighting, uint32_t other)
{
	const struct place *place = packet_place(packet, sighting);
	const struct place *before = packet_place(packet, other);

	if (!before->open || before->host == place->host || is_below(packet, other, sighting))
		return false;
	return other < sighting || before->kernel != place->kernel;
}

/* The only one that may be, best one that nothing follows yet; NO_PARENT: none or several. */
static uint32_t only_candidate(const struct packet *packet, uint32_t sighting)
{
	uint32_t found[2] = {NO_PARENT, NO_PARENT};
	size_t count[2] = {0};

	for (uint32_t i = 0; i < packet->n; i++) {
		bool busy;

		if (!is_candidate(packet, sighting, i))
			continue;
		busy = has_child(packet, i);
		found[busy] = i;
		count[busy]++;
	}
	if (count[0])
		return count[0] == 1 ? found[0] : NO_PARENT;
	return count[1] == 1 ? found[1] : NO_PARENT;
}

static uint32_t learnt_parent(const struct packet *packet, uint32_t sighting)
{
	const struct topology *topology = packet->topology;
	uint32_t lesson = packet_place(packet, sighting)->lesson;

	if (lesson >= topology->nplaces || topology->places[lesson].packet != topology->packet)
		return NO_PARENT;
	return topology->places[lesson].sighting;
}

/* Lessons first: they leave less to choose from. */
static void place_strangers(const struct packet *packet)
{
	static uint32_t (*const ways[])(const struct packet *packet, uint32_t sighting) = {
		learnt_parent, only_candidate, find_in_host};
	uint32_t first = 0;

	while (first < packet->n && packet->parents[first] == ECHO)
		first++;
	if (first < packet->n && packet->parents[first] == STRANGER)
		packet->parents[first] = NO_PARENT;
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		for (uint32_t i = 1; i < packet->n; i++) {
			uint32_t parent = packet->parents[i];

			if (parent == STRANGER)
				parent = ways[way](packet, i);
			if (parent < i)
				packet->parents[i] = parent;
		}
	}
}

/* Does each have a parent, or none for a reason? */
static bool settle(const struct packet *packet)
{
	for (uint32_t i = 0; i < packet->n; i++) {
		if (packet->parents[i] == STRANGER)
			return false;
		if (packet->parents[i] == ECHO)
			packet->parents[i] = NO_PARENT;
	}
	return true;
}

bool topology_parents(struct topology *topology, const uint16_t *probes, size_t n,
		      uint32_t *parents)
{
	const struct packet packet = {topology, probes, n, parents};

	topology->packet++;
	for (uint32_t i = 0; i < n; i++) {
		topology->places[probes[i]].packet = topology->packet;
		topology->places[probes[i]].sighting = i;
	}
	parents[0] = is_echo(&packet, 0) ? ECHO : NO_PARENT;
	for (uint32_t i = 1; i < n; i++)
		parents[i] = topology->blank ? i - 1 : known_parent(&packet, i);
	if (is_chain(&packet))
		learn(&packet);
	else
		place_strangers(&packet);
	return settle(&packet);
}

uint32_t topology_lessons(const struct topology *topology)
{
	return topology->lessons;
}

void topology_close(struct topology *topology)
{
	if (!topology)
		return;
	map_release(&topology->senders);
	map_release(&topology->receivers);
	map_release(&topology->hosts_sent);
	free(topology->places);
	free(topology->media);
	free(topology->ends);
	free(topology);
}
