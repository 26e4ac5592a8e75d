#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh - the main job on a fresh Debian machine: installs packages, builds, makes a network of
# two hosts and a virtual switch, traces real traffic in three domains, merges, reports, cleans up.
# Needs root. The build goes to build/.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$source_dir/build}
export BUILD
unset VNETTRACE
# shellcheck source=tests/lib/packages.bash
. "$source_dir/tests/lib/packages.bash"
# shellcheck source=tests/lib/build.bash
. "$source_dir/tests/lib/build.bash"
# shellcheck source=tests/lib/network.bash
. "$source_dir/tests/lib/network.bash"
# shellcheck source=tests/lib/record.bash
. "$source_dir/tests/lib/record.bash"

say() {
	printf '\n== %s\n' "$*"
}

run_traffic() {
	ip netns exec "$NET_H2" sockperf server -i 10.0.0.2 -p 5001 </dev/null >"$NET_DIR/server.log" 2>&1 &
	network_undo network_stop_pid $!
	wait_listening "$NET_H2" -u 5001
	in_ns "$NET_H1" sockperf under-load -i 10.0.0.2 -p 5001 -t 5 --mps 2000 -m 64 </dev/null |
		grep -E 'Total|avg-|percentile (50|99)\.0' || true
}

main() {
	local domain started=$SECONDS

	[[ $EUID == 0 ]] || { echo "demo.sh: needs root" >&2; return 1; }
	say "packages"
	packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_NETWORK[@]}"
	say "build"
	build_in "$BUILD" Release >/dev/null
	say "network: h1 eth0 -- p1 $BRIDGE p2 -- eth0 h2"
	network_trap
	network_open
	network_any_switch
	say "vnettrace record, one per domain, while sockperf runs"
	record_path 'udp port 5001'
	run_traffic
	for domain in h1 sw h2; do
		record_stop "$domain"
		cat "$NET_DIR/$domain.err"
	done
	say "vnettrace merge"
	"$VNETTRACE" merge -o "$NET_DIR/all.vnt" "$NET_DIR"/{h1,sw,h2}.vnt
	say "vnettrace report"
	"$VNETTRACE" report "$NET_DIR/all.vnt"
	say "done in $((SECONDS - started)) s"
}

main "$@"
