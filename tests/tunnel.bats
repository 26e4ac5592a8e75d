#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Packets in tunnels: a container overlay, a tunnel in a tunnel, and VLAN tags that are in the frame.
#
#   h1 eth0 10.0.0.1 - p br0 vx0 in u1 eth0 10.8.0.1 === 10.8.0.2 eth0 u2 in vx0 br0 p - 10.0.0.2 eth0 h2

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

setup() {
	network_open
	U1=$NET_PREFIX-u1
	U2=$NET_PREFIX-u2
}

teardown() {
	network_close
}

# overlay_host UNDERLAY HOST ADDRESS PEER PORT: the half of a network at one underlay host.
overlay_host() {
	ip -n "$2" link add eth0 type veth peer name p netns "$1" &&
		ip -n "$2" address add "10.0.0.$3/24" dev eth0 &&
		ip -n "$2" link set eth0 mtu 1450 up &&
		ip -n "$1" link add vx0 type vxlan id 42 local "10.8.0.$3" remote "10.8.0.$4" \
			dstport "$5" &&
		ip -n "$1" link add br0 type bridge mcast_snooping 0 &&
		ip -n "$1" link set p master br0 &&
		ip -n "$1" link set vx0 master br0 &&
		ip -n "$1" link set p up &&
		ip -n "$1" link set vx0 up &&
		ip -n "$1" link set br0 up
}

# overlay PORT
overlay() {
	local ns

	for ns in "$NET_H1" "$NET_H2" "$U1" "$U2"; do
		network_namespace "$ns" || return
		in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
			net.ipv6.conf.default.disable_ipv6=1 || return
	done
	ip -n "$U1" link add eth0 type veth peer name eth0 netns "$U2" || return
	for ns in 1 2; do
		ip -n "$NET_PREFIX-u$ns" address add "10.8.0.$ns/24" dev eth0 || return
		ip -n "$NET_PREFIX-u$ns" link set eth0 up || return
		overlay_host "$NET_PREFIX-u$ns" "$NET_PREFIX-h$ns" "$ns" $((3 - ns)) "$1" || return
	done
	network_reachable 10.0.0.2 && network_neighbours
}

# record_overlay ARGUMENT...: at each device on the way from h1 to h2.
record_overlay() {
	record_start host "$NET_H1" -p dev:eth0:tx -p "dev:$U1/p:rx" -p "dev:$U1/vx0:tx" \
		-p "dev:$U1/eth0:tx" -p "dev:$U2/eth0:rx" -p "dev:$U2/vx0:rx" -p "dev:$U2/p:tx" \
		-p "dev:$NET_H2/eth0:rx" "$@"
}

report_overlay() {
	sleep 0.05
	record_stop host && "$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/host.vnt"
}

# one_path PACKETS PROBES SCENARIO
one_path() {
	scenario "$3" "$1" "$(jq -c '.paths[0].probes' "$NET_DIR/all.json")"
	json ".packets == {observed: $1, complete: $1, partial: 0, ambiguous: 0, copies: 0}"
	json ".paths | length == 1 and (.[0].probes | length == $2) and .[0].packets == $1"
}

@test "a container overlay is one path, and the report says which tunnel was where" {
	overlay 4789
	record_overlay 'udp port 5001'
	send_numbers 500 100 10.0.0.2
	report_overlay
	one_path 500 8 "UDP through an overlay"
	json '.flows | length == 1 and .[0].src == "10.0.0.1" and .[0].dst == "10.0.0.2"
		and .[0].bytes == 500 * 128'
	json '[.tunnels[] | {kind, id, src, dst, packets}] | length == 2 and all(. ==
		{kind: "vxlan", id: 42, src: "10.8.0.1", dst: "10.8.0.2", packets: 500})'
	json '[.tunnels[].probe | ltrimstr("host/dev:") | sub("^.*/"; "")] == ["eth0:tx", "eth0:rx"]'
	run -0 "$VNETTRACE" report "$NET_DIR/host.vnt"
	[[ $output == *vxlan*42*10.8.0.1*10.8.0.2*500* ]]
	"$VNETTRACE" merge -q -o "$NET_DIR/all.vnt" "$NET_DIR/host.vnt"
	"$VNETTRACE" report -f json -o "$NET_DIR/merged.json" "$NET_DIR/all.vnt"
	diff <(jq .tunnels "$NET_DIR/all.json") <(jq .tunnels "$NET_DIR/merged.json")
}

