#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Packets that are sent again, arrive twice or in another order, and whatever else real networks do.
#
#   route    h1 eth0 10.0.1.1 -- p1 | router | p2 -- eth0 10.0.2.1 h2
#   wire     h1 eth0 10.0.0.1 -- p1 | tests/tools/forwarder.c | p2 -- eth0 10.0.0.2 h2

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=1000
# At the end iperf3 resets its connection, with packets that are equal in every byte.
IPERF='tcp port 5201 and tcp[13] & 4 = 0'
UDPSAME=$BUILD/tests/udpsame
FORTH='["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:p2:tx","h2/dev:eth0:rx"]'
BACK='["h2/dev:eth0:tx","r/dev:p2:rx","r/dev:p1:tx","h1/dev:eth0:rx"]'

setup() {
	network_open
}

teardown() {
	network_close
}

# h1 and h2 with nothing between them, for wire.
cables() {
	network_switch bridge && ip -n "$NET_MID" link delete "$BRIDGE"
}

# wire HABIT...: as the forwarder calls it, instead of the one before.
wire() {
	[[ -z ${forwarder:-} ]] || kill "$forwarder"
	rm -f "$NET_DIR/forwarder"
	ip netns exec "$NET_MID" "$BUILD/tests/forwarder" p1 p2 "$@" </dev/null >"$NET_DIR/forwarder" 3>&- &
	forwarder=$!
	network_undo network_stop_pid $!
	until grep -qs forwarding "$NET_DIR/forwarder"; do
		kill -0 $! || return
		sleep 0.02
	done
	before=$(surplus)
}

# How many packets p2 sent beyond those that came to p1.
surplus() {
	local statistics=/sys/class/net/p%s/statistics/%s_packets

	# shellcheck disable=SC2059
	in_ns "$NET_MID" cat "$(printf "$statistics" 2 tx)" "$(printf "$statistics" 1 rx)" |
		awk '{ sum[NR] = $1 } END { print sum[1] - sum[2] }'
}

# What the forwarder has sent twice: $more.
count_more() {
	more=$(($(surplus) - before))
	((more > 0))
}

# capture NAME NAMESPACE FILTER: what comes and goes by eth0.
capture() {
	ip netns exec "$2" tcpdump -i eth0 -Z root -U --immediate-mode -s 128 -B 16384 -w "$NET_DIR/$1.pcap" "$3" \
		</dev/null 2>"$NET_DIR/$1.tcpdump" 3>&- &
	CAPTURES+=($!)
	network_undo network_stop_pid $!
	until grep -qs listening "$NET_DIR/$1.tcpdump"; do
		kill -0 $! || return
		sleep 0.02
	done
}

capture_stop() {
	sleep 0.2
	kill -INT "${CAPTURES[@]}"
	wait "${CAPTURES[@]}"
	CAPTURES=()
}

# captured NAME [FILTER]: how many.
captured() {
	tcpdump --count -nr "$NET_DIR/$1.pcap" "${@:2}" 2>/dev/null | cut -d ' ' -f 1
}

# drop RULE...: what h1 sends to h2, in the router. $dropped is how many count_dropped finds.
drop() {
	in_ns "$NET_MID" nft "add table inet t
		add chain inet t f { type filter hook forward priority 0; }
		add rule inet t f iifname p1 $* counter drop"
}

count_dropped() {
	dropped=$(in_ns "$NET_MID" nft -j list ruleset | jq '[.. | .counter? | .packets?] | add')
	((dropped > 0))
}

retransmitted() {
	in_ns "$NET_H1" nstat -asz TcpRetransSegs | awk '/Retrans/ { print $2 }'
}

# path PROBES: how many packets went there; 0 if none.
path() {
	jq "[.paths[] | select(.probes == $1).packets] | add // 0" "$NET_DIR/all.json"
}

# lost: on the whole way, and all of it in the router.
lost() {
	json '.loss | all(.lost == 0 or (.from == "r/dev:p1:rx" and .to == "r/dev:p2:tx"))' || return
	jq '[.loss[].lost] | add' "$NET_DIR/all.json"
}

@test "TCP segments that are sent again are packets of their own" {
	network_router
	drop 'meta length > 500 tcp dport 5201 numgen inc mod 40 == 39'
	capture h1 "$NET_H1" "$IPERF"
	capture h2 "$NET_H2" "$IPERF"
	record_route "$IPERF"
	transfer 10.0.2.1 6M 64K
	report_path
	capture_stop
	count_dropped
	sent=$(captured h1)
	scenario "TCP, segments dropped and sent again" "$sent" "$FORTH" "$BACK"
	(($(retransmitted) > dropped / 2)) # not all: iperf3 ends without waiting for the last of its data
	[[ $(lost) == "$dropped" ]]
	# Nothing is more than a packet that tcpdump saw, and nothing less.
	json ".packets == {observed: $sent, complete: ($sent - $dropped), partial: $dropped,
		ambiguous: 0, copies: 0}"
	[[ $(path "$FORTH") == $(captured h2 'dst port 5201') ]]
	[[ $(path "$BACK") == $(captured h2 'src port 5201') ]]
}

