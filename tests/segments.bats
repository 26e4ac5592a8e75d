#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# One packet here, many there: offloads and fragments. h1 eth0 -- p1 | router | p2 -- eth0 h2.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=2000
TCP_HEADERS=52 # IPv4, TCP with timestamps
# At the end iperf3 resets its connection, with packets that are equal in every byte.
IPERF='tcp port 5201 and tcp[13] & 4 = 0'

setup_file() {
	network_open
	network_router
}

teardown_file() {
	network_close
}

setup() {
	in_ns "$NET_MID" iptables -F FORWARD
}

# offloads H1 P1 P2 H2: on or off, at each device.
offloads() {
	local device

	for device in "$NET_H1:eth0:$1" "$NET_MID:p1:$2" "$NET_MID:p2:$3" "$NET_H2:eth0:$4"; do
		IFS=: read -r namespace name state <<<"$device"
		in_ns "$namespace" ethtool -K "$name" rx "$state" tx "$state" sg "$state" \
			tso "$state" gso "$state" gro "$state" >/dev/null || return
	done
}

drop_every() {
	in_ns "$NET_MID" iptables -I FORWARD "${@:2}" -m statistic --mode nth --every "$1" --packet 0 -j DROP
}

# What the rule dropped: $dropped packets, $dropped_bytes.
count_dropped() {
	read -r dropped dropped_bytes < <(in_ns "$NET_MID" iptables -nvxL FORWARD |
		awk '/DROP/ { print $1, $2 }')
	((dropped > 0))
}

# figure EXPRESSION: of the report.
figure() {
	jq -r "$1" "$NET_DIR/all.json"
}

loss_of() {
	figure ".loss[] | select(.from == \"$1\" and .to == \"$2\") | .$3"
}

nothing_lost() {
	json '[.domains[].lost] | add == 0'
	json '.packets | .complete == .observed and .partial == 0 and .ambiguous == 0'
	json '.loss | length > 0 and all(.lost == 0 and .lost_bytes == 0)'
}

