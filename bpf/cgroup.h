/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup.h - the cgroup v2 tree, wherever it is mounted. */
#ifndef VNT_CGROUP_H
#define VNT_CGROUP_H

/* Its root, as far as this process can see it: a descriptor, or -errno. Needs no mount if the process
 * may make one: "ip netns exec" hides those of /sys. */
int cgroup_open_root(void);

#endif
