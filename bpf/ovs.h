/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ovs.h - bridges of Open vSwitch. Only its own database knows their ports: the kernel datapath puts
 * those of all bridges under one device, the user-space datapath tells the kernel nothing.
 */
#ifndef VNT_OVS_H
#define VNT_OVS_H

#include <stdbool.h>
#include <stdint.h>

#define OVS_REASON_MAX 256

/* May this TAP device be Open vSwitch's? True if ovs-vswitchd(8) has it open, or if there is a database
 * that knows; so a switch that no longer answers is noticed, and where there is none nobody is asked. */
bool ovs_may_own(const char *device);

/*
 * Asks ovs-vsctl(8): *ports is text, one name a line, the caller's to free. 0; -ENODEV: no bridge of
 * that name; another -errno, and one line in `reason` (OVS_REASON_MAX bytes).
 */
int ovs_list_ports(const char *bridge, char **ports, char *reason);

/* Is ovs-vswitchd(8) in that network namespace? Device names that it knows are names there. */
bool ovs_is_in(uint32_t netns_inode);

/* Has ovs-vswitchd(8) this TAP device open? Then it is one that the switch made for the host. */
bool ovs_has_open(const char *device);

/* The name of the bridge that the device is, or is a port of; false if ovs-vsctl(8) knows none. */
bool ovs_find_bridge(const char *device, char bridge[16]);

#endif
