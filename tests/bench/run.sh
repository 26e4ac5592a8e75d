#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh - what tracing costs, held against what it may cost: installs packages, builds Release, and
# measures on the quiet machine and on a loaded one. Prints each figure as it comes and a table at
# the end. Fails if a figure is missing, never because of what it is. Needs root and two CPUs.
#
#   tests/bench/run.sh [--short] [ROW]...    --short: one round of everything, under a minute
#
# Environment: ROUNDS=9, STATES="quiet loaded"
#
# Only pairs say something on a shared machine: measured without and with the tool in turns, and the
# median of the pairs' ratios is quoted.
set -uo pipefail

bench_dir=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "$bench_dir/../.." && pwd)
BUILD=${BUILD:-$source_dir/build}
# shellcheck source=tests/lib/packages.bash
. "$source_dir/tests/lib/packages.bash"
# shellcheck source=tests/lib/network.bash
. "$source_dir/tests/lib/network.bash"
# shellcheck source=tests/lib/record.bash
. "$source_dir/tests/lib/record.bash"
# shellcheck source=tests/bench/tools.bash
. "$bench_dir/tools.bash"
# shellcheck source=tests/bench/rows.bash
. "$bench_dir/rows.bash"

rows=(event udp tcp tcp-segments sockperf memory start flat)
IFS=' ' read -ra states <<<"${STATES:-quiet loaded}"
ROUNDS=${ROUNDS:-9}
EVENT_ARGUMENTS=()
UDP_SECONDS=0.6 # that udpflood sends
UDP_WINDOW=0.5  # of it, that count
SECONDS_EACH=1  # of traffic of tools that want whole ones

# figure|must be|than: a number, or another figure|what it is. Without a bound it is there to compare.
targets=(
	"tx, filter matches|<=|120|ns of an event net of an empty program, dev probe, filter on: tx"
	"rx, filter matches|<=|120|  rx"
	"tx, filter does not match|<=|60|  tx, and the filter does not match"
	"rx, filter does not match|<=|60|  rx, and the filter does not match"
	"tc, filter matches|<=|60|ns of an event net of an empty program, tc"
	"tc, clock read alone|||  (reading the clock alone)"
	"udp|>=|0.92|64-byte UDP at full speed, four probes: packets/s traced / untraced"
	"udp|>|udp-tcpdump|  above tcpdump on both ends"
	"udp|>|udp-perf|  above perf record of the same points"
	"udp|>|udp-bpftrace|  above bpftrace printing a line at the same points"
	"udp-empty|||  (programs that do nothing at the same points)"
	"udp-tcpdump|||  (tcpdump on both ends)"
	"udp-tcpdump-lost|||  (and what it does not see, per cent)"
	"udp-perf|||  (perf record)"
	"udp-bpftrace|||  (bpftrace printing)"
	"udp-bpftrace-count|||  (bpftrace counting)"
	"tcp|>=|0.98|iperf3 TCP, four probes: throughput traced / untraced"
	"tcp-empty|||  (programs that do nothing at the same points)"
	"tcp-segments|||  the same without offloads: a packet per segment"
	"under-load-p50|<=|1.02|sockperf under load, round trip traced / untraced: p50"
	"under-load-p99|<=|1.05|  p99"
	"ping-pong-p50|||sockperf ping-pong, round trip traced / untraced: p50"
	"ping-pong-p99|||  p99"
	"udp-lost|<=|0|events lost, default buffer: UDP at full speed"
	"tcp-lost|<=|0|  iperf3"
	"tcp-segments-lost|<=|0|  iperf3 without offloads"
	"sockperf-lost|<=|0|  sockperf"
	"udp-cpu|<=|0.10|cores for a million events/s, writing to disk: UDP at full speed"
	"tcp-segments-cpu|<=|0.10|  iperf3 without offloads"
	"udp-bytes|<=|8|trace file, bytes per event: UDP at full speed"
	"tcp-segments-bytes|<=|8|  iperf3 without offloads"
	"sockperf-bytes|<=|8|  sockperf"
	"memory|<=|64|memory of the recorder, default buffer, MiB"
	"start|<|1|64 probes: seconds until they trace"
	"stop|<|1|  seconds until they are gone"
	"flat|<=|1.10|time of an event's program, all CPUs busy / one busy"
)

declare -A figures

# figure NAME VALUE
figure() {
	[[ -n $2 ]] || failed+=("$state:$1")
	figures[$state:$1]=$2
	printf '%-7s %-26s %s\n' "$state" "$1" "$2"
}

build() {
	packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_NETWORK[@]}" "${PACKAGES_BENCH[@]}" &&
		cmake -S "$source_dir" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null &&
		ninja -C "$BUILD" vnettrace udpflood bench-event >/dev/null
}

# A neighbour that never sleeps: on each CPU a process with a tenth of a normal one's weight, and one
# that writes to the disk of the traces. They end by themselves, whatever becomes of us.
load_loaded() {
	local cpu

	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		timeout 300 nice -n 10 taskset -c "$cpu" bash -c 'while :; do :; done' &
		network_undo network_stop_pid $!
	done
	timeout 300 bash -c 'while :; do
		dd if=/dev/zero of="$1" bs=1M count=128 conv=fdatasync status=none
	done' - "$NET_DIR/load" &
	network_undo network_stop_pid $!
}

load_quiet() {
	:
}

run_row() {
	local status

	network_open || return
	"load_$state" </dev/null >/dev/null 2>&1 3>&-
	"row_$1" </dev/null
	status=$?
	network_close
	return "$status"
}

# holds VALUE OPERATOR BOUND
holds() {
	awk -v value="$1" -v bound="$3" "BEGIN { exit !(value $2 bound) }"
}

# verdict VALUE OPERATOR BOUND: nothing if there is no bound.
verdict() {
	[[ -n $2 ]] || return 0
	holds "$@" && echo met && return
	awk -v value="$1" -v bound="$3" 'BEGIN {
		if (bound) printf "missed by %.1f %%", 100 * (value > bound ? value - bound : bound - value) / bound
		else printf "missed by %s", value
	}'
}

print_target() {
	local figure operator bound what limit value

	IFS='|' read -r figure operator bound what <<<"$1"
	[[ -n ${figures[${states[0]}:$figure]:-}${figures[${states[-1]}:$figure]:-} ]] || return 0
	printf '%-72s %-18s' "$what" "$operator $bound"
	for state in "${states[@]}"; do
		limit=${figures[$state:$bound]:-$bound}
		value=${figures[$state:$figure]:-}
		printf ' %8s %-16s' "${value:--}" "${value:+$(verdict "$value" "$operator" "$limit")}"
	done
	echo
}

print_table() {
	local target

	printf '\n%-72s %-18s' what target
	printf ' %8s %-16s' "${states[@]/%/ }" | sed 's/ *$//'
	echo
	for target in "${targets[@]}"; do
		print_target "$target"
	done
}

if [[ ${1:-} == --short ]]; then
	shift
	ROUNDS=1
	EVENT_ARGUMENTS=(tc)
	UDP_SECONDS=0.15
	UDP_WINDOW=0.1
	states=(quiet)
fi
(($#)) || set -- "${rows[@]}"
for row; do
	declare -F "row_$row" >/dev/null || {
		echo "run.sh: no row '$row', there are: ${rows[*]}" >&2
		exit 2
	}
done
build || exit
network_trap
failed=()
for state in "${states[@]}"; do
	for row; do
		run_row "$row" || failed+=("$state:$row")
	done
done
print_table
((${#failed[@]} == 0)) || echo "run.sh: no figure: ${failed[*]}" >&2
((${#failed[@]} == 0))
