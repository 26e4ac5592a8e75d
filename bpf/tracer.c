// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"
#include "probes.skel.h"

struct mapping {
	void *data;
	size_t size;
};

struct tracer {
	struct probes_bpf *skeleton;
	struct bpf_program *programs[TRACER_PROGRAMS]; /* NULL where no probe needs one */
	struct bpf_link *links[TRACER_PROGRAMS];
	unsigned int cpus;
	uint32_t ring_slots;
	uint32_t count_stride;
	int stats_fd;
	struct mapping rings;
	struct mapping slots;
	struct mapping counts;
	uint64_t *positions; /* per CPU: next slot to read */
};

static const struct vnt_slot *cpu_slots(const struct tracer *tracer, unsigned int cpu)
{
	return (const struct vnt_slot *)tracer->slots.data + (size_t)cpu * tracer->ring_slots;
}

static struct vnt_ring *cpu_ring(const struct tracer *tracer, unsigned int cpu)
{
	return (struct vnt_ring *)tracer->rings.data + cpu;
}

unsigned int tracer_cpus(const struct tracer *tracer)
{
	return tracer->cpus;
}

uint64_t tracer_head(const struct tracer *tracer, unsigned int cpu)
{
	return __atomic_load_n(&cpu_ring(tracer, cpu)->head, __ATOMIC_ACQUIRE);
}

uint64_t tracer_position(const struct tracer *tracer, unsigned int cpu)
{
	return tracer->positions[cpu];
}

const struct vnt_slot *tracer_next(struct tracer *tracer, unsigned int cpu)
{
	const struct vnt_slot *slot =
		vnt_ring_peek(cpu_slots(tracer, cpu), tracer->ring_slots, tracer->positions[cpu]);

	if (slot)
		tracer->positions[cpu] += 1 + slot->follow;
	return slot;
}

const struct vnt_slot *tracer_slot(const struct tracer *tracer, unsigned int cpu, uint64_t position)
{
	return &cpu_slots(tracer, cpu)[position & (tracer->ring_slots - 1)];
}

void tracer_release(struct tracer *tracer, unsigned int cpu)
{
	vnt_ring_release(cpu_ring(tracer, cpu), tracer->positions[cpu]);
}

struct vnt_count tracer_count(const struct tracer *tracer, unsigned int cpu, unsigned int probe)
{
	const struct vnt_count *counts = tracer->counts.data;
	const struct vnt_count *count = &counts[vnt_count_index(cpu, tracer->count_stride, probe)];

	return (struct vnt_count){
		.dropped = __atomic_load_n(&count->dropped, __ATOMIC_RELAXED),
		.sampled = __atomic_load_n(&count->sampled, __ATOMIC_RELAXED),
		.sampled_bytes = __atomic_load_n(&count->sampled_bytes, __ATOMIC_RELAXED),
		.unread = __atomic_load_n(&count->unread, __ATOMIC_RELAXED),
	};
}

void tracer_sample(struct tracer *tracer, uint32_t threshold)
{
	__atomic_store_n(&tracer->skeleton->data->threshold, threshold, __ATOMIC_RELAXED);
}

int tracer_costs(const struct tracer *tracer, struct tracer_cost costs[TRACER_PROGRAMS])
{
	memset(costs, 0, TRACER_PROGRAMS * sizeof(*costs));
	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (!tracer->programs[i])
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(tracer->programs[i]), &info, &size))
			return -errno;
		costs[i] = (struct tracer_cost){
			.runs = info.run_cnt,
			.run_ns = info.run_time_ns,
			.missed = info.recursion_misses,
		};
	}
	return 0;
}

int tracer_program_fd(const struct tracer *tracer, enum tracer_program program)
{
	return bpf_program__fd(tracer->programs[program]);
}

static int map_into(struct mapping *mapping, struct bpf_map *map, int protection)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *data;

	size = (size + page - 1) / page * page;
	data = mmap(NULL, size, protection, MAP_SHARED, bpf_map__fd(map), 0);
	if (data == MAP_FAILED)
		return -errno;
	mapping->data = data;
	mapping->size = size;
	return 0;
}

