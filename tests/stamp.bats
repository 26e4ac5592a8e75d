#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Stamps: h1 eth0 -- p1 | router | p2 -- eth0 h2. h1 stamps, h2 knows nothing of it.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=200
UDPSAME=$BUILD/tests/udpsame
STAMPER=$BUILD/tests/stamper
PAGED=$BUILD/tests/paged
# What tcpdump takes for a stamp: 12 bytes behind UDP, and the option at its place behind timestamps.
STAMPED_UDP='udp port 5001 and ip[2:2] = udp[4:2] + 32'
STAMPED_TCP='tcp[32:4] = 0xfd08564e'
SENT='udp port 5001 or tcp dst port 5201'

setup_file() {
	network_open
	network_router
}

teardown() {
	local pid

	for pid in "${RECORD_PID[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	offload off
}

teardown_file() {
	network_close
}

# offload on|off: h1 leaves UDP's checksum to the device; p2 has to complete it, and h2 checks it.
offload() {
	in_ns "$NET_H1" ethtool -K eth0 tx "$1" sg "$1" >/dev/null
}

# stamp PROTOCOLS ARGUMENT...: all three record, h1 stamps.
stamp() {
	local protocols=$1

	shift
	# shellcheck disable=SC2034 # of report_path
	MIDDLE=r
	record_begin h1 "$NET_H1" --stamp "$protocols" -i eth0 "$@"
	record_begin r "$NET_MID" -i p1 -i p2 "$@"
	record_start h2 "$NET_H2" -i eth0 "$@"
}

# send_same COUNT SIZE ADDRESS: fails unless h2 gets them all, byte by byte.
send_same() {
	local receiver

	ip netns exec "$NET_H2" "$UDPSAME" receive "$1" "$2" "$3" 5001 </dev/null 3>&- &
	receiver=$!
	wait_listening "$NET_H2" -u 5001 &&
		in_ns "$NET_H1" "$UDPSAME" send "$1" "$2" "$3" 5001 &&
		wait "$receiver"
}

checksum_errors() {
	in_ns "$NET_H2" nstat -asz | awk '/Csum/ {sum += $2} END {print sum}'
}

# capture NAMESPACE DEVICE FILTER: in the background, to $NET_DIR/capture.
capture() {
	ip netns exec "$1" tcpdump -i "$2" -Z root -U --immediate-mode -w "$NET_DIR/capture" "$3" \
		</dev/null 2>"$NET_DIR/tcpdump" 3>&- &
	RECORD_PID[capture]=$!
	until grep -q listening "$NET_DIR/tcpdump"; do
		kill -0 "${RECORD_PID[capture]}"
		sleep 0.05
	done
}

capture_stop() {
	sleep 0.2
	kill -INT "${RECORD_PID[capture]}"
	wait "${RECORD_PID[capture]}"
}

# captured [FILTER]: how many.
captured() {
	tcpdump --count -nr "$NET_DIR/capture" "$@" 2>/dev/null | cut -d ' ' -f 1
}

all_exact() {
	json ".packets | .observed == $1 and .complete == $1 and .partial == 0 and .ambiguous == 0"
	json '.loss | length == 3 and all(.lost == 0)'
	json '[.domains[].lost] | add == 0'
}

every_size_arrives() {
	local size

	stamp udp 'udp port 5001'
	for size in 0 1 2 7 8 99 100 500 501 1431 1432; do
		send_same 20 "$size" "$1"
	done
	report_path
	all_exact 220
	[[ $(checksum_errors) == 0 ]]
}

@test "equal datagrams with IP ID 0 are ambiguous without stamps" {
	record_route 'udp port 5001'
	capture "$NET_H2" eth0 'udp port 5001'
	send_same $COUNT 100 10.0.2.1
	capture_stop
	report_path
	[[ $(captured 'ip[4:2] = 0') == "$COUNT" ]]
	json '.packets | .observed == 1 and .ambiguous == 1 and .complete == 0'
}

@test "equal datagrams with IP ID 0 are exact with stamps" {
	stamp udp 'udp port 5001'
	send_same $COUNT 100 10.0.2.1
	report_path
	all_exact $COUNT
}

@test "every byte arrives, odd and even, IPv4" {
	every_size_arrives 10.0.2.1
}

@test "every byte arrives, odd and even, IPv6" {
	every_size_arrives fd02::1
}

@test "every byte arrives, odd and even, IPv4, checksums left to the device" {
	offload on
	every_size_arrives 10.0.2.1
}

@test "every byte arrives, odd and even, IPv6, checksums left to the device" {
	offload on
	every_size_arrives fd02::1
}

