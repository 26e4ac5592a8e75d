#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nat.sh - masquerading, run in a guest: nat.sh DIR, a folder that outlives the guest. Leaves there
# recordings of 50 datagrams through a router, on one path: before.vnt, of a kernel that tracks no
# connections, and masqueraded.vnt, of one that has begun to, and translates.
set -euo pipefail

export NET_DIR=$1 NET_H1=h1 NET_H2=h2 NET_MID=r
# shellcheck source=tests/lib/network.bash
. "$(dirname "$0")/../lib/network.bash"
# shellcheck source=tests/lib/record.bash
. "$(dirname "$0")/../lib/record.bash"

# record_all NAME
record_all() {
	record_start "$1" h1 -v -p dev:eth0:tx -p dev:r/p1:rx -p dev:r/p2:tx -p dev:h2/eth0:rx \
		'udp port 5001'
	send_numbers 50 100 10.0.2.1 500
	send_numbers 50 100 fd02::1 500
	sleep 0.5
	record_stop "$1"
}

: >"$NET_DIR/cleanup" # the end of the guest is
network_router
! grep -q '^nf_conntrack ' /proc/modules
record_all before
in_ns r iptables -t nat -A POSTROUTING -o p2 -j MASQUERADE
in_ns r ip6tables -t nat -A POSTROUTING -o p2 -j MASQUERADE
grep -q '^nf_conntrack ' /proc/modules
record_all masqueraded
