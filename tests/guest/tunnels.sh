#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tunnels.sh - tunnels that need another kernel, run in a guest: tunnels.sh DIR, a folder that outlives
# the guest. Leaves there for each of them a recording of 50 datagrams through it, KIND.vnt, at the tunnel
# device and the device below at both ends.
set -euo pipefail

export NET_DIR=$1 NET_H1=h1 NET_H2=h2
# shellcheck source=tests/lib/network.bash
. "$(dirname "$0")/../lib/network.bash"
# shellcheck source=tests/lib/record.bash
. "$(dirname "$0")/../lib/record.bash"

declare -A DEVICES=(
	[geneve]='type geneve id 7 remote 10.0.0.PEER'
	[geneve6]='type geneve id 8 remote fd00::PEER'
	[vxlan6]='type vxlan id 9 local fd00::SELF remote fd00::PEER dstport 4789'
	[gre]='type gre local 10.0.0.SELF remote 10.0.0.PEER key 10 csum seq'
	[gretap]='type gretap local 10.0.0.SELF remote 10.0.0.PEER key 11'
	[ip6gre]='type ip6gre local fd00::SELF remote fd00::PEER'
	[ipip]='type ipip local 10.0.0.SELF remote 10.0.0.PEER'
	[sit]='type sit local 10.0.0.SELF remote 10.0.0.PEER'
	[ip6tnl]='type ip6tnl mode ipip6 local fd00::SELF remote fd00::PEER'
	[vlan]='link eth0 type vlan id 100'
	[qinq]='link s0 type vlan id 100'
)

# tunnel KIND SELF PEER: device t0 in hSELF.
tunnel() {
	local device=${DEVICES[$1]//SELF/$2}

	if [[ $1 == qinq ]]; then
		ip -n "h$2" link add link eth0 name s0 type vlan protocol 802.1ad id 200
		ip -n "h$2" link set s0 up
	fi
	# shellcheck disable=SC2086
	ip -n "h$2" link add name t0 ${device//PEER/$3}
	ip -n "h$2" link set t0 mtu 1300 up
	if [[ $1 == sit ]]; then
		ip -n "h$2" address add "fd07::$2/64" dev t0 nodad
	else
		ip -n "h$2" address add "10.7.0.$2/24" dev t0
	fi
}

modprobe -a geneve vxlan ip_gre ip6_gre ipip sit ip6_tunnel 8021q
: >"$NET_DIR/cleanup" # the end of the guest is
network_namespace h1
network_namespace h2
ip -n h1 link add eth0 type veth peer name eth0 netns h2
ip -n h1 link set eth0 up
ip -n h2 link set eth0 up
network_addresses h1 10.0.0.1/24 fd00::1/64
network_addresses h2 10.0.0.2/24 fd00::2/64
for kind in "${!DEVICES[@]}"; do
	address=10.7.0.2
	[[ $kind == sit ]] && address=fd07::2
	tunnel "$kind" 1 2
	tunnel "$kind" 2 1
	network_reachable "$address"
	record_start "$kind" h1 -p dev:t0:tx -p dev:eth0:tx -p dev:h2/eth0:rx -p dev:h2/t0:rx \
		'udp port 5001'
	send_numbers 50 100 "$address" 500
	sleep 0.5
	record_stop "$kind"
	for host in h1 h2; do
		ip -n "$host" link delete t0
		[[ $kind != qinq ]] || ip -n "$host" link delete s0
	done
done
