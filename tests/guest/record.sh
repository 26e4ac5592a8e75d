#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# record.sh - what a kernel must show it can do, run in a guest: record.sh DIR, a folder that outlives
# the guest. Leaves there the output of the headers tool, a capture of all packets at eth0 of h1, and
# recordings of them: all.vnt (at eth0 of h2 too), and N.vnt for line N of DIR/filters, from 0 on; then
# stamped.vnt, of equal datagrams and a connection.
set -euo pipefail

export NET_DIR=$1 NET_H1=h1 NET_H2=h2
# shellcheck source=tests/lib/network.bash
. "$(dirname "$0")/../lib/network.bash"
# shellcheck source=tests/lib/record.bash
. "$(dirname "$0")/../lib/record.bash"

modprobe -a openvswitch vxlan geneve ip_gre sch_netem 8021q bridge tun
: >"$NET_DIR/cleanup" # the end of the guest is
network_namespace h1
network_namespace h2
in_ns h1 "$BUILD/tests/headers" 1500 >"$NET_DIR/headers"
ip -n h1 link add eth0 type veth peer name eth0 netns h2
ip -n h1 link set eth0 up
ip -n h2 link set eth0 up
network_addresses h1 10.0.0.1/24 fd00::1/64
network_addresses h2 10.0.0.2/24 fd00::2/64
# Nobody asks once more for a neighbour while the recordings end, one before tcpdump and one after.
for namespace in h1 h2; do
	for ip in ipv4 ipv6; do
		in_ns "$namespace" sysctl -qw "net.$ip.neigh.eth0.delay_first_probe_time=3600"
	done
done

mapfile -t filters <"$NET_DIR/filters"
for i in "${!filters[@]}"; do
	record_begin "$i" h1 -v -i eth0 "${filters[i]}"
done
record_start all h1 -v -i eth0 -p dev:h2/eth0
ip netns exec h1 tcpdump -i eth0 -Z root -U --immediate-mode -s 200 -B 16384 \
	-w "$NET_DIR/all.pcap" </dev/null 2>"$NET_DIR/tcpdump" &
RECORD_PID[tcpdump]=$!
until grep -q listening "$NET_DIR/tcpdump"; do
	kill -0 "${RECORD_PID[tcpdump]}"
	sleep 0.1
done

# ARP and neighbour discovery first: nobody knows anybody.
send_numbers 200 100 10.0.0.2 500
send_numbers 200 1000 fd00::2 500
in_ns h1 ping -q -c 10 -i 0.05 10.0.0.2 >/dev/null
in_ns h1 ping -q -c 10 -i 0.05 fd00::2 >/dev/null
in_ns h1 "$FRAMES" 20 eth0 0x88b5
in_ns h2 iperf3 -s -1 </dev/null >/dev/null &
wait_listening h2 -t 5201
in_ns h1 iperf3 -c 10.0.0.2 -n 1M </dev/null >/dev/null
sleep 0.5
for i in "${!filters[@]}" all; do
	record_stop "$i"
done
record_stop tcpdump TERM

# The options that change the programs, all of them.
in_ns h1 "$VNETTRACE" record --id payload --sample 1/2 --stamp tcp,udp --vxlan-port 1 -v -i eth0 -d 0.01 \
	-o /dev/null "${filters[-1]}"

record_start stamped h1 -v --stamp tcp,udp -i eth0 -p dev:h2/eth0 'udp port 5001 or tcp dst port 5201'
for address in 10.0.0.2 fd00::2; do
	in_ns h2 "$BUILD/tests/udpsame" receive 100 101 $address 5001 &
	receiver=$!
	wait_listening h2 -u 5001
	in_ns h1 "$BUILD/tests/udpsame" send 100 101 $address 5001
	wait $receiver
done
in_ns h2 iperf3 -s -1 </dev/null >/dev/null &
wait_listening h2 -t 5201
in_ns h1 iperf3 -c 10.0.0.2 -n 1M </dev/null >/dev/null
sleep 0.5
record_stop stamped
