#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The main job on real packets: h1 eth0 -- p1 | ovs-br1 | p2 -- eth0 h2, one recording per namespace.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

COUNT=2000
FORTH='["h1/dev:eth0:tx","sw/dev:p1:rx","sw/dev:p2:tx","h2/dev:eth0:rx"]'
BACK='["h2/dev:eth0:tx","sw/dev:p2:rx","sw/dev:p1:tx","h1/dev:eth0:rx"]'

setup_file() {
	network_open
	network_any_switch >&3
}

teardown_file() {
	network_close
}

# Every packet made the whole way: exactly N of them if N is given.
all_complete() {
	json '.packets | .complete == .observed and .partial == 0 and .ambiguous == 0'
	json '.loss | length > 0 and all(.lost == 0 and .sent == .received)'
	json '[.domains[].lost] | add == 0'
	json ".packets.observed ${1:+== $1 and .packets.observed} > 0"
}

means_add_up() {
	json '.paths | length > 0 and
		all(([.hops[].latency.mean_ns] | add) == .end_to_end.mean_ns)'
}

@test "N datagrams are N complete journeys, IPv4" {
	record_path 'udp port 5001'
	send_numbers $COUNT 100 10.0.0.2
	report_path
	all_complete $COUNT
	scenario "UDP, IPv4, through Open vSwitch" $COUNT "$FORTH"
	json ".paths | length == 1 and .[0].probes == $FORTH"
	json ".paths[0] | .packets == $COUNT and .end_to_end.count == $COUNT and .end_to_end.min_ns > 0"
	json '[.paths[0].hops[].cross_domain] == [true, false, true]'
	json '([.paths[0].hops[].share] | add) as $sum | $sum > 0.999 and $sum < 1.001'
	json ".flows | length == 1 and (.[0] | .dport == 5001 and .dst == \"10.0.0.2\" and
		.packets == $COUNT)"
	means_add_up
	# Kept for the tests that look at the same trace from other sides.
	mkdir -p "$NET_DIR/kept" && cp "$NET_DIR"/*.vnt "$NET_DIR/all.json" "$NET_DIR/kept"
}

@test "the report as text" {
	run --separate-stderr "$VNETTRACE" report "$NET_DIR/kept/all.vnt"
	((status == 0))
	[[ -z $stderr ]]
	[[ $output == *"h1/dev:eth0:tx -> sw/dev:p1:rx -> sw/dev:p2:tx -> h2/dev:eth0:rx"* ]]
	for word in min mean p50 p99 p99.9 max jitter share; do
		grep -qwF "$word" <<<"$output"
	done
	[[ $output != *$'\e'* ]]
}

@test "every key of the JSON schema is there" {
	keys() {
		jq -r "$1 | if type == \"array\" then .[0] else . end | keys | join(\" \")" \
			"$NET_DIR/kept/all.json"
	}
	[[ $(keys .) == "cpus domains flows ledger loss overhead packets paths probes schema tunnels" ]]
	[[ $(keys .domains) == \
		"boot_id clock events first_ns hostname kernel last_ns lost name sampled_out" ]]
	[[ $(keys '.domains[0].clock') == "bound_ns drift_ppm method offset_ns rejected scatter_ns \
segments" ]]
	[[ $(keys .probes) == \
		"bytes domain events lost name packet_rate packets sampled_out throughput_bps" ]]
	[[ $(keys .packets) == "ambiguous complete copies observed partial" ]]
	[[ $(keys .paths) == "end_to_end hops packets probes reordered" ]]
	[[ $(keys '.paths[0].hops') == "cross_domain from latency share to" ]]
	[[ $(keys .loss) == "from lost lost_bytes ratio ratio_max ratio_min reasons received \
received_bytes sent sent_bytes to" ]]
	[[ $(keys .flows) == \
		"bytes dport dst latency loss_ratio packets proto sport src throughput_bps translated" ]]
	[[ $(keys .cpus) == "cpu domain events probe" ]]
	[[ $(keys .overhead) == "events programs run_ns_per_event tracer_cpu_seconds" ]]
	latency="bound_ns count jitter_ns max_ns mean_ns min_ns p50_ns p90_ns p999_ns p99_ns"
	[[ $(keys '.paths[0].end_to_end') == "$latency" ]]
	[[ $(keys '.paths[0].hops[0].latency') == "$latency" ]]
	[[ $(keys '.flows[0].latency') == "$latency" ]]
	[[ $(jq -r .schema "$NET_DIR/kept/all.json") == vnettrace.report/1 ]]
}

@test "merge and report over pipes, and report of several files, say the same" {
	cd "$NET_DIR/kept"
	"$VNETTRACE" merge -o - h1.vnt sw.vnt h2.vnt | "$VNETTRACE" report -f json - >piped.json
	cmp all.json piped.json
	"$VNETTRACE" report -f json h1.vnt sw.vnt h2.vnt >several.json
	cmp all.json several.json
	"$VNETTRACE" merge -o again.vnt h1.vnt sw.vnt h2.vnt
	cmp all.vnt again.vnt
}

@test "report of a single file that was not merged" {
	"$VNETTRACE" report -f json "$NET_DIR/kept/h1.vnt" >"$NET_DIR/all.json"
	json ".packets.observed == $COUNT"
	json ".probes | map(select(.name == \"h1/dev:eth0:tx\" and .events == $COUNT)) | length == 1"
	"$VNETTRACE" report "$NET_DIR/kept/h1.vnt" >/dev/null
}

@test "N datagrams are N complete journeys, IPv6" {
	record_path 'ip6 and udp port 5001'
	send_numbers $COUNT 100 fd00::2
	report_path
	all_complete $COUNT
	scenario "UDP, IPv6, through Open vSwitch" $COUNT "$FORTH"
	json ".paths | length == 1 and .[0].probes == $FORTH"
	json '.flows[0].dst == "fd00::2"'
	means_add_up
}

@test "TCP without offloads: every segment, both ways" {
	# iperf3 resets its connection at the end, with packets that are equal in every byte: no ID can
	# tell these apart.
	record_path 'tcp port 5201 and tcp[13] & 4 = 0'
	# A window that the switch's receive buffer holds: what is lost there is lost for real.
	transfer 10.0.0.2 8M 32K
	report_path
	all_complete
	json '.packets.observed > 6000'
	json ".paths | map(.probes) | contains([$FORTH]) and contains([$BACK]) and length == 2"
	means_add_up
}

@test "ping, IPv4 and IPv6" {
	record_path 'icmp or icmp6'
	in_ns "$NET_H1" ping -q -c 20 -i 0.01 10.0.0.2
	in_ns "$NET_H1" ping -q -c 20 -i 0.01 fd00::2
	report_path
	all_complete 80
	scenario "ping, IPv4 and IPv6" 80 "$FORTH" "$BACK"
	means_add_up
}

@test "ARP and an unknown EtherType" {
	record_path
	in_ns "$NET_H1" "$FRAMES" 20 eth0 0x88b5
	ip -n "$NET_H1" neighbour delete 10.0.0.2 dev eth0
	in_ns "$NET_H1" ping -q -c 1 10.0.0.2
	network_neighbours
	report_path
	# Frames, ARP request, echo request. The switch may drop what it has no flow for yet.
	json '[.probes[] | {(.name): .events}] | add |
		.["h1/dev:eth0:tx"] >= 22 and .["sw/dev:p1:rx"] == .["h1/dev:eth0:tx"] and
		.["sw/dev:p2:tx"] > 2 and .["h2/dev:eth0:rx"] == .["sw/dev:p2:tx"]'
	"$VNETTRACE" report "$NET_DIR/all.vnt" >/dev/null
}

@test "a filter for an EtherType keeps only that" {
	record_start h1 "$NET_H1" -i eth0:tx ether proto 0x88b5
	in_ns "$NET_H1" "$FRAMES" 20 eth0 0x88b5
	in_ns "$NET_H1" "$FRAMES" 20 eth0 0x88b6
	in_ns "$NET_H1" ping -q -c 1 10.0.0.2
	record_stop h1
	"$VNETTRACE" report -f json "$NET_DIR/h1.vnt" >"$NET_DIR/all.json"
	json '.domains[0].events == 20'
}

# capture NAME NAMESPACE ARGUMENT...: tcpdump on eth0, returns when it listens.
capture() {
	local name=$1 namespace=$2 tries

	shift 2
	ip netns exec "$namespace" tcpdump -i eth0 -Z root --immediate-mode --nano -s 200 -B 16384 \
		-w "$NET_DIR/$name.pcap" "$@" </dev/null 2>"$NET_DIR/$name.tcpdump" 3>&- &
	# record_stop ends it.
	# shellcheck disable=SC2034
	RECORD_PID[$name]=$!
	network_undo network_stop_pid $!
	for ((tries = 0; tries < 100; tries++)); do
		grep -q listening "$NET_DIR/$name.tcpdump" && return
		sleep 0.05
	done
	return 1
}

@test "filters keep what tcpdump keeps" {
	filters=(icmp 'udp dst port 5001' 'host 10.0.0.2 and not udp' 'ip6 and src fd00::1'
		'greater 150' 'udp[8:4] < 100' 'ip[8] = 64 and not tcp' 'udp[107] >= 0 and udp[8:4] & 3 = 1'
		'udp and not udp[104:4] > 0x6e6e6e6e' 'icmp[(icmp[0] & 8) >> 3] = 0')
	capture filter "$NET_H1"
	for i in "${!filters[@]}"; do
		record_begin "filter$i" "$NET_H1" -i eth0 "${filters[i]}"
	done
	record_ready
	send_numbers 200 100 10.0.0.2
	send_numbers 100 200 fd00::2
	in_ns "$NET_H1" ping -q -c 10 -i 0.01 10.0.0.2
	in_ns "$NET_H1" ping -q -c 10 -i 0.01 fd00::2
	sleep 0.1
	for i in "${!filters[@]}"; do
		record_stop "filter$i"
	done
	record_stop filter TERM
	for i in "${!filters[@]}"; do
		want=$(tcpdump -nr "$NET_DIR/filter.pcap" "${filters[i]}" 2>/dev/null | wc -l)
		have=$("$VNETTRACE" report -f json "$NET_DIR/filter$i.vnt" | jq '.domains[0].events')
		echo "${filters[i]}: tcpdump $want, vnettrace $have"
		((want > 0 && want == have))
	done
}

@test "the same delays as tcpdump at the same devices" {
	capture from "$NET_H1" -Q out udp port 5001
	capture to "$NET_H2" -Q in udp port 5001
	record_path 'udp port 5001'
	send_numbers $COUNT 100 10.0.0.2
	report_path
	record_stop from TERM
	record_stop to TERM
	read -r pairs median max < <("$DELAYS" "$NET_DIR/all.vnt" h1/dev:eth0:tx h2/dev:eth0:rx \
		"$NET_DIR"/{from,to}.pcap)
	echo "# measured: delays against tcpdump, $pairs packets: median difference $median ns, max $max ns" >&3
	((pairs == COUNT))
	((median < 20000))
}

@test "a device of another namespace, by name and by pid" {
	ip netns exec "$NET_H2" sleep 60 3>&- &
	pid=$!
	network_undo network_stop_pid $pid
	for spec in "$NET_H2" "pid=$pid"; do
		record_start h1 "$NET_H1" -p "dev:$spec/eth0:rx" 'udp port 5001'
		send_numbers 100 100 10.0.0.2
		sleep 0.05
		record_stop h1
		"$VNETTRACE" report -f json "$NET_DIR/h1.vnt" >"$NET_DIR/all.json"
		json ".probes | length == 1 and .[0].name == \"h1/dev:$spec/eth0:rx\" and
			.[0].events == 100"
	done
	kill $pid
}

@test "port-of: every port of the bridge, and not the bridge" {
	record_start sw "$NET_MID" -p "port-of:$BRIDGE" 'udp port 5001'
	send_numbers 100 100 10.0.0.2
	sleep 0.05
	record_stop sw
	"$VNETTRACE" report -f json "$NET_DIR/sw.vnt" >"$NET_DIR/all.json"
	json '[.probes[].name] | sort == ["sw/dev:p1:rx","sw/dev:p1:tx","sw/dev:p2:rx","sw/dev:p2:tx"]'
	json '.packets | .observed == 100 and .complete == 100'
}

# traced_alone GLOB COMMAND...: of the switch only the bridge device is traced, and why is said.
traced_alone() {
	local pattern=$1

	shift
	run --separate-stderr in_ns "$NET_MID" "$@" "$VNETTRACE" record -v -i "$BRIDGE" -d 0.1 -o /dev/null
	echo "status $status: $stderr"
	((status == 3))
	[[ ${stderr_lines[0]} == "vnettrace: record: cannot list the ports of '$BRIDGE': "$pattern ]]
	[[ $(sed -n 's/.* probe [0-9]*: //p' <<<"$stderr" | xargs) == "dev:$BRIDGE:rx dev:$BRIDGE:tx" ]]
	run --separate-stderr in_ns "$NET_MID" "$@" "$VNETTRACE" record --strict -i "$BRIDGE" -o /dev/null
	((status == 1 && ${#stderr_lines[@]} == 1))
	[[ $stderr == "vnettrace: record: cannot list the ports of '$BRIDGE': "$pattern ]]
	run --separate-stderr in_ns "$NET_MID" "$@" "$VNETTRACE" record -p "port-of:$BRIDGE" -o /dev/null
	((status == 1 && ${#stderr_lines[@]} == 1))
	[[ $stderr == "vnettrace: record: cannot list the ports of '$BRIDGE': "$pattern ]]
}

@test "a switch that does not name its ports" {
	[[ -n ${OVS_RUNDIR:-} ]] || skip "the switch is a Linux bridge"
	traced_alone '*ovs-vsctl: not found' env PATH=/nonexistent
	traced_alone '*No such file or directory*' env OVS_RUNDIR=/nonexistent
	# Another TAP device is no bridge, and that is no fault.
	ip -n "$NET_MID" tuntap add dev tap9 mode tap
	run --separate-stderr in_ns "$NET_MID" "$VNETTRACE" record -i tap9 -d 0.1 -o /dev/null
	((status == 0 && ${#stderr_lines[@]} == 2))
	run --separate-stderr in_ns "$NET_MID" "$VNETTRACE" record -p port-of:tap9 -o /dev/null
	[[ $stderr == "vnettrace: record: 'tap9' is not a bridge with known ports" ]]
	# Last: nothing works without it.
	network_stop_pidfile "$OVS_RUNDIR/ovsdb-server.pid" 2>/dev/null
	traced_alone '*No such file or directory*'
}
