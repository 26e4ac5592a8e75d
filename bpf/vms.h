/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vms.h - what KVM says of the time stamp counters of the virtual machines on this host.
 *
 * In debugfs each machine has a folder PROCESS-DESCRIPTOR, with one of each of its CPUs (Linux:
 * arch/x86/kvm/debugfs.c). Without that nothing is found, and nothing is wrong.
 */
#ifndef VNT_VMS_H
#define VNT_VMS_H

#include "lib/trace.h"

#define VMS_FOLDER "/sys/kernel/debug/kvm"

/* All zero has no machines. */
struct vms {
	struct vm_row *rows;
	size_t count;
	size_t room;
};

/* Finds all of now, in place of those before; domain and times are left 0. 0 or -ENOMEM. */
int vms_read(struct vms *vms, const char *folder);
void vms_release(struct vms *vms);

#endif
