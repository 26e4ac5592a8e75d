// SPDX-License-Identifier: GPL-2.0-only
#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock_stage.h"
#include "lib/array.h"

#define JITTER_US 2.0
#define EARLY_NS  200000

enum {
	RX,
	TX,
	PROBES
};

/* splitmix64 */
uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

double uniform(struct stage *stage)
{
	return (double)((next_random(&stage->random) >> 11) + 1) / 9007199254740992.0;
}

double between(struct stage *stage, double from, double to)
{
	return from + (to - from) * uniform(stage);
}

static double exponential(struct stage *stage, double mean)
{
	return -mean * log(uniform(stage));
}

long double awake(const struct host *host, double true_ns)
{
	if (true_ns < host->slept_at_ns)
		return true_ns;
	return true_ns < host->slept_at_ns + host->sleep_ns ? host->slept_at_ns
							    : (long double)true_ns - host->sleep_ns;
}

long double raw_clock(const struct host *host, double true_ns)
{
	long double ns = awake(host, true_ns);
	long double wander =
		host->wander * host->period_ns / (2 * M_PI) *
		(cosl(host->phase) - cosl(host->phase + 2 * M_PI * ns / host->period_ns));

	return host->offset_ns + ns * (1 + (long double)host->drift) + wander +
	       fmaxl(ns - host->slept_at_ns, 0) * host->moved +
	       (true_ns >= host->step_at_ns ? host->step_ns : 0);
}

long double mono_clock(const struct host *host, double true_ns)
{
	long double ns = awake(host, true_ns);
	double slewed = fmin(fmax((double)ns - host->slew_from_ns, 0),
			     host->slew_to_ns - host->slew_from_ns);

	return raw_clock(host, true_ns) + ns * host->ntp + slewed * host->slew;
}

double jump_of(const struct scene *scene)
{
	return START_NS + scene->seconds * SECOND * (scene->jump_at > 0 ? scene->jump_at : 0.5);
}

struct vm_row vm_of(const struct stage *stage, size_t host, double true_ns)
{
	bool set = stage->scene->vms == VMS_CHANGED && true_ns >= jump_of(stage->scene);

	unsigned int bits = host % 2 ? 48 : 32; /* Intel, AMD */

	return (struct vm_row){
		.vm = (1000 + host) << 32 | 11,
		.offset = -(uint64_t)1e12 * (host + 1) + (set ? (uint64_t)5e11 : 0),
		.ratio = (1ull << bits) / 10 * (5 + host % 10),
		.fraction_bits = bits,
	};
}

uint64_t counter(const struct stage *stage, size_t host, double true_ns)
{
	const struct host *owner = &stage->hosts[stage->scene->vms_by];
	uint64_t count = (uint64_t)(2.5L * (raw_clock(owner, true_ns) - owner->offset_ns));
	struct vm_row vm = vm_of(stage, host, true_ns);

	if (host == stage->scene->vms_by)
		return count;
	return (uint64_t)((unsigned __int128)count * vm.ratio >> vm.fraction_bits) + vm.offset;
}

static uint64_t flow_of(size_t from, size_t to)
{
	return 1 + from * SCENE_HOSTS_MAX + to;
}

static void add_event(struct stage *stage, size_t host, double true_ns, int probe, uint64_t flow,
		      uint64_t key)
{
	struct host *at = &stage->hosts[host];
	long double time_ns = mono_clock(at, true_ns);

	if (true_ns >= at->slept_at_ns && true_ns < at->slept_at_ns + at->sleep_ns)
		return;
	if (host == 1 && (flow == flow_of(1, 2) || flow == flow_of(2, 1)))
		time_ns += stage->scene->liar_us * 1e3;
	if (flow < TICK_FLOW && uniform(stage) < stage->scene->early_odds)
		time_ns -= EARLY_NS;
	if (array_reserve(&at->events, &at->room, at->count + 1, sizeof(*at->events)))
		err(1, "event");
	at->events[at->count++] = (struct vnt_event){
		.time_ns = (uint64_t)llroundl(time_ns),
		.flow = flow,
		.key = key,
		.length = 100,
		.probe = probe,
	};
}

static double delay_us(struct stage *stage, const struct scene_way *way)
{
	double delay = way->base + exponential(stage, JITTER_US);

	if (way->never_idle)
		return delay + exponential(stage, way->queue / 2) +
		       exponential(stage, way->queue / 2);
	return delay + (uniform(stage) < way->queue_odds ? exponential(stage, way->queue) : 0);
}

static void send_packet(struct stage *stage, size_t from, size_t to, const struct scene_way *way,
			double sent_ns)
{
	double received_ns = sent_ns + delay_us(stage, way) * 1e3;
	uint64_t flow = flow_of(from, to), key = ++stage->packets;

	add_event(stage, from, sent_ns, TX, flow, key);
	add_event(stage, to, received_ns, RX, flow, key);
	if (!stage->scene->forwards)
		return;
	/* From 0 over 1 to 2, or back: host 1's other device has probes of its own. */
	sent_ns = received_ns + between(stage, 3e3, 9e3);
	received_ns = sent_ns + delay_us(stage, way) * 1e3;
	add_event(stage, to, sent_ns, PROBES + TX, flow, key);
	add_event(stage, from ? 0 : 2, received_ns, RX, flow, key);
}