# Without IP IDs, a segment that is sent again within a tick of the timestamps is the same packet, seen twice.
@test "TCP segments that are sent again, IPv6" {
	network_router
	drop 'meta length > 500 tcp dport 5201 numgen inc mod 40 == 39'
	capture h1 "$NET_H1" 'tcp port 5201'
	capture h2 "$NET_H2" 'tcp port 5201'
	record_route 'tcp port 5201'
	transfer fd02::1 6M 64K
	report_path
	capture_stop
	count_dropped
	scenario "TCP, the same over IPv6" "$(captured h1)" "$FORTH" "$BACK"
	arrived=$(captured h2 'dst port 5201')
	ambiguous=$(jq .packets.ambiguous "$NET_DIR/all.json")
	echo "dropped $dropped, lost $(lost), arrived $arrived, ambiguous $ambiguous"
	(($(lost) <= dropped && $(path "$FORTH") <= arrived))
	# Of an ambiguous one both may arrive.
	((ambiguous > 0 && $(lost) + ambiguous > dropped / 2 && $(path "$FORTH") + 2 * ambiguous >= arrived))
	json '.packets.observed == ([.packets.complete, .packets.partial, .packets.ambiguous] | add)'
}

# count_kinds: of what tcpdump saw at h1 there is the same at h2, and each kind is there.
count_kinds() {
	local kind

	for kind in '= 2' '= 18' '= 16' '= 24' '& 1 = 1' '& 4 = 4'; do
		(($(captured h1 "ip6[53] $kind") > 0))
		[[ $(captured h1 "ip6[53] $kind") == $(captured h2 "ip6[53] $kind") ]]
	done
}

# talk PORT: in the background. $talker, $listener
talk() {
	ip netns exec "$NET_H2" "$BUILD/tests/tcptalk" listen fd02::1 "$1" </dev/null >/dev/null 2>&1 3>&- &
	listener=$!
	wait_listening "$NET_H2" -t "$1" || return
	ip netns exec "$NET_H1" "$BUILD/tests/tcptalk" send 300000 fd02::1 "$1" </dev/null 2>/dev/null 3>&- &
	talker=$!
}

@test "TCP over IPv6 from SYN to FIN, probes, keep-alives and resets" {
	network_router
	capture h1 "$NET_H1" tcp
	capture h2 "$NET_H2" tcp
	record_route tcp
	talk 5202
	whole=$talker
	talk 5203 # is reset: the listener goes and has not read what came
	sleep 0.5
	kill "$listener"
	wait "$talker" || true
	run ! in_ns "$NET_H1" "$BUILD/tests/tcptalk" send 1 fd02::1 5204 # refused
	wait "$whole"
	wait_closed "$NET_H1" && wait_closed "$NET_H2"
	report_path
	capture_stop
	count_kinds
	sent=$(captured h1)
	scenario "TCP over IPv6, every kind" "$sent" "$FORTH" "$BACK"
	json ".packets == {observed: $sent, complete: $sent, partial: 0, ambiguous: 0, copies: 0}"
	[[ $(path "$FORTH") == $(captured h2 'dst host fd02::1') ]]
	[[ $(path "$BACK") == $(captured h1 'src host fd02::1') ]]
	in_ns "$NET_H1" nstat -asz TcpExtTCPKeepAlive TcpExtTCPWinProbe | awk '/Tcp/ && $2 < 1 { exit 1 }'
}

# What the forwarder sent twice is ambiguous, and nothing else.
twice_is_ambiguous() {
	scenario "$1" "$2" "$FORTH" "$BACK"
	count_more
	jq -c .ledger "$NET_DIR/all.json" # said of a failure
	json ".packets == {observed: $2, complete: ($2 - $more), partial: 0, ambiguous: $more, copies: 0}"
	json '.loss | length > 0 and all(.lost == 0)'
	json "[.paths[].packets] | add == $2 - $more"
	json ".probes | map(select(.name == \"h2/dev:eth0:rx\"))[0] | .events == .packets + $more"
}

@test "a network that gives a packet twice, UDP" {
	cables
	for address in 10.0.0.2 fd00::2; do
		wire twice 10
		capture h2 "$NET_H2" 'udp port 5001'
		record_route 'udp port 5001'
		send_lossy $COUNT 100 $address
		report_path
		capture_stop
		twice_is_ambiguous "UDP, every tenth given twice" $COUNT
		((more == COUNT / 10 && $(captured h2) == COUNT + more))
	done
}

@test "a network that gives a packet twice, TCP" {
	cables
	wire twice 10
	capture h1 "$NET_H1" "$IPERF"
	record_route "$IPERF"
	transfer 10.0.0.2 4M 64K
	report_path
	capture_stop
	twice_is_ambiguous "TCP, every tenth given twice" "$(captured h1)"
}