static int map_rings(struct tracer *tracer)
{
	struct probes_bpf *skeleton = tracer->skeleton;
	int err;

	err = map_into(&tracer->rings, skeleton->maps.rings, PROT_READ | PROT_WRITE);
	if (!err)
		err = map_into(&tracer->slots, skeleton->maps.slots, PROT_READ);
	if (!err)
		err = map_into(&tracer->counts, skeleton->maps.counts, PROT_READ);
	return err;
}

static int fill_devices(struct tracer *tracer, const struct devtable *table)
{
	int fd = bpf_map__fd(tracer->skeleton->maps.devices);

	for (__u32 i = 0; i < table->size; i++)
		if (table->entries[i].device.ifindex &&
		    bpf_map_update_elem(fd, &i, &table->entries[i], BPF_ANY))
			return -errno;
	return 0;
}

static int fail(int err, char *reason, const char *what)
{
	snprintf(reason, TRACER_REASON_MAX, "cannot %s: %s", what, strerror(-err));
	return err;
}

static int attach(struct tracer *tracer, char *reason)
{
	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		if (!tracer->programs[i])
			continue;
		tracer->links[i] = bpf_program__attach_trace(tracer->programs[i]);
		if (!tracer->links[i])
			return fail(-errno, reason, "attach to the tracepoints");
	}
	return 0;
}

/* Loads the programs, and gives them all they need to run. */
static int prepare(struct tracer *tracer, const struct tracer_options *options,
		   const struct devtable *table, char *reason)
{
	int err = load_probes(&tracer->skeleton, tracer->programs, options, table, tracer->cpus,
			      reason);

	if (err)
		return err;
	err = map_rings(tracer);
	if (err)
		return fail(err, reason, "map the event rings");
	err = fill_devices(tracer, table);
	if (err)
		return fail(err, reason, "tell the programs the devices");
	if (options->measure) /* optional: where it is refused, the cost is not known, that is all */
		tracer->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return 0;
}

int tracer_open(struct tracer **tracer, const struct tracer_options *options, char *reason)
{
	struct tracer *self = calloc(1, sizeof(*self));
	int cpus = libbpf_num_possible_cpus();
	struct devtable table;
	int err;

	*tracer = NULL;
	if (!self)
		return fail(-ENOMEM, reason, "set up tracing");
	self->stats_fd = -1;
	self->ring_slots = options->ring_slots;
	self->count_stride = vnt_count_stride(options->nprobes);
	err = devtable_build(&table, options->probes, options->nprobes);
	if (err || cpus < 0) {
		err = fail(err ? err : cpus, reason, "set up tracing");
		goto out;
	}
	self->cpus = cpus;
	self->positions = calloc(self->cpus, sizeof(*self->positions));
	err = self->positions ? prepare(self, options, &table, reason)
			      : fail(-ENOMEM, reason, "set up tracing");
	if (err)
		goto out;
	if (!options->unattached)
		err = attach(self, reason);
out:
	devtable_release(&table);
	if (err) {
		tracer_close(self);
		return err;
	}
	*tracer = self;
	return 0;
}

static void unmap(struct mapping *mapping)
{
	if (mapping->data)
		munmap(mapping->data, mapping->size);
}

void tracer_detach(struct tracer *tracer)
{
	for (int i = 0; i < TRACER_PROGRAMS; i++) {
		bpf_link__destroy(tracer->links[i]);
		tracer->links[i] = NULL;
	}
}

void tracer_close(struct tracer *tracer)
{
	if (!tracer)
		return;
	tracer_detach(tracer);
	unmap(&tracer->rings);
	unmap(&tracer->slots);
	unmap(&tracer->counts);
	if (tracer->stats_fd >= 0)
		close(tracer->stats_fd);
	probes_bpf__destroy(tracer->skeleton);
	free(tracer->positions);
	free(tracer);
}
