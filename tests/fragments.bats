#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Datagrams that are whole at one device and fragments at another. h1 eth0 -- p1 | router | p2 -- eth0 h2.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=1000
FORTH='["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:p2:tx","h2/dev:eth0:rx"]'
BACK='["h2/dev:eth0:tx","r/dev:p2:rx","r/dev:p1:tx","h1/dev:eth0:rx"]'
# Of 4000 bytes in a datagram of UDP: in the IP header of each, and its length.
declare -gA FRAG_OFF=([first]=0x2000 [second]=0x20b9 [last]=0x0172)
declare -gA LENGTH=([first]=1500 [second]=1500 [last]=1068 [whole]=4028)
WHOLE_LENGTH=$((1500 + 1500 + 1068)) # of all three

setup() {
	network_open
	network_router
}

teardown() {
	network_close
}

# cut_at_p2: h1 sends what is cut in the router.
cut_at_p2() {
	ip -n "$NET_H1" link set eth0 mtu 9000
	ip -n "$NET_MID" link set p1 mtu 9000
	in_ns "$NET_H1" sysctl -qw net.ipv4.ip_no_pmtu_disc=1
}

# lose MATCH...: what is on its way to the probe at p2. A router that is told of the loss does not send the rest.
lose() {
	in_ns "$NET_MID" nft "table netdev t {
		chain f {
			type filter hook egress device p2 priority 0;
			$* counter fwd to lo
		}
	}"
}

# count_lost NAMESPACE: $dropped
count_lost() {
	dropped=$(in_ns "$1" nft -j list ruleset | jq '[.. | .counter? | .packets?] | add')
	in_ns "$1" nft flush ruleset
	((dropped > 0))
}

# traced SCENARIO PACKETS LOST [PATH...]: none of them ambiguous, and all of the flow with ports.
traced() {
	scenario "$1" "$2" "${@:4}"
	json ".packets == {observed: $2, complete: ($2 - $3), partial: $3, ambiguous: 0, copies: 0}"
	json '.flows | length == 1 and .[0].dport == 5001'
}

# lost_at FROM TO PACKETS BYTES: and nowhere else.
lost_at() {
	json "[.loss[] | select(.lost != 0 or .lost_bytes != 0)] | length == 1 and
		.[0].from == \"$1\" and .[0].to == \"$2\" and .[0].lost == $3 and .[0].lost_bytes == $4"
}

@test "a datagram that is cut on the way is its fragments" {
	cut_at_p2
	record_route udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	traced "IPv4, cut on the way" $((3 * COUNT)) 0 "$FORTH"
	json ".paths | length == 1 and .[0].packets == 3 * $COUNT"
	json ".flows[0].bytes == $WHOLE_LENGTH * $COUNT"
	json '.loss | length > 0 and all(.lost == 0 and .lost_bytes == 0)'
}

@test "a datagram that is cut on the way, and one of its fragments lost before anybody saw it" {
	cut_at_p2
	for which in first second last; do
		lose "ip frag-off & 0x3fff == ${FRAG_OFF[$which]} numgen inc mod 10 == 9"
		record_route udp
		send_lossy $COUNT 4000 10.0.2.1
		report_path
		count_lost "$NET_MID"
		((dropped == COUNT / 10))
		traced "IPv4, cut on the way, $which fragment lost" $((3 * COUNT)) "$dropped" "$FORTH"
		lost_at r/dev:p1:rx r/dev:p2:tx "$dropped" $((dropped * LENGTH[$which]))
		json ".flows[0].bytes == $WHOLE_LENGTH * $COUNT"
	done
}

@test "a datagram of two fragments, of which nobody sees one" {
	cut_at_p2
	lose "ip frag-off & 0x3fff == 0x00b9 numgen inc mod 2 == 1"
	record_route udp
	send_lossy $COUNT 2000 10.0.2.1
	report_path
	count_lost "$NET_MID"
	((dropped == COUNT / 2))
	traced "IPv4, cut in two, the last lost" $((2 * COUNT)) "$dropped" "$FORTH"
	lost_at r/dev:p1:rx r/dev:p2:tx "$dropped" $((dropped * (2028 - 1480)))
}

