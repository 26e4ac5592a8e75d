# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# rows.bash - what is measured: row_NAME makes a network, measures, and calls figure NAME VALUE.
#
# The path is h1:eth0 -> p1 | bridge | p2 -> h2:eth0, so that each packet passes four points that are
# traced in both directions. A measure_NAME prints one line of numbers.

ADDRESS=10.0.0.2
PORT=5001

median() {
	sort -g | awk '{ value[NR] = $1 } END { if (NR) print value[int((NR + 1) / 2)]; exit !NR }'
}

# one_turn MEASURE TOOL: its numbers. The tool's own start and end are not in them.
one_turn() {
	"tool_$2_start" || return
	"$1"
	tool_stop
	"tool_$2_note"
	rm -f "$NET_DIR"/tool*.out "$NET_DIR"/*.pcap "$NET_DIR/perf.data"
}

# pairs MEASURE TOOL...: every tool's turns beside turns without any, in alternating order.
# $NET_DIR/TOOL has a line for each pair: the numbers without, and those with the tool.
pairs() {
	local measure=$1 tool round order turn

	shift
	"$measure" >/dev/null || return # caches, neighbours, the CPU's clock
	for ((round = 0; round < ROUNDS; round++)); do
		for tool; do
			order=(none "$tool")
			((round % 2)) && order=("$tool" none)
			for turn in "${order[@]}"; do
				one_turn "$measure" "$turn" >"$NET_DIR/turn-$turn" || return
			done
			paste -d ' ' "$NET_DIR/turn-none" "$NET_DIR/turn-$tool" >>"$NET_DIR/$tool"
		done
	done
}

# ratio TOOL COLUMN COLUMNS: the median of with / without.
ratio() {
	awk -v c="$2" -v n="$3" 'NF == 2 * n && $c { printf "%.3f\n", $(c + n) / $c }' "$NET_DIR/$1" |
		median
}

# The recorder's figures of the row NAME: the worst loss, the median of the others.
figures_of_recorder() {
	figure "$1-lost" "$(awk '{ lost += $1 } END { print lost + 0 }' "$NET_DIR/summaries")"
	figure "$1-bytes" "$(awk '{ print $2 }' "$NET_DIR/summaries" | median)"
	figure "$1-cpu" "$(awk '{ print $3 }' "$NET_DIR/summaries" | median)"
}

# Sender and receiver each have a CPU. The whole path, to the receiver's socket, runs on the
# sender's, which is the bottleneck; the tool may go where it finds time. What counts is received.
measure_udp() {
	local receiver

	ip netns exec "$NET_H2" taskset -c 1 "$BUILD/tests/udpflood" receive "$UDP_WINDOW" \
		"$ADDRESS" "$PORT" >"$NET_DIR/received" &
	receiver=$!
	wait_listening "$NET_H2" -u "$PORT" || return
	in_ns "$NET_H1" taskset -c 0 "$BUILD/tests/udpflood" send "$UDP_SECONDS" 64 "$ADDRESS" "$PORT" \
		>"$NET_DIR/sent" || return
	wait "$receiver" && paste -d ' ' "$NET_DIR/received" "$NET_DIR/sent"
}

row_udp() {
	local tools=(vnettrace empty tcpdump perf bpftrace bpftrace-count) tool

	network_switch bridge || return
	pairs measure_udp "${tools[@]}" || return
	figure udp-packets "$(awk '{ print $1 }' "$NET_DIR/vnettrace" | median)"
	figure udp "$(ratio vnettrace 1 2)"
	figure udp-sent "$(ratio vnettrace 2 2)"
	for tool in "${tools[@]:1}"; do
		figure "udp-$tool" "$(ratio "$tool" 1 2)"
	done
	figure udp-tcpdump-lost "$(median <"$NET_DIR/tcpdump-lost")"
	figures_of_recorder udp
}

measure_tcp() {
	local server

	ip netns exec "$NET_H2" iperf3 -s -1 -p "$PORT" >/dev/null 2>&1 &
	server=$!
	wait_listening "$NET_H2" -t "$PORT" || return
	in_ns "$NET_H1" iperf3 -J -c "$ADDRESS" -p "$PORT" -t "$SECONDS_EACH" |
		jq .end.sum_received.bits_per_second || return
	wait "$server"
}

row_tcp() {
	local ns

	network_switch bridge || return
	for ns in "$NET_H1:eth0" "$NET_H2:eth0" "$NET_MID:p1" "$NET_MID:p2"; do
		in_ns "${ns%:*}" ethtool -K "${ns##*:}" \
			rx on tx on sg on tso on gso on gro on >/dev/null || return
	done
	pairs measure_tcp vnettrace empty || return
	figure tcp-empty "$(ratio empty 1 1)"
	figure tcp-bits "$(awk '{ print $1 }' "$NET_DIR/vnettrace" | median)"
	figure tcp "$(ratio vnettrace 1 1)"
	figures_of_recorder tcp
}

row_tcp-segments() {
	network_switch bridge || return
	pairs measure_tcp vnettrace || return
	figure tcp-segments-bits "$(awk '{ print $1 }' "$NET_DIR/vnettrace" | median)"
	figure tcp-segments "$(ratio vnettrace 1 1)"
	figures_of_recorder tcp-segments
}

# sockperf_server CPU PORT
sockperf_server() {
	ip netns exec "$NET_H2" taskset -c "$1" sockperf server -i "$ADDRESS" -p "$2" \
		>/dev/null 2>&1 3>&- &
	network_undo network_stop_pid $!
	wait_listening "$NET_H2" -u "$2"
}

# sockperf_run PORT COMMAND...: p50 and p99
sockperf_run() {
	in_ns "$NET_H1" "${@:2}" -i "$ADDRESS" -p "$1" -t "$SECONDS_EACH" --full-rtt 2>&1 |
		awk '/percentile 50\.000/ { p50 = $NF } /percentile 99\.000/ { p99 = $NF }
		     END { print p50, p99; exit !p99 }'
}

# Under load the client takes a CPU and a half, the server the rest. Ping-pong stays on one CPU: the
# interrupt that wakes another virtual CPU takes longer than the path, and is never twice the same.
measure_sockperf() {
	local under_load

	under_load=$(sockperf_run "$PORT" sockperf under-load --mps 10000 --reply-every 1) || return
	echo "$under_load $(sockperf_run $((PORT + 1)) taskset -c 0 sockperf ping-pong)"
}

row_sockperf() {
	network_switch bridge && sockperf_server 1 "$PORT" && sockperf_server 0 $((PORT + 1)) || return
	pairs measure_sockperf vnettrace || return
	figure under-load-us "$(awk '{ print $1 }' "$NET_DIR/vnettrace" | median)"
	figure under-load-p50 "$(ratio vnettrace 1 4)"
	figure under-load-p99 "$(ratio vnettrace 2 4)"
	figure ping-pong-us "$(awk '{ print $3 }' "$NET_DIR/vnettrace" | median)"
	figure ping-pong-p50 "$(ratio vnettrace 3 4)"
	figure ping-pong-p99 "$(ratio vnettrace 4 4)"
	figures_of_recorder sockperf
}

# KiB that process PID holds: its own pages at their peak, and its BPF maps, mapped or not.
memory_of() {
	local peak mapped maps

	peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$1/status")
	mapped=$(awk '/^[0-9a-f]+-/ { map = /bpf-map/ } map && $1 == "Rss:" { sum += $2 }
		      END { print sum + 0 }' "/proc/$1/smaps")
	maps=$(cat "/proc/$1/fdinfo/"* | awk '$1 == "map_type:" { map = 1 } $1 == "pos:" { map = 0 }
		      map && $1 == "memlock:" { sum += $2 } END { print int(sum / 1024) }')
	echo $((peak - mapped + maps))
}

row_memory() {
	network_switch bridge || return
	tool_vnettrace_start || return
	measure_udp >/dev/null || return
	figure memory "$(memory_of "${RECORD_PID[all]}" | awk '{ printf "%.1f", $1 / 1024 }')"
	tool_stop
}

# seconds_since MICROSECONDS
seconds_since() {
	awk -v us=$((${EPOCHREALTIME/[.,]/} - $1)) 'BEGIN { printf "%.3f\n", us / 1e6 }'
}

# start_and_stop DEVICE-ARGUMENT...: both in seconds
start_and_stop() {
	local begin=${EPOCHREALTIME/[.,]/} pid line log started

	exec {log}< <(exec ip netns exec "$NET_H1" "$VNETTRACE" record -o "$NET_DIR/all.vnt" "$@" 2>&1)
	pid=$!
	while IFS= read -r -u "$log" line && [[ $line != *tracing* ]]; do
		:
	done
	started=$(seconds_since "$begin")
	begin=${EPOCHREALTIME/[.,]/}
	kill -INT "$pid"
	wait "$pid" || return
	exec {log}<&-
	echo "$started $(seconds_since "$begin")"
}

row_start() {
	local i round devices=()

	network_namespace "$NET_H1" || return
	for ((i = 0; i < 16; i++)); do
		ip -n "$NET_H1" link add "a$i" type veth peer name "b$i" || return
		devices+=(-i "a$i" -i "b$i")
	done
	for ((round = 0; round < ROUNDS; round++)); do
		start_and_stop "${devices[@]}" >>"$NET_DIR/times" || return
	done
	figure start "$(awk '{ print $1 }' "$NET_DIR/times" | median)"
	figure stop "$(awk '{ print $2 }' "$NET_DIR/times" | median)"
}

# The kernel's own statistics of the programs, net of an empty one: event.c.
row_event() {
	local name value

	"$BUILD/tests/bench-event" "${EVENT_ARGUMENTS[@]}" >"$NET_DIR/event" || return
	while IFS=$'\t' read -r name value _; do
		figure "$name" "$value"
	done <"$NET_DIR/event"
}

# program_ns CPU...: mean run time of the programs while a sender is busy on each CPU. Nobody is at
# the address, so that what is sent ends behind the last probe.
program_ns() {
	local cpu senders=()

	tool_vnettrace_start -v || return
	for cpu; do
		ip netns exec "$NET_H1" taskset -c "$cpu" "$BUILD/tests/udpflood" send "$UDP_SECONDS" \
			64 10.0.0.99 "$PORT" >/dev/null &
		senders+=($!)
	done
	wait "${senders[@]}" || return
	tool_stop
	sed -n 's/.* \([0-9]*\) ns each.*/\1/p' "$NET_DIR/all.err" | grep . && return
	cat "$NET_DIR/all.err" >&2
	return 1
}

row_flat() {
	local round one all

	network_switch bridge || return
	ip -n "$NET_H1" neighbour replace 10.0.0.99 dev eth0 nud permanent \
		lladdr "$(in_ns "$NET_H2" cat /sys/class/net/eth0/address)" || return
	for ((round = 0; round < ROUNDS; round++)); do
		one=$(program_ns 0) && all=$(program_ns $(seq 0 $(($(nproc) - 1)))) || return
		echo "$one $all" >>"$NET_DIR/times"
	done
	figure program-ns "$(awk '{ print $1 }' "$NET_DIR/times" | median)"
	figure program-ns-all "$(awk '{ print $2 }' "$NET_DIR/times" | median)"
	figure flat "$(awk '{ printf "%.3f\n", $2 / $1 }' "$NET_DIR/times" | median)"
}