@test "tcpdump finds no wrong checksum" {
	offload on
	stamp udp 'udp port 5001'
	capture "$NET_H2" eth0 'udp port 5001'
	for size in 10 11 600 601; do
		send_same 10 $size 10.0.2.1
		send_same 10 $size fd02::1
	done
	capture_stop
	report_path
	[[ $(tcpdump -nvvr "$NET_DIR/capture" 2>/dev/null | grep -c 'udp sum ok') == 80 ]]
	[[ $(captured "$STAMPED_UDP") == 40 ]]
}

# sizes_up_to MTU ADDRESS HEADERS: the datagrams that fit with a stamp have one, the others are let alone.
sizes_up_to() {
	local size largest=$(($1 - $3))

	for ((size = largest - 14; size <= largest; size++)); do
		send_same 1 "$size" "$2"
	done
}

@test "nothing goes past the MTU" {
	stamp udp 'udp port 5001'
	capture "$NET_H2" eth0 'udp port 5001'
	sizes_up_to 1500 10.0.2.1 28
	sizes_up_to 1500 fd02::1 48
	capture_stop
	report_path
	[[ $(captured) == 30 && $(captured 'greater 1515') == 0 ]]
	[[ $(captured "$STAMPED_UDP") == 3 ]]
	all_exact 30
}

@test "nothing goes past the MTU of the route" {
	ip -n "$NET_H1" route add 10.0.2.0/24 via 10.0.1.254 mtu 1400
	ip -n "$NET_H1" -6 route add fd02::/64 via fd01::fe mtu 1400
	stamp udp 'udp port 5001'
	capture "$NET_H2" eth0 'udp port 5001'
	sizes_up_to 1400 10.0.2.1 28
	sizes_up_to 1400 fd02::1 48
	capture_stop
	report_path
	ip -n "$NET_H1" route del 10.0.2.0/24
	ip -n "$NET_H1" -6 route del fd02::/64
	[[ $(captured) == 30 && $(captured 'greater 1415') == 0 ]]
	[[ $(captured "$STAMPED_UDP") == 3 ]]
}

@test "fragments are let alone" {
	stamp udp udp
	capture "$NET_H2" eth0 udp
	send_same 10 4000 10.0.2.1
	send_same 10 4001 fd02::1
	capture_stop
	report_path
	[[ $(captured) -ge 30 && $(captured "$STAMPED_UDP") == 0 ]]
	json '.loss | length > 0 and all(.lost == 0)'
}

@test "a stamp that a probe cannot reach is no event, and counted" {
	offload on # else the kernel copies it into one piece
	ip -n "$NET_H1" link set eth0 mtu 9000
	ip -n "$NET_MID" link set p1 mtu 9000
	record_start h1 "$NET_H1" -p dev:eth0:tx 'udp port 5001'
	in_ns "$NET_H1" "$PAGED" 30 eth0
	record_stop h1 || (($? == 3))
	ip -n "$NET_H1" link set eth0 mtu 1500
	ip -n "$NET_MID" link set p1 mtu 1500
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/h1.vnt"
	json '.probes[0].events == 0 and .probes[0].lost == 30'
	json '[.ledger[] | select(.cause == "out of reach").count] | add == 30'
}

@test "what is forwarded, and what the filter leaves out, is let alone" {
	record_begin r "$NET_MID" --stamp udp -i p1 -i p2 'udp port 5001'
	record_start h1 "$NET_H1" --stamp udp -i eth0 'udp port 5002'
	capture "$NET_H2" eth0 udp
	send_same 20 100 10.0.2.1
	capture_stop
	record_stop h1
	record_stop r
	[[ $(captured) == 20 && $(captured "$STAMPED_UDP") == 0 ]]
}

@test "through masquerading" {
	offload on
	in_ns "$NET_MID" iptables -t nat -A POSTROUTING -o p2 -j MASQUERADE
	stamp tcp,udp "$SENT"
	capture "$NET_H2" eth0 "src 10.0.2.254 and ($STAMPED_UDP or $STAMPED_TCP)"
	send_same $COUNT 101 10.0.2.1
	iperf 10.0.2.1 -n 1M
	capture_stop
	report_path
	in_ns "$NET_MID" iptables -t nat -F
	[[ $(captured udp) == "$COUNT" && $(captured tcp) -gt 100 && $(checksum_errors) == 0 ]]
	json "[.flows[] | select(.dport == 5001).packets] == [$COUNT]"
	json '.packets | .complete == .observed and .ambiguous == 0'
	json '.loss | length == 3 and all(.lost == 0)'
}

