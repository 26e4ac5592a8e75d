#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# One packet, many journeys: h1 .. h4, each eth0 -- pN of a switch in the middle, one recording each.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

N=20
HOSTS=(h1 h2 h3 h4)
SWITCH=(-i "$BRIDGE")

setup() {
	network_open
}

teardown() {
	network_close
}

namespace() {
	echo "$NET_PREFIX-$1"
}

# host NAME PORT NUMBER: 10.0.0.NUMBER, joined to PORT of the namespace in the middle.
host() {
	local ns device

	ns=$(namespace "$1")
	[[ $1 == h[12] ]] || network_namespace "$ns" || return
	network_link "$ns" "$2" && network_addresses "$ns" "10.0.0.$3/24" "fd00::$3/64" || return
	for device in "$ns:eth0" "$NET_MID:$2"; do
		in_ns "${device%:*}" ethtool -K "${device##*:}" rx off tx off >/dev/null || return
	done
}

# scene ovs|bridge: four hosts at one switch.
scene() {
	local ns i

	for ns in "$NET_H1" "$NET_H2" "$NET_MID"; do
		network_namespace "$ns" || return
	done
	in_ns "$NET_MID" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 || return
	for i in 1 2 3 4; do
		host "h$i" "p$i" "$i" || return
	done
	"network_${1}_start" || return
	for i in p3 p4; do
		plug "$1" "$i" || return
	done
	ip -n "$NET_MID" link set "$BRIDGE" up
	ip -n "$NET_H1" route add 239.0.0.0/8 dev eth0
	neighbour 10.0.0.2 "$(in_ns "$NET_H2" cat /sys/class/net/eth0/address)"
	neighbour 10.0.0.99 02:00:00:00:00:99
	wait_forwarding
}

plug() {
	if [[ $1 == ovs ]]; then
		in_ns "$NET_MID" ovs-vsctl --timeout=10 add-port "$BRIDGE" "$2"
	else
		ip -n "$NET_MID" link set "$2" master "$BRIDGE"
	fi
}

neighbour() {
	ip -n "$NET_H1" neighbour replace "$1" lladdr "$2" dev eth0 nud permanent
}

# answer 0|1: whether hosts answer pings. If not, what the test sends is all there is.
answer() {
	local i

	for i in 1 2 3 4; do
		in_ns "$(namespace "h$i")" sysctl -qw "net.ipv4.icmp_echo_ignore_all=$((1 - $1))" || return
	done
}

# A port forwards some time after it was plugged in.
wait_forwarding() {
	local i

	answer 1
	for i in 2 3 4; do
		network_reachable "10.0.0.$i" || return
	done
	answer 0
}

# record_all FILTER...: the switch, where $SWITCH says, and all hosts.
record_all() {
	local name

	record_begin sw "$NET_MID" "${SWITCH[@]}" "$@"
	for name in "${HOSTS[@]}"; do
		record_begin "$name" "$(namespace "$name")" -i eth0 "$@"
	done
	record_ready
}

report_all() {
	local name files=()

	sleep 0.1
	for name in sw "${HOSTS[@]}"; do
		record_stop "$name" || return
		files+=("$NET_DIR/$name.vnt")
	done
	"$VNETTRACE" merge -q -o "$NET_DIR/all.vnt" "${files[@]}" &&
		"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/all.vnt"
}

# paths_are "COUNT PATH"...: exactly these ways were gone, COUNT times each. A step of a path is
# NAME:DEVICE:tx or NAME:DEVICE:rx.
paths_are() {
	diff <(printf '%s\n' "$@" | sed -E 's#([a-z0-9]+):([^ ]+)#\1/dev:\2#g' | sort) \
		<(jq -r '.paths[] | "\(.packets) \(.probes | join(" "))"' "$NET_DIR/all.json" | sort)
}

# in_table NAME SENT: a row of the table, after paths_are.
in_table() {
	scenario "$1" "$2" "$(jq -c '[.paths[].probes]' "$NET_DIR/all.json" | sed 's/^\[//; s/\]$//')"
}

# flooded COUNT LOCAL ECHO: all were sent from h1 to the other hosts, LOCAL of them also to the host of the
# switch, and ECHO of them h1 heard itself.
flooded() {
	local expected=() i

	for i in 2 3 4; do
		expected+=("$1 h1:eth0:tx sw:p1:rx sw:p$i:tx h$i:eth0:rx")
	done
	(($2)) && expected+=("$2 h1:eth0:tx sw:p1:rx sw:$BRIDGE:rx")
	(($3)) && expected+=("$3 h1:eth0:rx")
	paths_are "${expected[@]}" || return
	json ".packets == {observed: $1, complete: $1, partial: 0, ambiguous: 0,
		copies: (2 * $1 + $2 + $3)}" || return
	json '.loss | length > 0 and all(.lost == 0)' || return
	json '.paths | all(([.hops[].latency.mean_ns] | add // 0) == .end_to_end.mean_ns)'
}

# send_all: N datagrams to port 5001 of an address where nobody takes part in a conversation.
send_all() {
	in_ns "$NET_H1" "$UDPNUM" send $N 100 "$1" 5001 1000
}

# floods SWITCH UNKNOWN: multicast, broadcast, frames of an unknown kind, and an unknown address, UNKNOWN of which
# the switch gives to its own host.
floods() {
	record_all udp port 5001 or icmp or ether proto 0x88b5
	send_all 239.1.1.1
	send_all ff15::77
	send_all 10.0.0.99
	in_ns "$NET_H1" "$FRAMES" $N eth0 0x88b5
	# What a host broadcasts it hears itself.
	in_ns "$NET_H1" ping -q -c $N -i 0.01 -W 0.1 -b 10.0.0.255 || true
	report_all
	flooded $((5 * N)) $((4 * N + $2)) $N
	in_table "$1: multicast, broadcast, unknown address" $((5 * N))
	record_all arp and host 10.0.0.77
	in_ns "$NET_H1" ping -q -c 1 -W 0.1 10.0.0.77 || true
	ip -n "$NET_H1" neighbour delete 10.0.0.77 dev eth0 # no more requests
	report_all
	flooded 1 1 0
	in_table "$1: ARP request" 1
}