static void send_all(struct stage *stage, size_t from, size_t to, const struct scene_way *way)
{
	double length = stage->scene->seconds * SECOND, at = 0;
	double first = length * way->from, last = way->to > 0 ? length * way->to : length;

	for (double i = 0; i < -way->rate; i++)
		send_packet(stage, from, to, way, START_NS + between(stage, first, last));
	while (way->rate > 0 && (at += exponential(stage, SECOND / way->rate)) < length)
		send_packet(stage, from, to, way, START_NS + at);
}

static void connect_hosts(struct stage *stage, size_t a, size_t b)
{
	struct scene_way forth = stage->scene->forth, back = stage->scene->back;
	uint64_t random = stage->random;

	/* A path's traffic is the same whatever other paths there are. */
	stage->random = random ^ (a * SCENE_HOSTS_MAX + b + 1) * 0xd1342543de82ef95;
	if (stage->scene->mixed) {
		forth.rate = back.rate = between(stage, 20, 1000);
		forth.queue_odds = between(stage, 0.3, 1);
		back.queue_odds = between(stage, 0.3, 1);
	}
	send_all(stage, a, b, &forth);
	send_all(stage, b, a, &back);
	stage->random = random;
}

struct edges {
	bool set[SCENE_HOSTS_MAX][SCENE_HOSTS_MAX];
};

/* In *tree the shortest way from host 0 to each. */
static void walk(const struct edges *edges, size_t hosts, struct edges *tree)
{
	size_t queue[SCENE_HOSTS_MAX] = {0}, end = 1;
	bool seen[SCENE_HOSTS_MAX] = {true};

	memset(tree, 0, sizeof(*tree));
	for (size_t at = 0; at < end; at++) {
		for (size_t i = 0; i < hosts; i++) {
			size_t a = queue[at] < i ? queue[at] : i;
			size_t b = queue[at] < i ? i : queue[at];

			if (seen[i] || !edges->set[a][b])
				continue;
			seen[i] = true;
			tree->set[a][b] = true;
			queue[end++] = i;
		}
	}
}

/* A random tree, so that all are connected, and of all pairs a random part. */
static void lay_mesh(struct stage *stage, struct edges *edges)
{
	const struct scene *scene = stage->scene;
	struct edges tree;

	for (size_t b = 1; b < scene->hosts; b++)
		edges->set[next_random(&stage->random) % b][b] = true;
	for (size_t a = 0; a < scene->hosts; a++)
		for (size_t b = a + 1; b < scene->hosts; b++)
			edges->set[a][b] |= uniform(stage) < scene->mesh;
	walk(edges, scene->hosts, &tree);
	if (scene->tree)
		*edges = tree;
}

static void make_traffic(struct stage *stage)
{
	const struct scene *scene = stage->scene;
	struct edges edges = {0};

	if (scene->forwards) {
		send_all(stage, 0, 1, &scene->forth);
		/* Packets of host 2 take the same way back. */
		send_all(stage, 2, 1, &scene->back);
		return;
	}
	for (size_t i = 1; i < scene->hosts && !(scene->mesh > 0); i++)
		edges.set[scene->apart ? i & ~1ul : 0][i] = true;
	if (scene->mesh > 0)
		lay_mesh(stage, &edges);
	for (size_t a = 0; a < scene->hosts; a++)
		for (size_t b = a + 1; b < scene->hosts; b++)
			if (edges.set[a][b])
				connect_hosts(stage, a, b);
}

static void make_ticks(struct stage *stage, size_t host)
{
	for (size_t i = 0; i < SCENE_TICKS; i++) {
		double *tick = &stage->ticks[host][i];

		*tick = START_NS +
			(i + uniform(stage)) * stage->scene->seconds * SECOND / SCENE_TICKS;
		add_event(stage, host, *tick, RX, TICK_FLOW + host, i);
	}
}

static void set_clock(struct stage *stage, size_t index)
{
	const struct scene *scene = stage->scene;
	double length = scene->seconds * SECOND;
	double jump = jump_of(scene);
	struct host *host = &stage->hosts[index];

	*host = (struct host){
		.offset_ns = between(stage, 1e12, 1e15),
		.drift = between(stage, 5, 50) * (uniform(stage) < 0.5 ? 1e-6 : -1e-6),
		.wander = scene->wander_ppm * 1e-6,
		.period_ns = between(stage, 250, 600) * SECOND,
		.phase = between(stage, 0, 2 * M_PI),
		.ntp = between(stage, -20e-6, 20e-6),
		.step_at_ns = INFINITY,
		.slept_at_ns = INFINITY,
	};
	host->slew_from_ns = START_NS + between(stage, 0.1, 0.8) * length;
	host->slew_to_ns = host->slew_from_ns + length / 6;
	if (index != 1)
		return;
	host->slew = scene->slew_ppm * 1e-6;
	if (scene->step_us != 0)
		host->step_at_ns = jump;
	host->step_ns = scene->step_us * 1e3;
	if (scene->sleep_s > 0)
		host->slept_at_ns = jump;
	host->sleep_ns = scene->sleep_s * SECOND;
	host->moved = scene->moved_ppm * 1e-6;
}

struct stage *set_stage(const struct scene *scene, uint64_t seed)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	if (!stage)
		err(1, "scene");
	stage->scene = scene;
	stage->random = seed;
	for (size_t i = 0; i < scene->hosts; i++)
		set_clock(stage, i);
	make_traffic(stage);
	for (size_t i = 0; i < scene->hosts; i++)
		make_ticks(stage, i);
	return stage;
}
