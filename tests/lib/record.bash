# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# record.bash - recordings in the background, and traffic for them. Needs network.bash.

BUILD=${BUILD:-$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)/build}
VNETTRACE=${VNETTRACE:-$BUILD/vnettrace}
UDPNUM=$BUILD/tests/udpnum
FRAMES=$BUILD/tests/frames
DELAYS=$BUILD/tests/delays
export VNETTRACE UDPNUM

declare -gA RECORD_PID
declare -ga RECORD_BEGUN
HIDDEN_PID=

# record_start DOMAIN NAMESPACE ARGUMENT...: returns when it traces, and all that were begun before do. Writes
# $NET_DIR/DOMAIN.vnt.
record_start() {
	record_begin "$@"
	record_ready
}

# The same, but does not wait for it: the kernel can look at the programs of several side by side.
record_begin() {
	local domain=$1 namespace=$2
	local file=$NET_DIR/$domain.vnt log=$NET_DIR/$domain.err

	shift 2
	hidden_start || return
	rm -f "$log" # an older recording of this domain traced, too
	ip netns exec "$namespace" "$VNETTRACE" record -o "$file" --domain "$domain" "$@" \
		</dev/null >/dev/null 2>"$log" 3>&- &
	RECORD_PID[$domain]=$!
	RECORD_BEGUN+=("$domain")
	network_undo network_stop_pid $!
}

# All that were begun trace.
record_ready() {
	local domain

	for domain in "${RECORD_BEGUN[@]}"; do
		record_wait_ready "${RECORD_PID[$domain]}" "$NET_DIR/$domain.err" || return
	done
	RECORD_BEGUN=()
}

# record_wait_ready PID LOG: for 30 s, on a busy machine.
record_wait_ready() {
	local tries

	for ((tries = 0; tries < 600; tries++)); do
		grep -qs tracing "$2" && return 0
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	echo "record does not trace:" >&2
	cat "$2" >&2
	return 1
}

# record_stop DOMAIN [SIGNAL]: its exit code.
record_stop() {
	hidden_stop
	kill "-${2:-INT}" "${RECORD_PID[$1]}"
	wait "${RECORD_PID[$1]}"
}

# Where the kernel hides packets from all programs, a test that lacks some proves nothing: it is run again.
hidden_start() {
	[[ -n ${BATS_TEST_NAME:-} && -z $HIDDEN_PID ]] || return 0
	: >"$BATS_TEST_TMPDIR/hidden" # what an older one said is no answer
	"$BUILD/tests/hidden" </dev/null >"$BATS_TEST_TMPDIR/hidden" 2>&1 3>&- &
	HIDDEN_PID=$!
	network_undo network_stop_pid $!
	hidden_says 1 && grep -qx counting "$BATS_TEST_TMPDIR/hidden" && return
	cat "$BATS_TEST_TMPDIR/hidden" >&2
	return 1
}

# hidden_says LINES: waits until it said as many.
hidden_says() {
	local tries

	for ((tries = 0; tries < 500; tries++)); do
		(($(wc -l <"$BATS_TEST_TMPDIR/hidden") >= $1)) && return 0
		sleep 0.01
	done
	return 1
}

hidden_stop() {
	local count

	[[ -n $HIDDEN_PID ]] || return 0
	kill "$HIDDEN_PID" && hidden_says 2 || {
		echo "nobody says how many packets were hidden" >&2
		return 1
	}
	HIDDEN_PID=
	count=$(tail -n 1 "$BATS_TEST_TMPDIR/hidden")
	[[ $count == 0 ]] && return
	echo "# measured: the kernel hid at most $count packets from all programs: $BATS_TEST_DESCRIPTION" >&3
	BATS_TEST_RETRIES=2
}

# record_path FILTER...: three recordings, one per namespace, through the switch.
record_path() {
	MIDDLE=sw
	record_begin h1 "$NET_H1" -i eth0 "$@"
	record_begin sw "$NET_MID" -i "$BRIDGE" "$@"
	record_start h2 "$NET_H2" -i eth0 "$@"
}

