#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# speed.sh - how many events a second merge and report take from compressed files, on one CPU and on
# two, of two files and of 64, and how much memory. Builds Release, generates, and prints a table.
# Fails if a figure is missing, never because of what it is.
#
#   tests/bench/speed.sh [EVENTS]    default 24000000; about 8 bytes of disk each, three times
#
# Environment: ROUNDS=5, MEMORY=512M, BUILD, TMPDIR
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$source_dir/build}
ROUNDS=${ROUNDS:-5}
MEMORY=${MEMORY:-512M}
events=${1:-24000000}
# shellcheck source=tests/lib/packages.bash
. "$source_dir/tests/lib/packages.bash"

packages_install "${PACKAGES_BUILD[@]}"
cmake -S "$source_dir" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C "$BUILD" vnettrace bench-generate >/dev/null
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/vnettrace-speed.XXXXXX")
trap 'rm -rf "$folder"' EXIT
IFS=' ' read -ra cpus <<<"$(taskset -cp $$ | sed 's/.*: //' | tr ',-' '  ')"

# run_once COMMAND CPUS FILES: seconds and KiB.
run_once() {
	/usr/bin/time -f '%e %M' -o "$folder/time" taskset -c "$2" \
		"$BUILD/vnettrace" "$1" -q --memory "$MEMORY" -o "$folder/out" "$folder/$3".*.vnt
	cat "$folder/time"
}

# measure COMMAND CPUS FILES: the median of the rounds.
measure() {
	local round

	for ((round = 0; round < ROUNDS; round++)); do
		run_once "$@"
	done | sort -n | sed -n "$((ROUNDS / 2 + 1))p"
}

printf '%-8s %6s %5s %14s %8s %10s\n' command files CPUs 'M events/s' MiB 'target'
for files in 2 64; do
	"$BUILD/tests/bench-generate" "$folder/$files" "$files" "$events"
	for command in merge report; do
		for use in "${cpus[0]}" "${cpus[0]},${cpus[-1]}"; do
			read -r seconds kib <<<"$(measure "$command" "$use" "$files")"
			awk -v c="$command" -v f="$files" -v s="$seconds" -v k="$kib" -v e="$events" \
				-v n="$(($(tr -cd , <<<"$use" | wc -c) + 1))" 'BEGIN {
				t = c == "merge" ? 15 : 20
				printf "%-8s %6d %5d %14.1f %8.0f %10s\n", c, f, n, e / s / 1e6, k / 1024,
					">= " (n == 1 ? t : 1.7 * t)
			}'
		done
	done
	rm -f "$folder/$files".*.vnt "$folder/out"
done