# Seen from where there are two: one has arrived before the next one sets out.
@test "a network that gives a packet twice, behind it" {
	cables
	wire twice 10
	record_begin r "$NET_MID" -i p2 udp
	record_start h2 "$NET_H2" -i eth0 udp
	send_lossy $COUNT 100 10.0.0.2
	sleep 0.05
	record_stop r
	record_stop h2
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR"/{r,h2}.vnt
	count_more
	scenario "UDP, twice, seen as two" $((COUNT + more)) '["r/dev:p2:tx","h2/dev:eth0:rx"]'
	json ".packets == {observed: ($COUNT + $more), complete: ($COUNT + $more), partial: 0, ambiguous: 0, copies: 0}"
}

# overtaken SCENARIO REORDERED: by RFC 4737, and as the receiver finds.
overtaken() {
	scenario "$1" $COUNT "$FORTH"
	[[ $(<"$NET_DIR/received") == "$COUNT $2" ]]
	json ".packets == {observed: $COUNT, complete: $COUNT, partial: 0, ambiguous: 0, copies: 0}"
	json ".paths | length == 1 and .[0].reordered == $2"
	json '.loss | length > 0 and all(.lost == 0)'
}

@test "packets that are overtaken by one, by many, and each other" {
	local habit count

	cables
	while read -r count habit; do
		# shellcheck disable=SC2086
		wire $habit
		record_route 'udp port 5001'
		send_numbers $COUNT 100 10.0.0.2
		report_path
		overtaken "UDP, $habit" "$count"
	done <<-END
		$((COUNT / 7)) hold 7 1
		$((COUNT / 11)) hold 11 9
		$((COUNT - COUNT / 10)) reverse 10
	END
}

# same ADDRESS: one datagram by which the way of the flow is known, then many equal ones, at once.
same() {
	local receiver

	in_ns "$NET_H1" sysctl -qw net.ipv4.ip_local_port_range='4000 4000'
	record_route 'udp port 5001'
	in_ns "$NET_H1" "$UDPSAME" send 1 99 "$1" 5001
	ip netns exec "$NET_H2" "$UDPSAME" receive $COUNT 100 "$1" 5001 </dev/null 3>&- &
	receiver=$!
	wait_listening "$NET_H2" -u 5001
	in_ns "$NET_H1" "$UDPSAME" send $COUNT 100 "$1" 5001 0
	wait $receiver
	report_path
}

@test "equal datagrams in a burst, on a wire that mixes them up" {
	cables
	for address in 10.0.0.2 fd00::2; do
		wire hold 9 2
		same $address
		scenario "equal UDP, ID 0, in another order" $((COUNT + 1)) "$FORTH"
		json '.packets == {observed: 2, complete: 1, partial: 0, ambiguous: 1, copies: 0}'
		json '.paths | length == 1 and .[0].end_to_end.count == 1'
		json ".probes | map(select(.events > 0)) | length == 4 and all(.events == $COUNT + 1 and .packets == 2)"
	done
}

# In order only if each one arrives before the next sets out, which is up to the kernel.
@test "equal datagrams in a burst, through a router" {
	network_router
	same 10.0.2.1
	scenario "equal UDP, ID 0" $((COUNT + 1)) "$FORTH"
	json ".packets | (.complete == $COUNT + 1 and .ambiguous == 0) or (.complete == 1 and .ambiguous == 1)"
	json ".packets | .observed == .complete + .ambiguous"
	json ".paths | length == 1 and .[0].reordered == 0"
}

# fragments_lost SCENARIO: of three for each datagram every tenth of one kind, in the router.
fragments_lost() {
	count_dropped
	((dropped == COUNT / 10))
	scenario "$1" $((3 * COUNT)) "${@:2}"
	[[ $(lost) == "$dropped" ]]
	json ".packets == {observed: (3 * $COUNT), complete: (3 * $COUNT - $dropped), partial: $dropped,
		ambiguous: 0, copies: 0}"
	in_ns "$NET_MID" nft flush ruleset
}

@test "fragments, lost in the middle" {
	network_router
	drop 'ip frag-off & 0x1fff == 185 numgen inc mod 10 == 9'
	record_route udp
	send_lossy $COUNT 4000 10.0.2.1
	report_path
	fragments_lost "IPv4 fragments, lost in the middle" "$FORTH"
	drop 'frag frag-off 181 numgen inc mod 10 == 9'
	record_route 'ip6 proto 44'
	send_lossy $COUNT 4000 fd02::1
	report_path
	fragments_lost "IPv6 fragments, lost in the middle" "$FORTH"
}

@test "ping with 4000 bytes, IPv4 and IPv6" {
	network_router
	for address in 10.0.2.1 fd02::1; do
		record_route 'icmp or ip6 proto 44'
		in_ns "$NET_H1" ping -q -c 100 -i 0.01 -s 4000 $address >/dev/null
		report_path
		scenario "ping, 4000 bytes, to $address" 600 "$FORTH" "$BACK"
		json '.packets == {observed: 600, complete: 600, partial: 0, ambiguous: 0, copies: 0}'
		json '.loss | length > 0 and all(.lost == 0)'
	done
}