@test "TCP through an overlay, with offloads" {
	overlay 8472
	record_overlay 'tcp port 5201 and src 10.0.0.1'
	in_ns "$NET_H2" iperf3 -s -1 </dev/null >/dev/null 3>&- &
	wait_listening "$NET_H2" -t 5201
	in_ns "$NET_H1" iperf3 -c 10.0.0.2 -n 1M -b 50M </dev/null >/dev/null
	report_overlay
	json '.packets.observed > 20 and .packets.ambiguous == 0'
	json 'all(.probes[]; .lost == 0 and .packets > 0)'
	json 'all(.flows[]; .src == "10.0.0.1" and .dst == "10.0.0.2")'
}

@test "the filter sees the packet inside" {
	overlay 4789
	record_begin outside "$U1" -i eth0 'ip host 10.8.0.2'
	record_start inside "$U1" -p dev:eth0:tx 'src 10.0.0.1 and udp port 5001 and not host 10.8.0.1'
	send_numbers 100 100 10.0.0.2
	sleep 0.05
	record_stop outside
	record_stop inside
	[[ $("$VNETTRACE" report -f json "$NET_DIR/outside.vnt" | jq '.domains[0].events') == 0 ]]
	[[ $("$VNETTRACE" report -f json "$NET_DIR/inside.vnt" | jq '.domains[0].events') == 100 ]]
}

@test "another port, if it is given" {
	overlay 9999
	record_overlay 'udp port 5001'
	send_numbers 100 100 10.0.0.2
	report_overlay
	json '.tunnels == []'
	one_path 100 6 "VXLAN at a port that is not known"
	record_overlay --vxlan-port 9999 'udp port 5001'
	send_numbers 100 100 10.0.0.2
	report_overlay
	one_path 100 8 "VXLAN at a port that is given"
	json '.tunnels | length == 2'
}

@test "a tunnel in a tunnel" {
	local ns

	overlay 4789
	for ns in 1 2; do
		ip -n "$NET_PREFIX-h$ns" link add vx1 mtu 1400 type vxlan id 7 local "10.0.0.$ns" \
			remote "10.0.0.$((3 - ns))" dstport 8472
		ip -n "$NET_PREFIX-h$ns" address add "10.5.0.$ns/24" dev vx1
		ip -n "$NET_PREFIX-h$ns" link set vx1 up
	done
	network_reachable 10.5.0.2
	record_overlay -p "dev:vx1:tx" -p "dev:$NET_H2/vx1:rx" 'udp port 5001'
	send_numbers 200 100 10.5.0.2
	report_overlay
	one_path 200 10 "VXLAN in VXLAN"
	json '.flows | length == 1 and .[0].src == "10.5.0.1"'
	json '[.tunnels[] | select(.id == 42 and .src == "10.8.0.1" and .packets == 200)] | length == 2'
	json '[.tunnels[] | select(.id == 7 and .src == "10.0.0.1" and .packets == 200)] | length == 8'
}

@test "frames with VLAN tags in them cross a bridge" {
	network_switch bridge
	export MIDDLE=sw
	record_begin h1 "$NET_H1" -p dev:eth0:tx 'ether proto 0x88b5 or ether proto 0x88b6'
	record_begin sw "$NET_MID" -p dev:p1:rx -p dev:p2:tx 'ether proto 0x88b5 or ether proto 0x88b6'
	record_start h2 "$NET_H2" -p dev:eth0:rx 'ether proto 0x88b5 or ether proto 0x88b6'
	in_ns "$NET_H1" "$FRAMES" 50 eth0 0x8100 0x88b5
	in_ns "$NET_H1" "$FRAMES" 50 eth0 0x88a8 0x8100 0x88b6
	report_path
	one_path 100 4 "frames with VLAN tags"
	json '[.flows[] | .proto, .packets] | sort == [50, 50, "0x88b5", "0x88b6"]'
	json '[.tunnels[] | select(.kind == "vlan") | .id] | unique == [100, 101]'
}
