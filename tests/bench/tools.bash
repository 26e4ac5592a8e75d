# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# tools.bash - the tools that are measured: each watches the same four points of the path, eth0 of
# both hosts and the two ports of the bridge between them. Needs network.bash and record.bash.
#
#   tool_NAME_start    returns when it traces
#   tool_stop          ends what was started
#   tool_NAME_note     keeps what it said on the way out

TOOL_PIDS=()

# tool_run COMMAND...: in the background, its output in $NET_DIR/tool.out.
tool_run() {
	"$@" </dev/null >"$NET_DIR/tool.out" 2>&1 3>&- &
	TOOL_PIDS+=($!)
	network_undo network_stop_pid $!
}

# tool_ready COUNT PATTERN
tool_ready() {
	local tries

	for ((tries = 0; tries < 200; tries++)); do
		[[ $(cat "$NET_DIR"/tool*.out 2>/dev/null | grep -c "$2") -ge $1 ]] && return 0
		sleep 0.05
	done
	cat "$NET_DIR"/tool*.out >&2
	return 1
}

tool_stop() {
	local pid

	for pid in "${TOOL_PIDS[@]}"; do
		kill -INT "$pid"
	done
	for pid in "${TOOL_PIDS[@]}"; do
		wait "$pid"
	done
	TOOL_PIDS=()
}

tool_none_start() { :; }
tool_none_note() { :; }
tool_perf_note() { :; }
tool_bpftrace_note() { :; }
tool_bpftrace-count_note() { :; }

tool_vnettrace_start() {
	record_start all "$NET_H1" -p "dev:$NET_H1/eth0" -p "dev:$NET_MID/p1" \
		-p "dev:$NET_MID/p2" -p "dev:$NET_H2/eth0" "$@" || return
	TOOL_PIDS+=("${RECORD_PID[all]}")
}

# Events lost, bytes for an event, and cores for a million events/s.
tool_vnettrace_note() {
	awk -F '[ ,]+' '/ lost, / { printf "%s %s %.3f\n", $5, $9, $15 / 100 / $11 * 1e6 }' \
		"$NET_DIR/all.err" >>"$NET_DIR/summaries"
}

# The floor: programs that do nothing at the same points.
tool_empty_start() {
	tool_run "$BUILD/tests/bench-event" hold
	tool_ready 1 holding
}

tool_empty_note() { :; }

# Only the ends: two points of four.
tool_tcpdump_start() {
	local ns

	for ns in "$NET_H1" "$NET_H2"; do
		ip netns exec "$ns" tcpdump -n -i eth0 -w "$NET_DIR/$ns.pcap" \
			</dev/null >"$NET_DIR/tool-$ns.out" 2>&1 3>&- &
		TOOL_PIDS+=($!)
		network_undo network_stop_pid $!
	done
	tool_ready 2 'listening on'
}

# Per cent of what it should have seen.
tool_tcpdump_note() {
	awk '/received by filter/ { seen += $1 } /dropped by kernel/ { dropped += $1 }
	     END { printf "%.1f\n", 100 * dropped / seen }' \
		"$NET_DIR"/tool*.out >>"$NET_DIR/tcpdump-lost"
}

# with_tracefs COMMAND...: where perf and bpftrace look for tracepoints, for this command only.
with_tracefs() {
	exec unshare --mount sh -c 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"' - "$@"
}

# It says nothing when it starts, but its file does.
tool_perf_start() {
	local tries

	tool_run with_tracefs perf record -q -a -o "$NET_DIR/perf.data" \
		-e net:net_dev_start_xmit -e net:netif_receive_skb
	for ((tries = 0; tries < 100; tries++)); do
		[[ -s $NET_DIR/perf.data ]] && break
		sleep 0.05
	done
	sleep 0.3
}

# BEGIN comes just before the other probes are attached.
bpftrace_start() {
	tool_run with_tracefs bpftrace -e "BEGIN { printf(\"ready\\n\"); }
		tracepoint:net:net_dev_start_xmit { $1 }
		tracepoint:net:netif_receive_skb { $1 }"
	tool_ready 1 ready && sleep 0.3
}

tool_bpftrace_start() {
	# shellcheck disable=SC2016
	bpftrace_start 'printf("%llu %s %d\n", nsecs, str(args->name), args->len);'
}

tool_bpftrace-count_start() {
	bpftrace_start '@[probe] = count();'
}
