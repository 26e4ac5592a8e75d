#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Sampling: the same packets in every domain, and every other one counted.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=20000

setup_file() {
	network_open
	network_router
}

teardown_file() {
	network_close
}

# throughput FILE PROBE
throughput() {
	"$VNETTRACE" report -f json "$1" |
		jq ".probes[] | select(.name | endswith(\"/dev:$2\")).throughput_bps"
}

# The sample in FILE says the same of eth0:tx as the recording of all packets next to it.
same_throughput() {
	jq -en "$(throughput "$1" eth0:tx) / $(throughput "$NET_DIR/full.vnt" eth0:tx) |
		. > 0.95 and . < 1.05"
}

# Of every probe: what it kept and what it left out is what was sent.
nothing_unaccounted() {
	json "[.probes[] | select(.events + .sampled_out > 0)] |
		length == 4 and all(.events + .sampled_out + .lost == $1)"
}

@test "1/10 of the datagrams, the same at all probes, and rates as of all" {
	record_start full "$NET_H1" -i eth0 'udp port 5001'
	record_route --sample 1/10 'udp port 5001'
	send_numbers $COUNT 100 10.0.2.1 20000
	report_path
	record_stop full
	nothing_unaccounted $COUNT
	json '.packets | .complete == .observed and .partial == 0 and .observed > 1700 and .observed < 2300'
	json '.loss | length > 0 and all(.lost == 0)'
	json '[.domains[].lost] | add == 0'
	json '[.ledger[].cause] | unique == ["sampled out"]'
	same_throughput "$NET_DIR/h1.vnt"
}

@test "a domain that keeps fewer packets loses none" {
	# shellcheck disable=SC2034 # for report_path
	MIDDLE=r
	record_begin h1 "$NET_H1" --sample 1/2 -i eth0 'udp port 5001'
	record_begin r "$NET_MID" --sample 1/50 -i p1 -i p2 'udp port 5001'
	record_start h2 "$NET_H2" -i eth0 'udp port 5001'
	send_numbers $COUNT 100 10.0.2.1 20000
	report_path
	nothing_unaccounted $COUNT
	json '.loss | length > 0 and all(.lost == 0)'
	json '[.loss[].sent] | add > 0'
}

@test "with every tenth packet dropped, the sample loses as many" {
	in_ns "$NET_MID" iptables -I FORWARD -p udp --dport 5001 \
		-m statistic --mode nth --every 10 --packet 0 -j DROP
	record_route --sample 1/4 'udp port 5001'
	send_lossy $COUNT 100 10.0.2.1 20000
	report_path
	in_ns "$NET_MID" iptables -F FORWARD
	json '.loss[] | select(.from == "r/dev:p1:rx" and .to == "r/dev:p2:tx").ratio |
		. > 0.08 and . < 0.12'
	json '[.loss[] | select(.from != "r/dev:p1:rx").lost] | add == 0'
}

@test "TCP: windows are kept whole" {
	record_route --sample 1/4 'tcp port 5201 and tcp[13] & 4 = 0'
	transfer 10.0.2.1 32M 32K
	report_path
	json '.loss | length > 0 and all(.lost == 0)'
	# A segment that reaches into a window from outside is observed, and judged by no one.
	json '.packets | .complete > 0.95 * .observed and .partial == 0 and .ambiguous == 0'
	# A window is about 45 segments: packets are many times fewer than all.
	json '[.probes[] | select(.name == "r/dev:p1:rx")][0] | .events < .sampled_out'
}

@test "--max-overhead lowers the rate, and all is accounted for" {
	record_begin full "$NET_H1" -i eth0 'udp port 5001'
	record_start busy "$NET_H1" -v --max-overhead 0.1 -i eth0:tx 'udp port 5001'
	send_lossy 300000 100 10.0.2.1 100000
	record_stop busy
	record_stop full
	cat "$NET_DIR/busy.err"
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/busy.vnt"
	json '.probes[0] | .events + .sampled_out + .lost == 300000 and .sampled_out > 0'
	same_throughput "$NET_DIR/busy.vnt"
	json '[.overhead.programs[].program] == ["dev:tx"]'
	# To look at every packet takes more than that.
	grep -q 'more than 0.1 % of one CPU at the lowest rate' "$NET_DIR/busy.err"
	share=$(sed -n 's/.* runs of the BPF programs, .*, \([0-9.]*\) % of one CPU/\1/p' "$NET_DIR/busy.err")
	echo "# measured: --max-overhead 0.1: $share % of one CPU" >&3
}

@test "rates and percentages that are none" {
	for rate in 10 1/0 1/-2 1/x 2/3 1/4294967297; do
		run --separate-stderr "$VNETTRACE" record -i lo --sample "$rate"
		((status == 2))
		[[ $stderr == "vnettrace: record: not a rate like 1/100: '$rate'"* ]]
	done
	for percent in 0 -1 101 x; do
		run --separate-stderr "$VNETTRACE" record -i lo --max-overhead "$percent"
		((status == 2))
		[[ $stderr == "vnettrace: record: not a percentage greater than 0: '$percent'"* ]]
	done
}
