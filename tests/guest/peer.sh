#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# peer.sh - the guest's side of a network of two kernels: peer.sh DIR, a folder it shares with the
# host. Records what passes eth0 (10.0.0.2) into DIR/guest.vnt, takes $COUNT datagrams and sends as
# many to 10.0.0.1.
set -euo pipefail

export NET_DIR=$1
# shellcheck source=tests/lib/record.bash
. "$(dirname "$0")/../lib/record.bash"

sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
ip address add 10.0.0.2/24 dev eth0
ip link set eth0 up
"$VNETTRACE" record -i eth0 --domain guest -o "$NET_DIR/guest.vnt" udp port 5001 \
	2>"$NET_DIR/record.err" &
record=$!
record_wait_ready "$record" "$NET_DIR/record.err"
"$UDPNUM" receive "$COUNT" 20 10.0.0.2 5001 &
receiver=$!
until [[ -n $(ss -Hlnu 'sport = :5001') ]]; do
	kill -0 "$receiver"
	sleep 0.1
done
touch "$NET_DIR/ready"
wait "$receiver"
"$UDPNUM" send "$COUNT" 100 10.0.0.1 5001 500
kill -INT "$record"
wait "$record"