@test "a datagram that is cut on the way, and one of its fragments lost behind" {
	cut_at_p2
	network_behind
	for which in first second last; do
		in_ns "$NET_H2" nft "table inet t {
			chain f {
				type filter hook forward priority 0;
				ip frag-off & 0x3fff == ${FRAG_OFF[$which]} numgen inc mod 7 == 6 counter drop
			}
		}"
		export MIDDLE=r
		record_begin h1 "$NET_H1" -i eth0 udp
		record_begin r "$NET_MID" -i p1 -i p2 udp
		record_start h2 "$NET_H2" -i eth0 -i behind udp
		in_ns "$NET_H1" "$UDPNUM" send $COUNT 4000 10.0.3.1 5001 5000
		report_path
		count_lost "$NET_H2"
		traced "IPv4, cut on the way, $which fragment lost behind" $((3 * COUNT)) "$dropped" \
			"$FORTH" "${FORTH%]},\"h2/dev:behind:tx\"]"
		lost_at h2/dev:eth0:rx h2/dev:behind:tx "$dropped" $((dropped * LENGTH[$which]))
	done
}

# Nobody knows what it would have been cut into.
@test "a datagram that is cut on the way, and all of its fragments lost" {
	cut_at_p2
	lose "ip frag-off & 0x3fff != 0 ip id & 0x7 == 0x3"
	record_route udp
	send_lossy $COUNT 4000 10.0.2.1
	report_path
	count_lost "$NET_MID"
	((dropped % 3 == 0 && dropped < 3 * COUNT))
	dropped=$((dropped / 3))
	traced "IPv4, cut on the way, all fragments lost" $((3 * COUNT - 2 * dropped)) "$dropped" "$FORTH"
	lost_at r/dev:p1:rx r/dev:p2:tx "$dropped" $((dropped * LENGTH[whole]))
}

@test "fragments that are cut again" {
	ip -n "$NET_MID" link set p2 mtu 1000
	record_route udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	traced "IPv4 fragments, cut again" $((6 * COUNT)) 0 "$FORTH"
	json ".flows[0].bytes == (4008 + 6 * 20) * $COUNT"
}

# The router puts them together to know their connection, and sends them as it got them.
@test "fragments through a router that puts them together" {
	in_ns "$NET_MID" nft 'table inet t {
		chain f {
			type filter hook forward priority 0;
			ct state new,established accept
		}
	}'
	record_route udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	scenario "IPv4 fragments, through connection tracking" $((3 * COUNT)) "$FORTH"
	json ".packets.complete == 3 * $COUNT and (.loss | all(.lost == 0))"
	cut_at_p2
	record_route udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	traced "IPv4, cut on the way, with connection tracking" $((3 * COUNT)) 0 "$FORTH"
}

@test "ping with 4000 bytes, cut on the way there" {
	cut_at_p2
	record_route icmp
	in_ns "$NET_H1" ping -q -M dont -c 100 -i 0.01 -s 4000 10.0.2.1 >/dev/null
	report_path
	scenario "ping, 4000 bytes, cut on the way" 600 "$FORTH" "$BACK"
	json '.packets == {observed: 600, complete: 600, partial: 0, ambiguous: 0, copies: 0}'
	json '.paths | length == 2 and all(.packets == 300)'
	json '.loss | length > 0 and all(.lost == 0)'
}

# Some are fragments before it, too; behind it they are of other addresses. Nothing that is not known is lost.
@test "datagrams that are cut where their addresses are translated" {
	cut_at_p2
	in_ns "$NET_MID" iptables -t nat -A POSTROUTING -o p2 -j MASQUERADE
	record_route udp
	send_numbers 100 20000 10.0.2.1 500
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	scenario "IPv4, cut and masqueraded" $((3 * COUNT + 1700)) "$FORTH" '["r/dev:p2:tx","h2/dev:eth0:rx"]' \
		'["h1/dev:eth0:tx","r/dev:p1:rx"]'
	json '.packets | .complete == .observed and .ambiguous == 0'
	json "[.flows[] | select(.dport == 5001).packets] | add == $COUNT + 100"
	json '.loss | length > 0 and all(.lost == 0)'
}

# Each is kept or not by its own ID.
@test "a sample of datagrams that are cut on the way" {
	cut_at_p2
	record_route --sample 1/2 udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	scenario "IPv4, cut on the way, sampled" $((3 * COUNT)) "$FORTH" '["r/dev:p2:tx","h2/dev:eth0:rx"]'
	json '.packets | .observed > 1000 and .partial == 0 and .ambiguous == 0'
	json '.loss | length > 0 and all(.lost == 0)'
}

@test "datagrams that are cut on the way, by their payload" {
	cut_at_p2
	record_route --id payload udp
	send_numbers $COUNT 4000 10.0.2.1
	report_path
	scenario "IPv4, cut on the way, by payload" $((3 * COUNT)) "$FORTH" '["r/dev:p2:tx","h2/dev:eth0:rx"]'
	json ".packets == {observed: (3 * $COUNT), complete: (3 * $COUNT), partial: 0, ambiguous: 0, copies: 0}"
	json '.loss | length > 0 and all(.lost == 0)'
}