# The bytes of the flows from h1 are those that a probe saw of them, each segment with its headers.
bytes_as_at() {
	json "([.flows[] | select(.dport == $2).bytes] | add) ==
		(.probes[] | select(.name == \"$1\").bytes)"
	json "(.loss[] | select(.to == \"h2/dev:eth0:rx\").received_bytes) ==
		(.probes[] | select(.name == \"$1\").bytes)"
}

middle_of() {
	figure ".paths[] | select(.probes[0] == \"h1/dev:eth0:tx\").hops[] |
		select(.from == \"r/dev:p1:rx\").latency.p50_ns"
}

@test "TCP: super-packets at one device are segments at another" {
	for states in "off off off off" "on on off off" "on on off on" "off on off on" "on on on on"; do
		echo "offloads $states"
		# shellcheck disable=SC2086
		offloads $states
		record_route "$IPERF"
		transfer 10.0.2.1 20M 128K
		report_path
		nothing_lost
		json '[.probes[] | select(.name == "h1/dev:eth0:tx" or .name == "h2/dev:eth0:rx").packets] |
			.[0] == .[1] and .[0] > 100'
		bytes_as_at "r/dev:p2:tx" 5201
		# The bounds are wide: the queues of the two hosts differ, and so do neighbours.
		latency=$(middle_of)
		first=${first:-$latency}
		((latency < 100 * first && first < 100 * latency))
		echo "# measured: offloads $states: router p50 $latency ns" >&3
	done
	json '.flows[0].packets < 5000' # nobody saw a segment
}

# On two processors one segment overtakes another, and is sent again for that: without an IP ID the same packet twice,
# if it is within a tick of the timestamps.
@test "TCP over IPv6, offloads on at one side only" {
	offloads on on off on
	record_route 'tcp port 5201 and ip6[53] & 4 = 0'
	taskset -pc 0 $BASHPID >/dev/null
	transfer fd02::1 20M 128K
	report_path
	nothing_lost
	bytes_as_at "r/dev:p2:tx" 5201
}

@test "TCP segments that are dropped are lost, packets and bytes" {
	offloads off off off on
	drop_every 50 -p tcp --dport 5201 ! --tcp-flags RST RST
	record_route "$IPERF"
	transfer 10.0.2.1 20M 128K
	report_path
	count_dropped
	[[ $(loss_of r/dev:p1:rx r/dev:p2:tx lost) == "$dropped" ]]
	[[ $(loss_of r/dev:p1:rx r/dev:p2:tx lost_bytes) == "$dropped_bytes" ]]
	json "[.loss[].lost] | add == $dropped"
	json ".packets | .partial == $dropped and .ambiguous == 0"
}

@test "of TCP super-packets that are dropped each segment is lost" {
	offloads on on off on
	drop_every 50 -p tcp --dport 5201 ! --tcp-flags RST RST
	record_route "$IPERF"
	transfer 10.0.2.1 20M 128K
	report_path
	count_dropped
	lost=$(loss_of r/dev:p1:rx r/dev:p2:tx lost)
	((lost > dropped))
	lost_bytes=$(loss_of r/dev:p1:rx r/dev:p2:tx lost_bytes)
	((lost_bytes == dropped_bytes + (lost - dropped) * TCP_HEADERS))
	json "[.loss[].lost] | add == $lost"
	json ".packets | .partial == $lost and .ambiguous == 0"
}

@test "TCP with a closed window, its probes, and keep-alives" {
	offloads on on off on
	before=$(in_ns "$NET_H1" nstat -asz TcpExtTCPKeepAlive TcpExtTCPWinProbe | awk '/Tcp/ { print $2 }')
	record_route 'tcp port 5202'
	ip netns exec "$NET_H2" "$BUILD/tests/tcptalk" listen 10.0.2.1 5202 </dev/null >"$NET_DIR/talk" 3>&- &
	listener=$!
	wait_listening "$NET_H2" -t 5202
	in_ns "$NET_H1" "$BUILD/tests/tcptalk" send 300000 10.0.2.1 5202
	wait $listener
	[[ $(<"$NET_DIR/talk") == 300000 ]]
	report_path
	nothing_lost
	after=$(in_ns "$NET_H1" nstat -asz TcpExtTCPKeepAlive TcpExtTCPWinProbe | awk '/Tcp/ { print $2 }')
	while read -r was is; do
		((is > was))
	done < <(paste -d ' ' <(echo "$before") <(echo "$after"))
}

@test "UDP_SEGMENT: the same offloads at all devices" {
	offloads off off off off
	record_route 'udp port 5001'
	send_numbers $COUNT 1000 10.0.2.1 20000 40
	report_path
	nothing_lost
	json ".flows[0].packets == $COUNT and .packets.observed == $COUNT"
	json ".flows[0].bytes == 1028 * $COUNT"
	offloads on on on on
	record_route 'udp port 5001'
	send_numbers $COUNT 1000 10.0.2.1 20000 40
	report_path
	nothing_lost
	json ".flows[0].packets == $COUNT and .packets.observed == $COUNT"
	json ".flows[0].bytes == 1028 * $COUNT"
}

# one_path LENGTH: nothing lost, and each of the datagrams on its own at all probes.
one_path() {
	nothing_lost
	json ".flows[0].packets == $COUNT and .flows[0].bytes == $1 * $COUNT"
	json ".paths | length == 1 and .[0].packets == $COUNT and (.[0].probes | length) == 4"
}

# The payload of a super-packet is in pages; without scatter-gather that of its datagrams is not.
@test "UDP_SEGMENT: datagrams of a super-packet that is cut are joined" {
	for states in "on on off off" "on on off on"; do
		echo "offloads $states"
		# shellcheck disable=SC2086
		offloads $states
		record_route 'udp port 5001'
		send_numbers $COUNT 1000 10.0.2.1 20000 40
		report_path
		one_path 1028
	done
	scenario "UDP_SEGMENT, cut on the way" $COUNT \
		'["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:p2:tx","h2/dev:eth0:rx"]'
}

@test "UDP_SEGMENT: datagrams whose payload stays in pages as they are cut" {
	offloads on on on on
	for cut in "$NET_MID:p2" "$NET_H1:eth0"; do
		echo "cut at ${cut#*:}"
		in_ns "${cut%:*}" ethtool -K "${cut#*:}" tx-udp-segmentation off
		record_route 'udp port 5001'
		send_numbers $COUNT 1000 10.0.2.1 20000 40
		report_path
		in_ns "${cut%:*}" ethtool -K "${cut#*:}" tx-udp-segmentation on
		one_path 1028
	done
}

@test "UDP_SEGMENT over IPv6" {
	for states in "on on on on" "on on off off"; do
		echo "offloads $states"
		# shellcheck disable=SC2086
		offloads $states
		record_route 'udp port 5001'
		send_numbers $COUNT 1000 fd02::1 20000 40
		report_path
		one_path 1048
	done
}

# The kernel cuts them itself, before the device.
@test "UDP_SEGMENT over IPv6, with an extension header" {
	for states in "on on on on" "on on off off"; do
		echo "offloads $states"
		# shellcheck disable=SC2086
		offloads $states
		record_route 'ip6 proto 60'
		send_numbers $COUNT 1000 fd02::1 20000 40 options
		report_path
		one_path 1056
	done
}

# More datagrams by their IP header than by their size, while the ring is full: they must not be written over what
# nobody has read yet.
@test "UDP_SEGMENT: super-packets with headers that lie are lost, and nothing else" {
	offloads on on on on
	record_start h1 "$NET_H1" -i eth0 --buffer=64K 'udp port 5001'
	in_ns "$NET_H1" "$BUILD/tests/liar" 10000 eth0
	sleep 0.5
	send_numbers $COUNT 1000 10.0.2.1 20000 40
	record_stop h1 || (($? == 3)) # some were lost
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/h1.vnt"
	json ".packets.observed == $COUNT"
	json '[.ledger[].cause] | unique == ["out of reach", "ring full"]'
	json '[.ledger[].count] | add == 2 * 10000'
}

@test "UDP_SEGMENT: a sample of datagrams, of which some are lost" {
	offloads on on off off
	drop_every 10 -p udp --dport 5001
	for address in 10.0.2.1 fd02::1; do
		record_route --sample 1/4 'udp port 5001'
		send_lossy $COUNT 1000 $address 20000 40
		report_path
		json '.packets | .ambiguous == 0 and .observed > 400 and .observed < 600'
		json '.packets.partial == ([.loss[].lost] | add)'
		lost=$(loss_of r/dev:p1:rx r/dev:p2:tx lost)
		json ".packets.partial == $lost"
		json ".probes[] | select(.name == \"h1/dev:eth0:tx\") | .events + .sampled_out == $COUNT"
	done
	((lost == 0)) # of IPv6
}

@test "UDP_SEGMENT: datagrams that are dropped are lost" {
	offloads off off off off
	drop_every 10 -p udp --dport 5001
	record_route 'udp port 5001'
	send_lossy $COUNT 1000 10.0.2.1 20000 40
	report_path
	json "[.loss[].lost] | add == $COUNT / 10"
	json ".packets | .partial == $COUNT / 10 and .ambiguous == 0"
}

@test "UDP_SEGMENT: of super-packets that are dropped each datagram is lost" {
	offloads on on off off
	drop_every 10 -p udp --dport 5001
	record_route 'udp port 5001'
	send_lossy $COUNT 1000 10.0.2.1 20000 40
	report_path
	[[ $(loss_of r/dev:p1:rx r/dev:p2:tx lost) == $((COUNT / 10)) ]]
	[[ $(loss_of r/dev:p1:rx r/dev:p2:tx lost_bytes) == $((COUNT / 10 * 1028)) ]]
	json "[.loss[].lost] | add == $COUNT / 10"
	json ".packets | .partial == $COUNT / 10 and .ambiguous == 0"
}

# Behind eth0 of h2, where all are cut already.
@test "UDP_SEGMENT: datagrams that are dropped behind the cut are lost" {
	offloads on on off off
	network_behind
	in_ns "$NET_H2" iptables -A FORWARD -p udp -m statistic --mode nth --every 7 --packet 0 -j DROP
	export MIDDLE=r
	record_begin h1 "$NET_H1" -i eth0 'udp port 5001'
	record_begin r "$NET_MID" -i p1 -i p2 'udp port 5001'
	record_start h2 "$NET_H2" -i eth0 -i behind 'udp port 5001'
	in_ns "$NET_H1" "$UDPNUM" send $COUNT 1000 10.0.3.1 5001 20000 40
	report_path
	read -r dropped dropped_bytes < <(in_ns "$NET_H2" iptables -nvxL FORWARD |
		awk '/DROP/ { print $1, $2 }')
	in_ns "$NET_H2" iptables -F FORWARD
	ip -n "$NET_H2" link del behind
	((dropped > COUNT / 8))
	[[ $(loss_of h2/dev:eth0:rx h2/dev:behind:tx lost) == "$dropped" ]]
	[[ $(loss_of h2/dev:eth0:rx h2/dev:behind:tx lost_bytes) == "$dropped_bytes" ]]
	json "[.loss[].lost] | add == $dropped"
	json ".packets | .observed == $COUNT and .partial == $dropped and .ambiguous == 0"
}

@test "fragments join as themselves, IPv4 and IPv6" {
	offloads off off off off
	for address in 10.0.2.1 fd02::1; do
		record_route 'udp or ip6 proto 44'
		send_numbers $COUNT 4000 $address
		report_path
		nothing_lost
		json ".packets.observed == 3 * $COUNT and (.paths | length == 1)"
		json "[.flows[] | select(.dport == 5001).packets] == [$COUNT]"
	done
}
