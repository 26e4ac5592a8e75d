#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# bats file_tags=guest
# Tunnels that this kernel lacks, and on other kernels: a packet is the same in the tunnel and outside.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record
load lib/kernels

setup_file() {
	network_open
	kernels_run tunnels.sh
}

teardown_file() {
	network_close
}

# through KERNEL KIND TUNNELS: all datagrams were seen on one path, and in these tunnels on the way.
through() {
	echo "Linux $1, $2:"
	kernels_report "$1" "$2"
	json '.packets == {observed: 50, complete: 50, partial: 0, ambiguous: 0, copies: 0}'
	json '.paths | length == 1 and (.[0].probes | length == 4)'
	json '.flows | length == 1 and .[0].dport == 5001 and (.[0].dst | startswith("10.7.") or
		startswith("fd07:"))'
	json "[.tunnels[] | select(.probe | endswith(\"eth0:tx\")) |
		[.kind, .id, .src, .dst, .packets]] == [$3]"
}

all_kinds() {
	through "$1" geneve '["geneve", 7, "10.0.0.1", "10.0.0.2", 50]'
	through "$1" geneve6 '["geneve", 8, "fd00::1", "fd00::2", 50]'
	through "$1" vxlan6 '["vxlan", 9, "fd00::1", "fd00::2", 50]'
	through "$1" gre '["gre", 10, "10.0.0.1", "10.0.0.2", 50]'
	through "$1" gretap '["gre", 11, "10.0.0.1", "10.0.0.2", 50]'
	through "$1" ip6gre '["gre", 0, "fd00::1", "fd00::2", 50]'
	through "$1" ipip '["ip", 0, "10.0.0.1", "10.0.0.2", 50]'
	through "$1" sit '["ip", 0, "10.0.0.1", "10.0.0.2", 50]'
	through "$1" ip6tnl '["ip", 0, "fd00::1", "fd00::2", 50]'
}

@test "Linux 6.1: Geneve, GRE, IP in IP" { all_kinds 6.1; }
@test "Linux 6.12: Geneve, GRE, IP in IP" { all_kinds 6.12; }
@test "Linux 7.3: Geneve, GRE, IP in IP" { all_kinds 7.3; }

# The driver gets tags beside the packet, or in it: there may be none to see, one or two. A VLAN device does
# not receive by itself: its packets are those of the device below.
tags() {
	local kind

	for kind in vlan qinq; do
		kernels_report "$1" "$kind"
		json '.packets == {observed: 50, complete: 50, partial: 0, ambiguous: 0, copies: 0}'
		json '.paths | length == 1 and (.[0].probes | length == 3)'
		json 'all(.tunnels[]; .kind == "vlan" and (.id == 100 or .id == 200))'
	done
}

@test "Linux 6.1: VLAN and QinQ devices" { tags 6.1; }
@test "Linux 6.12: VLAN and QinQ devices" { tags 6.12; }
@test "Linux 7.3: VLAN and QinQ devices" { tags 7.3; }