@test "what a Linux bridge floods" {
	scene bridge
	floods "Linux bridge" 0
}

@test "what Open vSwitch floods" {
	scene ovs || skip "Open vSwitch does not run here"
	floods "Open vSwitch" $N
}

@test "what the host of a bridge broadcasts" {
	scene bridge
	ip -n "$NET_MID" address add 10.0.0.9/24 dev "$BRIDGE"
	record_all udp port 5001
	in_ns "$NET_MID" ip route add 239.0.0.0/8 dev "$BRIDGE"
	in_ns "$NET_MID" "$UDPNUM" send $N 100 239.1.1.1 5001 1000
	report_all
	paths_are "$N sw:$BRIDGE:tx sw:p"{1:tx\ h1,2:tx\ h2,3:tx\ h3,4:tx\ h4}:eth0:rx
	json ".packets == {observed: $N, complete: $N, partial: 0, ambiguous: 0, copies: (3 * $N)}"
}

@test "ports that are named one by one, and hosts that nobody connects" {
	scene bridge
	SWITCH=(-i p1 -i p2 -i p3:tx -i p4:tx)
	record_all udp port 5001
	send_all 10.0.0.99
	report_all
	flooded $N 0 0
	# Without the switch: from h1 to each.
	"$VNETTRACE" report -f json "$NET_DIR"/h?.vnt >"$NET_DIR/all.json"
	paths_are "$N h1:eth0:tx h"{2,3,4}:eth0:rx
	json ".packets == {observed: $N, complete: $N, partial: 0, ambiguous: 0, copies: (2 * $N)}"
}

@test "a mirrored port of a Linux host" {
	local forth="h1:eth0:tx sw:p1:rx sw:p2:tx h2:eth0:rx" mirror="h1:eth0:tx sw:p1:rx sw:mon:tx h5:eth0:rx"
	local hook

	scene bridge
	SWITCH+=(-i mon)
	HOSTS+=(h5)
	host h5 mon 5
	for hook in 'p1 ingress' 'p2 egress'; do
		in_ns "$NET_MID" tc qdisc add dev "${hook% *}" clsact
		in_ns "$NET_MID" tc filter add dev "${hook% *}" "${hook#* }" protocol all \
			u32 match u32 0 0 action mirred egress mirror dev mon
		record_all udp port 5001
		send_numbers $N 100 10.0.0.2 1000
		report_all
		paths_are "$N $forth" "$N $mirror"
		in_table "mirrored by tc, $hook" $N
		json ".packets == {observed: $N, complete: $N, partial: 0, ambiguous: 0, copies: $N}"
		in_ns "$NET_MID" tc qdisc del dev "${hook% *}" clsact
	done
}

@test "a mirrored port of Open vSwitch" {
	scene ovs || skip "Open vSwitch does not run here"
	in_ns "$NET_MID" ovs-vsctl --timeout=10 -- set bridge "$BRIDGE" mirrors=@m \
		-- --id=@in get port p1 -- --id=@out get port p4 \
		-- --id=@m create mirror name=m select-src-port=@in output-port=@out
	# What it knows how to forward already is mirrored only after a while.
	in_ns "$NET_MID" ovs-appctl revalidator/purge
	record_all udp port 5001
	send_numbers $N 100 10.0.0.2 1000
	report_all
	paths_are "$N h1:eth0:tx sw:p1:rx sw:p"{2:tx\ h2,4:tx\ h4}:eth0:rx
	in_table "mirrored by Open vSwitch" $N
	json ".packets == {observed: $N, complete: $N, partial: 0, ambiguous: 0, copies: $N}"
}

@test "two bridges in a row, and a copy that is lost between them" {
	local forth="h1:eth0:tx sw:p1:rx"

	scene bridge
	ip -n "$NET_MID" link add far type bridge mcast_snooping 0
	ip -n "$NET_MID" link set far up
	ip -n "$NET_MID" link add q1 type veth peer name q2
	ip -n "$NET_MID" link set q1 up master "$BRIDGE"
	ip -n "$NET_MID" link set q2 up master far
	ip -n "$NET_MID" link set p3 master far
	ip -n "$NET_MID" link set p4 master far
	wait_forwarding
	# Every fourth of what comes to the second bridge.
	in_ns "$NET_MID" nft 'add table bridge t
		add chain bridge t in { type filter hook prerouting priority 0; }
		add rule bridge t in iifname "q2" udp dport 5001 numgen inc mod 4 == 0 drop'
	SWITCH+=(-i far)
	record_all udp port 5001
	send_all 10.0.0.99
	report_all
	paths_are "$N $forth sw:p2:tx h2:eth0:rx" \
		"$((N - N / 4)) $forth sw:q1:tx sw:q2:rx sw:p"{3:tx\ h3,4:tx\ h4}:eth0:rx
	json ".packets == {observed: $N, complete: $((N - N / 4)), partial: $((N / 4)), ambiguous: 0,
		copies: ($N + $((N - N / 4)))}"
	in_table "two bridges, one copy in four lost" $N
	json ".loss | map(select(.lost > 0)) | length == 1 and (.[0] |
		.from == \"sw/dev:q2:rx\" and .lost == $((N / 4)))"
}