# tunnel NAMESPACE LOCAL REMOTE NUMBER: both families inside.
tunnel() {
	ip -n "$1" link add vx0 type vxlan id 7 dstport 4789 local "$2" remote "$3" dev eth0 "${@:5}"
	ip -n "$1" link set vx0 up
	ip -n "$1" address add "10.7.0.$4/24" dev vx0
	ip -n "$1" address add "fd07::$4/64" dev vx0 nodad
	in_ns "$1" ethtool -K vx0 tso off gso off gro off >/dev/null
}

# in_tunnel [OPTION]...: the stamp is in the innermost packet, which every probe on the way sees.
in_tunnel() {
	tunnel "$NET_H1" 10.0.1.1 10.0.2.1 1 "$@"
	tunnel "$NET_H2" 10.0.2.1 10.0.1.1 2 "$@"
	in_ns "$NET_H1" ping -q -c 1 -W 2 10.7.0.2
	# shellcheck disable=SC2034 # of report_path
	MIDDLE=r
	record_begin h1 "$NET_H1" --stamp tcp,udp -i vx0 -i eth0 "$SENT"
	record_begin r "$NET_MID" -i p1 -i p2 "$SENT"
	record_start h2 "$NET_H2" -i eth0 -i vx0 "$SENT"
	capture "$NET_H2" eth0 'udp port 4789'
	for size in 50 51 1000 1001; do
		send_same 50 $size 10.7.0.2
		send_same 50 $size fd07::2
	done
	iperf 10.7.0.2 -n 1M
	capture_stop
	report_path
	ip -n "$NET_H1" link del vx0
	ip -n "$NET_H2" link del vx0
	[[ $(checksum_errors) == 0 ]]
	# Once, inside: UDP around the tunnel ends where IP does.
	[[ $(captured) -ge 400 && $(captured 'ip[2:2] != udp[4:2] + 20') == 0 ]]
	# Behind UDP, VXLAN, Ethernet, IPv4, TCP and timestamps.
	[[ $(captured 'udp[39] = 6 and udp[82:4] = 0xfd08564e') -gt 100 ]]
	json '.packets | .observed > 400 and .complete == .observed and .ambiguous == 0'
	json '.paths | length == 1 and (.[0].probes | length == 6)'
	json '.loss | length == 5 and all(.lost == 0)'
	json '[.flows[] | select(.dport == 5001) | .packets] | add == 400'
}

@test "through a VXLAN tunnel" {
	in_tunnel
}

@test "through a VXLAN tunnel, checksums left to the device" {
	offload on
	in_tunnel udpcsum
}

# iperf ADDRESS [OPTION]...: megabits per second at the receiver.
iperf() {
	ip netns exec "$NET_H2" iperf3 -s -1 </dev/null >/dev/null 2>&1 3>&- &
	wait_listening "$NET_H2" -t 5201
	in_ns "$NET_H1" iperf3 -J -c "$@" </dev/null >"$NET_DIR/iperf.json"
	wait $!
	jq '.end.sum_received.bits_per_second / 1e6 | floor' "$NET_DIR/iperf.json"
}

segments_stamped() {
	stamp tcp 'tcp dst port 5201'
	capture "$NET_H2" eth0 'tcp dst port 5201'
	iperf "$1" -n 2M
	capture_stop
	report_path
	[[ $(checksum_errors) == 0 ]]
	json '.loss | length > 0 and all(.lost == 0)'
	json '.packets | .complete == .observed and .ambiguous == 0'
}

@test "TCP: every segment of a connection has a stamp, IPv4" {
	segments_stamped 10.0.2.1
	# Two connections: control and data. SYNs have none.
	[[ $(captured "$STAMPED_TCP") == $(captured 'tcp[13] & 2 = 0') ]]
	[[ $(captured 'greater 1515') == 0 && $(captured) -gt 200 ]]
}

@test "TCP: every segment of a connection has a stamp, IPv6" {
	segments_stamped fd02::1
	[[ $(captured 'ip6[72:4] = 0xfd08564e') == $(captured 'ip6[53] & 2 = 0') ]]
	[[ $(captured 'greater 1515') == 0 && $(captured) -gt 200 ]]
}

@test "TCP: connections of another port and another namespace are let alone" {
	record_begin r "$NET_MID" --stamp tcp -p dev:p2:tx tcp
	record_start h1 "$NET_H1" --stamp tcp -i eth0 'tcp port 5202'
	capture "$NET_H2" eth0 tcp
	iperf 10.0.2.1 -n 1M
	capture_stop
	record_stop h1
	record_stop r
	[[ $(captured) -gt 100 && $(captured "$STAMPED_TCP") == 0 ]]
}