# record_route FILTER...: the same through the router.
record_route() {
	MIDDLE=r
	record_begin h1 "$NET_H1" -i eth0 "$@"
	record_begin r "$NET_MID" -i p1 -i p2 "$@"
	record_start h2 "$NET_H2" -i eth0 "$@"
}

# Stops what record_path or record_route started, merges and reports: $NET_DIR/all.vnt and all.json.
report_path() {
	local domain files=()

	# The last packet may still be in a softirq on its way to the last probe.
	sleep 0.05
	for domain in h1 "$MIDDLE" h2; do
		record_stop "$domain" || return
		files+=("$NET_DIR/$domain.vnt")
	done
	"$VNETTRACE" merge -o "$NET_DIR/all.vnt" "${files[@]}" &&
		"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/all.vnt"
}

# json EXPRESSION: it holds for all.json.
json() {
	jq -e "$1" "$NET_DIR/all.json" >/dev/null && return
	echo "does not hold: $1"
	jq -c '.packets, .domains[], .ledger[], .loss[], .paths[]' "$NET_DIR/all.json"
	return 1
}

# scenario NAME SENT PATH...: a row of the table that run.sh closes with. A PATH is an array of probes:
# packets on any other one, and packets more than were sent, were joined wrongly, and fail.
scenario() {
	local row

	row=$(jq -r --arg name "$1" --argjson sent "$2" --argjson right "[$(IFS=, && echo "${*:3}")]" '
		([.paths[] | select(.probes | IN($right[]) | not) | .packets] | add // 0) as $stray |
		.packets | [$name, $sent, .complete, .ambiguous,
			$stray + ([.observed - $sent, 0] | max)] | join("|")' \
		"$NET_DIR/all.json")
	echo "# scenario: $row" >&3
	[[ $row == *"|0" ]]
}

# send_numbers COUNT SIZE ADDRESS [RATE [TOGETHER]]: from h1 to h2, port 5001; fails unless all arrive.
# $NET_DIR/received has what the receiver says.
send_numbers() {
	local receiver

	ip netns exec "$NET_H2" "$UDPNUM" receive "$1" "${RECEIVER_WAITS:-2}" "$3" 5001 </dev/null \
		>"$NET_DIR/received" 3>&- &
	receiver=$!
	wait_listening "$NET_H2" -u 5001 &&
		in_ns "$NET_H1" "$UDPNUM" send "$1" "$2" "$3" 5001 "${4:-5000}" "${@:5}" &&
		wait "$receiver"
}

# send_lossy ARGUMENT...: as send_numbers, where not all will arrive.
send_lossy() {
	RECEIVER_WAITS=0.5 send_numbers "$@" || true
}

# transfer ADDRESS BYTES WINDOW: from h1 to h2, by iperf3, with a window that no queue on the way is too short
# for. Nothing is on its way any more when it returns.
transfer() {
	local server

	ip netns exec "$NET_H2" iperf3 -s -1 </dev/null >/dev/null 2>&1 3>&- &
	server=$!
	wait_listening "$NET_H2" -t 5201 &&
		in_ns "$NET_H1" iperf3 -c "$1" -n "$2" -w "$3" </dev/null >/dev/null &&
		wait "$server" && wait_closed "$NET_H1" && wait_closed "$NET_H2"
}

# wait_closed NAMESPACE: no end of a connection is left that sends anything by itself.
wait_closed() {
	local tries

	for ((tries = 0; tries < 500; tries++)); do
		[[ -z $(in_ns "$1" ss -Htn state connected exclude time-wait) ]] && return 0
		sleep 0.02
	done
	echo "connections do not end:" >&2
	in_ns "$1" ss -tn >&2
	return 1
}

# wait_listening NAMESPACE -u|-t PORT
wait_listening() {
	local tries

	for ((tries = 0; tries < 500; tries++)); do
		[[ -n $(in_ns "$1" ss -Hln "$2" "sport = :$3") ]] && return 0
		sleep 0.02
	done
	echo "nobody listens on port $3" >&2
	return 1
}
