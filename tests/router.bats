#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Loss: h1 eth0 -- p1 | router that drops | p2 -- eth0 h2.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=2000

setup_file() {
	network_open
	network_router
}

teardown_file() {
	network_close
}

# drop_every_tenth iptables|ip6tables
drop_every_tenth() {
	in_ns "$NET_MID" "$1" -I FORWARD -p udp --dport 5001 \
		-m statistic --mode nth --every 10 --packet 0 -j DROP
}

lost_between() {
	json "[.loss[] | select(.from == \"$1\" and .to == \"$2\")] |
		length == 1 and (.[0] | .sent == $3 and .received == $3 - $4 and .lost == $4)"
}

tenth_is_lost() {
	local left=$((COUNT - COUNT / 10))

	lost_between h1/dev:eth0:tx r/dev:p1:rx $COUNT 0
	lost_between r/dev:p1:rx r/dev:p2:tx $COUNT $((COUNT / 10))
	lost_between r/dev:p2:tx h2/dev:eth0:rx $left 0
	json ".packets | .observed == $COUNT and .complete == $left and
		.partial == $COUNT - $left and .ambiguous == 0"
	json '.loss[] | select(.lost > 0) | .ratio == 0.1 and .ratio_min == 0.1 and .ratio_max == 0.1'
	json '[.domains[].lost] | add == 0'
}

@test "nothing is lost through a router, and TTL does not matter" {
	record_route 'udp port 5001'
	send_numbers $COUNT 100 10.0.2.1
	report_path
	lost_between r/dev:p1:rx r/dev:p2:tx $COUNT 0
	json ".packets | .observed == $COUNT and .complete == $COUNT"
}

# record_kill DOMAIN: as the kernel would, out of memory.
record_kill() {
	kill -KILL "${RECORD_PID[$1]}"
	wait "${RECORD_PID[$1]}" 2>/dev/null || true
}

@test "a recorder that is killed loses 100 ms, and no packet is called lost for it" {
	record_route 'udp port 5001'
	send_numbers 4000 100 10.0.2.1 2000 &
	sender=$!
	sleep 1
	record_kill r
	wait $sender
	for domain in h1 h2; do
		record_stop $domain
	done
	run --separate-stderr "$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR"/{h1,r,h2}.vnt
	((status == 3))
	[[ $stderr == "vnettrace: report: '$NET_DIR/r.vnt' is "* ]]
	((${#stderr_lines[@]} == 1))
	json '.loss | length > 0 and all(.lost == 0)'
	# About 2000 packets a second went by: 100 ms are 200.
	json '[.probes[] | select(.name == "r/dev:p1:rx").events][0] > 1400'
	json ".probes[] | select(.name == \"h2/dev:eth0:rx\").events == 4000"
}

@test "what the tracer itself did not keep is not called loss" {
	record_begin h1 "$NET_H1" -i eth0 'udp port 5001'
	record_begin r "$NET_MID" -i p1 -i p2 'udp port 5001'
	record_start h2 "$NET_H2" --buffer 4K -i eth0 'udp port 5001'
	kill -STOP "${RECORD_PID[h2]}"
	send_numbers $COUNT 100 10.0.2.1
	kill -CONT "${RECORD_PID[h2]}"
	for domain in h1 r; do
		record_stop $domain
	done
	record_stop h2 || (($? == 3))
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR"/{h1,r,h2}.vnt
	json '.loss[] | select(.to == "h2/dev:eth0:rx") |
		.sent > .received and .lost == 0 and .ratio == 0 and .ratio_max > 0.5'
	json '.flows[0].loss_ratio == 0'
}

@test "every tenth packet is dropped, IPv4" {
	drop_every_tenth iptables
	record_route 'udp port 5001'
	send_lossy $COUNT 100 10.0.2.1
	report_path
	tenth_is_lost
}

@test "every tenth packet is dropped, IPv6" {
	drop_every_tenth ip6tables
	record_route 'udp port 5001'
	send_lossy $COUNT 100 fd02::1
	report_path
	tenth_is_lost
}
