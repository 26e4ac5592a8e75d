// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cgroup.h"
#include "load.h"
#include "netns.h"
#include "stamp.h"
#include "stamp.skel.h"

#define TCX_EGRESS ((enum bpf_attach_type)47) /* BPF_TCX_EGRESS of linux/bpf.h since Linux 6.6 */

/* Where tc has no links: by these a filter that was left behind is found again. */
#define TC_HANDLE   1
#define TC_PRIORITY 0x564e

struct place {
	const struct device *device;
	int link;         /* or -1 */
	uint32_t prog_id; /* of a filter without link, or 0 */
};

struct stamp {
	struct stamp_bpf *skeleton;
	struct bpf_link *connections;
	struct place *places;
	size_t nplaces;
};

static int fail(int err, char *reason, const char *what)
{
	snprintf(reason, TRACER_REASON_MAX, "cannot %s: %s", what, strerror(-err));
	return err;
}

static void describe(const struct place *place, struct bpf_tc_hook *hook, struct bpf_tc_opts *opts)
{
	*hook = (struct bpf_tc_hook){.sz = sizeof(*hook),
				     .ifindex = place->device->ifindex,
				     .attach_point = BPF_TC_EGRESS};
	*opts = (struct bpf_tc_opts){
		.sz = sizeof(*opts), .handle = TC_HANDLE, .priority = TC_PRIORITY};
}

/* Takes our filter away, if `prog_id` is 0 also one that another process left. */
static void detach_filter(const struct place *place, uint32_t prog_id)
{
	struct bpf_tc_opts opts;
	struct bpf_tc_hook hook;

	describe(place, &hook, &opts);
	if (bpf_tc_query(&hook, &opts) || (prog_id && opts.prog_id != prog_id))
		return;
	describe(place, &hook, &opts);
	bpf_tc_detach(&hook, &opts);
}

static int attach_filter(struct place *place, int program)
{
	struct bpf_tc_opts opts;
	struct bpf_tc_hook hook;
	int err;

	describe(place, &hook, &opts);
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	opts.prog_fd = program;
	err = bpf_tc_attach(&hook, &opts);
	if (!err)
		place->prog_id = opts.prog_id;
	return err;
}

/* In the namespace of the device. */
static int attach_here(struct place *place, int program, bool portable)
{
	detach_filter(place, 0);
	if (!portable) {
		place->link = bpf_link_create(program, place->device->ifindex, TCX_EGRESS, NULL);
		if (place->link >= 0 || errno != EINVAL)
			return place->link < 0 ? -errno : 0;
	}
	return attach_filter(place, program);
}

/* As netns_enter(); -ENOENT if the name means another namespace by now. */
static int enter(const struct place *place)
{
	uint32_t inode;
	int saved = netns_enter(place->device->netns, &inode);

	if (saved < 0 || inode == place->device->netns_inode)
		return saved;
	netns_leave(saved);
	return -ENOENT;
}

static int attach_device(struct place *place, int program, bool portable)
{
	int saved = enter(place), err;

	if (saved < 0)
		return saved;
	err = attach_here(place, program, portable);
	netns_leave(saved);
	return err;
}

static int attach_devices(struct stamp *stamp, const struct stamp_options *options, char *reason)
{
	int program = bpf_program__fd(stamp->skeleton->progs.stamp_udp);

	for (size_t i = 0; i < options->ndevices; i++) {
		const struct device *device = options->devices[i];
		struct place *place = &stamp->places[stamp->nplaces++];
		int err;

		*place = (struct place){.device = device, .link = -1};
		err = attach_device(place, program, options->portable);
		if (err) {
			snprintf(reason, TRACER_REASON_MAX, "cannot stamp UDP at '%s': %s",
				 device->name, strerror(-err));
			return err;
		}
	}
	return 0;
}

static int attach_connections(struct stamp *stamp, char *reason)
{
	int root = cgroup_open_root(), err = 0;

	if (root < 0)
		return fail(root, reason, "open the cgroup v2 tree");
	stamp->connections = bpf_program__attach_cgroup(stamp->skeleton->progs.stamp_tcp, root);
	if (!stamp->connections)
		err = fail(-errno, reason, "stamp TCP at the root of the cgroup v2 tree");
	close(root);
	return err;
}

static int attach(struct stamp *stamp, const struct stamp_options *options, char *reason)
{
	int err = 0;

	if (options->protocols & STAMP_TCP)
		err = attach_connections(stamp, reason);
	if (!err && options->protocols & STAMP_UDP)
		err = attach_devices(stamp, options, reason);
	return err;
}

static int fill_namespaces(struct stamp *stamp, const struct stamp_options *options)
{
	int fd = bpf_map__fd(stamp->skeleton->maps.namespaces);
	const __u8 present = 1;

	for (size_t i = 0; i < options->ndevices; i++)
		if (bpf_map_update_elem(fd, &options->devices[i]->netns_inode, &present, BPF_ANY))
			return -errno;
	return 0;
}

static int load_skeleton(struct stamp *stamp, const struct stamp_options *options)
{
	struct stamp_bpf *skeleton = stamp->skeleton = stamp_bpf__open();
	int err;

	if (!skeleton)
		return -errno;
	bpf_program__set_autoload(skeleton->progs.stamp_tcp, options->protocols & STAMP_TCP);
	bpf_program__set_autoload(skeleton->progs.stamp_udp, options->protocols & STAMP_UDP);
	err = bpf_map__set_max_entries(skeleton->maps.namespaces, options->ndevices);
	if (err)
		return err;
	if (getrandom(&skeleton->bss->next_id, sizeof(skeleton->bss->next_id), 0) < 0)
		return -errno;
	return stamp_bpf__load(skeleton);
}

static int load(struct stamp *stamp, const struct stamp_options *options)
{
	const struct tracer_options tracer = {.filter = options->filter,
					      .log = options->log,
					      .log_context = options->log_context};
	int err = load_begin(&tracer);

	if (!err)
		err = load_skeleton(stamp, options);
	load_end();
	return err;
}

int stamp_open(struct stamp **stamp, const struct stamp_options *options, char *reason)
{
	struct stamp *self = calloc(1, sizeof(*self));
	int err;

	*stamp = NULL;
	if (self)
		self->places = calloc(options->ndevices + 1, sizeof(*self->places));
	if (!self || !self->places) {
		free(self);
		return fail(-ENOMEM, reason, "stamp packets");
	}
	err = load(self, options);
	if (!err)
		err = fill_namespaces(self, options);
	if (err)
		fail(err, reason, "load the programs that stamp packets");
	else
		err = attach(self, options, reason);
	if (err) {
		stamp_close(self);
		return err;
	}
	*stamp = self;
	return 0;
}

/* A namespace that cannot be entered any more has no packets to stamp. */
static void detach_device(const struct place *place)
{
	int saved;

	if (place->link >= 0)
		close(place->link);
	saved = place->prog_id ? enter(place) : -1;
	if (saved < 0)
		return;
	detach_filter(place, place->prog_id);
	netns_leave(saved);
}

void stamp_close(struct stamp *stamp)
{
	if (!stamp)
		return;
	bpf_link__destroy(stamp->connections);
	for (size_t i = 0; i < stamp->nplaces; i++)
		detach_device(&stamp->places[i]);
	stamp_bpf__destroy(stamp->skeleton);
	free(stamp->places);
	free(stamp);
}