@test "TCP: what stamps cost" {
	local with without traced mode

	for mode in off on; do
		in_ns "$NET_H1" ethtool -K eth0 tx $mode sg $mode tso $mode gso $mode >/dev/null
		in_ns "$NET_MID" ethtool -K p2 tx $mode sg $mode tso $mode gso $mode >/dev/null
		without=$(iperf 10.0.2.1 -t 1)
		record_start h1 "$NET_H1" --stamp tcp -p dev:eth0:tx --sample 1/65536 'tcp port 5201'
		with=$(iperf 10.0.2.1 -t 1)
		record_stop h1
		record_start h1 "$NET_H1" -p dev:eth0:tx --sample 1/65536 'tcp port 5201'
		traced=$(iperf 10.0.2.1 -t 1)
		record_stop h1
		echo "# measured: iperf3, TSO $mode: $without Mbit/s, $traced traced, $with stamped" >&3
	done
	in_ns "$NET_MID" ethtool -K p2 tx off sg off tso off gso off >/dev/null
}

# nothing_left: no program of ours, and no packet altered.
nothing_left() {
	sleep 1
	[[ -z $(bpftool prog show name stamp_udp) && -z $(bpftool prog show name stamp_tcp) ]]
	capture "$NET_H2" eth0 'udp port 5001 or tcp port 5201'
	send_same 20 100 10.0.2.1
	iperf 10.0.2.1 -n 1M
	capture_stop
	[[ $(captured) -gt 100 ]]
	[[ $(captured "$STAMPED_UDP") == 0 && $(captured "$STAMPED_TCP") == 0 ]]
}

# ends SIGNAL
ends() {
	local client

	record_start h1 "$NET_H1" --stamp tcp,udp -i eth0
	capture "$NET_H2" eth0 "$STAMPED_TCP"
	iperf 10.0.2.1 -t 2 -b 50M >/dev/null &
	client=$!
	sleep 1
	kill "-$1" "${RECORD_PID[h1]}"
	wait $client
	wait "${RECORD_PID[h1]}" || true
	capture_stop
	[[ $(captured) -gt 100 ]]
	nothing_left
}

@test "SIGTERM leaves nothing, and no connection breaks" {
	ends TERM
}

@test "SIGINT leaves nothing, and no connection breaks" {
	ends INT
}

@test "kill -9 leaves nothing, and no connection breaks" {
	ends KILL
}

# stamper_start: as on a kernel whose tc has no links.
stamper_start() {
	ip netns exec "$NET_H1" "$STAMPER" eth0 </dev/null 2>"$NET_DIR/stamper.err" 3>&- &
	RECORD_PID[stamper]=$!
	record_wait_ready $! "$NET_DIR/stamper.err"
}

filters() {
	in_ns "$NET_H1" tc filter show dev eth0 egress | grep -c stamp_udp || true
}

@test "without links in tc: a filter that was left behind goes with the next start" {
	stamper_start
	[[ $(filters) == 1 ]]
	kill -KILL "${RECORD_PID[stamper]}"
	wait "${RECORD_PID[stamper]}" || true
	[[ $(filters) == 1 ]]
	stamper_start
	[[ $(filters) == 1 ]]
	capture "$NET_H2" eth0 "$STAMPED_UDP"
	send_same 20 100 10.0.2.1
	capture_stop
	[[ $(captured) == 20 ]]
	kill -KILL "${RECORD_PID[stamper]}"
	wait "${RECORD_PID[stamper]}" || true
	record_start h1 "$NET_H1" --stamp udp -i eth0
	[[ $(filters) == 0 ]]
	record_stop h1
	stamper_start
	kill "${RECORD_PID[stamper]}"
	wait "${RECORD_PID[stamper]}"
	[[ $(filters) == 0 ]]
	nothing_left
}

@test "what cannot be stamped" {
	for list in '' sctp 'tcp,' 'tcp,sctp' ',udp'; do
		run --separate-stderr "$VNETTRACE" record -i lo --stamp "$list"
		((status == 2))
		[[ $stderr == "vnettrace: record: --stamp must be tcp, udp or tcp,udp, not '$list'" ]]
	done
	run --separate-stderr "$VNETTRACE" record -p dev:lo:rx --stamp udp -o "$NET_DIR/none.vnt"
	((status == 1))
	[[ $stderr == 'vnettrace: record: nothing to stamp: no probe sees what a device sends' ]]
}
