#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# compare.sh - vnettrace beside what people have, at the same work on the same data, each on one CPU.
# Builds Release, generates two hosts' recordings, and prints a table. A tool that cannot be had is
# left out, and why is said. Fails if an answer differs, never because of a speed. Needs root.
#
#   tests/bench/compare.sh [EVENTS]    default 4000000; about 300 bytes of disk each
#
# Environment: ROUNDS=3, HORIZON=1 (seconds that a packet is under way at most), BUILD, TMPDIR
#
# mergecap makes one file in the order of time of two, uncompressed: so does `vnettrace merge`, which
# decompresses and compresses. The databases join tables, and answer one query: packets that both
# hosts saw, mean latency each way, packets that one saw only. So does `vnettrace report`, from the
# recordings, beside all else that it says. Loading the tables, once, has a column of its own. Times
# are of processes, start to end, in interleaved pairs; medians are quoted.
set -uo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$source_dir/build}
ROUNDS=${ROUNDS:-3}
TMPDIR=${TMPDIR:-/var/tmp}
events=${1:-4000000}
HORIZON=${HORIZON:-1}
horizon_ns=$(awk -v s="$HORIZON" 'BEGIN { printf "%.0f", s * 1e9 }')
# shellcheck source=tests/lib/packages.bash
. "$source_dir/tests/lib/packages.bash"
# shellcheck source=tests/lib/network.bash
. "$source_dir/tests/lib/network.bash"
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')

columns='%-10s  %-34s %8s %12s   %-16s %12s %8s   %s\n'
# tool|what of vnettrace does the same|what is done
tools=(
	"mergecap|merge|two files to one, by time"
	"DuckDB|report|join of two tables by flow and key"
	"ClickHouse|report|join of two tables by flow and key"
)

# The words before JOIN differ between the databases. Times are signed there.
query() {
	cat <<-SQL
		SELECT sum(CASE WHEN ns > 0 THEN 1 ELSE 0 END), sum(CASE WHEN ns > 0 THEN ns ELSE 0 END),
			sum(CASE WHEN ns < 0 THEN 1 ELSE 0 END), sum(CASE WHEN ns < 0 THEN -ns ELSE 0 END),
			(SELECT count(*) FROM host0), (SELECT count(*) FROM host1)
		FROM (SELECT time1 - time0 AS ns
			FROM (SELECT flow, key, time AS time0 FROM host0) AS a
			$1 JOIN (SELECT flow, key, time AS time1 FROM host1) AS b USING (flow, key)) AS joined
		WHERE ns BETWEEN -$horizon_ns AND $horizon_ns
	SQL
}

# From the query's row: packets and their mean latency, each way; packets that one host saw only.
answer_of_row() {
	awk '{ print $1, int((2 * $2 + $1) / (2 * $1)), $3, int((2 * $4 + $3) / (2 * $3)),
		$5 - $1 - $3, $6 - $1 - $3, $5 + $6 - 2 * ($1 + $3) }' "$1"
}

answer_of_report() {
	jq -r '.packets.complete as $joined |
		[["d0", "d1"][] as $host | .paths[] | select(.probes[0] | startswith($host)) |
			.end_to_end | .count, .mean_ns] +
		[["d0", "d1"][] as $host | [.probes[] | select(.domain == $host).packets] |
			add - $joined] +
		[.packets.partial] | join(" ")' "$1"
}

# Every command that is measured, with an end in any case.
one_cpu() {
	timeout 120 taskset -c "$cpu" "$@"
}

# microseconds COMMAND...
microseconds() {
	local begin=${EPOCHREALTIME/[.,]/}

	"$@" || return
	echo $((${EPOCHREALTIME/[.,]/} - begin))
}

export_to() {
	local host

	for host in 0 1; do
		"$BUILD/tests/bench-export" "$1" "$NET_DIR/host.$host.vnt" >"$NET_DIR/host$host.$1" ||
			return
	done
}

vnettrace_merge() {
	one_cpu "$BUILD/vnettrace" merge -q -o "$NET_DIR/merged.vnt" "$NET_DIR"/host.{0,1}.vnt
}

vnettrace_report() {
	one_cpu "$BUILD/vnettrace" report -q -f json --horizon "$HORIZON" -o "$NET_DIR/report.json" \
		"$NET_DIR"/host.{0,1}.vnt
}

mergecap_prepare() {
	packages_install "${PACKAGES_MERGECAP[@]}" && export_to pcap
}

# Of packets of one time it takes those of its last file first.
mergecap_run() {
	one_cpu mergecap -F nsecpcap -w "$NET_DIR/merged.pcap" "$NET_DIR"/host{1,0}.pcap
}

# Packet by packet, also where times are equal; not the file headers.
mergecap_same() {
	"$BUILD/tests/bench-export" pcap "$NET_DIR/merged.vnt" | cmp -i 24 - "$NET_DIR/merged.pcap"
}

duckdb() {
	one_cpu "$BUILD/tests/bench-duckdb" "$NET_DIR/package/libduckdb.so" "$NET_DIR/duckdb" \
		'SET threads = 1' "$@"
}

DuckDB_prepare() {
	local host

	(cd "$NET_DIR" && npm pack --silent "$NPM_DUCKDB" && tar -xzf ./*.tgz) || return
	[[ -e $NET_DIR/host0.csv ]] || export_to csv || return
	for host in 0 1; do
		duckdb "CREATE TABLE host$host
			(time BIGINT, flow UBIGINT, key UBIGINT, probe USMALLINT)" || return
	done
}

DuckDB_load() {
	duckdb "COPY host$1 FROM '$NET_DIR/host$1.csv'" >/dev/null
}

DuckDB_run() {
	duckdb "$(query '')" >"$NET_DIR/DuckDB.row"
}

clickhouse() {
	in_ns "$NET_H1" timeout 120 taskset -c "$cpu" clickhouse-client "$@"
}

# In a network of its own, with nothing but loopback, and all its files in a folder of ours.
clickhouse_start() {
	local etc=/etc/clickhouse-server dir=$NET_DIR/clickhouse tries

	mkdir "$dir" && cp "$etc/users.xml" "$dir" && network_namespace "$NET_H1" || return
	sed "s|/var/l[a-z]*/clickhouse[-a-z]*/|$dir/|" "$etc/config.xml" >"$dir/config.xml"
	ip netns exec "$NET_H1" taskset -c "$cpu" clickhouse-server \
		--config-file="$dir/config.xml" </dev/null >"$dir/out" 2>&1 &
	network_undo network_stop_pid $!
	for ((tries = 0; tries < 100; tries++)); do
		clickhouse --query 'SELECT 1' >"$dir/ready" 2>&1 && return
		sleep 0.1
	done
	cat "$dir/out" "$dir/ready"
	return 1
}

ClickHouse_prepare() {
	local host

	packages_install "${PACKAGES_CLICKHOUSE[@]}" && clickhouse_start || return
	[[ -e $NET_DIR/host0.csv ]] || export_to csv || return
	for host in 0 1; do
		clickhouse --query "CREATE TABLE host$host
			(time Int64, flow UInt64, key UInt64, probe UInt16)
			ENGINE = MergeTree ORDER BY time PARTITION BY tuple()" || return
	done
}

ClickHouse_load() {
	clickhouse --query "INSERT INTO host$1 FORMAT CSV" <"$NET_DIR/host$1.csv"
}

ClickHouse_run() {
	clickhouse --max_threads 1 --query "$(query 'ALL INNER')" >"$NET_DIR/ClickHouse.row"
}

# load TOOL: its tables, if it has any; microseconds in $NET_DIR/TOOL.load.
load() {
	declare -F "$1_load" >/dev/null || return 0
	{ microseconds "$1_load" 0 && microseconds "$1_load" 1; } |
		awk '{ us += $1 } END { print us; exit NR < 2 }' >"$NET_DIR/$1.load"
}

# same TOOL: the same answer as vnettrace?
same() {
	if declare -F "$1_same" >/dev/null; then
		"$1_same"
	else
		diff <(answer_of_report "$NET_DIR/report.json") <(answer_of_row "$NET_DIR/$1.row")
	fi
}

# pairs TOOL COMMAND: a line for each round in $NET_DIR/TOOL.us: microseconds of both.
pairs() {
	local round turns turn
	local -A us

	for ((round = 0; round < ROUNDS; round++)); do
		turns=("$1_run" "vnettrace_$2")
		((round % 2)) && turns=("vnettrace_$2" "$1_run")
		for turn in "${turns[@]}"; do
			us[$turn]=$(microseconds "$turn") || return
		done
		echo "${us[$1_run]} ${us[vnettrace_$2]}" >>"$NET_DIR/$1.us"
	done
}

median() {
	sort -g | sed -n "$(((ROUNDS + 1) / 2))p"
}

print_row() {
	local tool=$1 command=$2 what=$3 same=yes loading=- theirs ours ratio

	same "$tool" >&2 || same=NO
	[[ -e $NET_DIR/$tool.load ]] &&
		loading=$(awk -v e="$events" '{ printf "%.2f", e / $1 }' "$NET_DIR/$tool.load")
	theirs=$(awk -v e="$events" '{ printf "%.2f\n", e / $1 }' "$NET_DIR/$tool.us" | median)
	ours=$(awk -v e="$events" '{ printf "%.2f\n", e / $2 }' "$NET_DIR/$tool.us" | median)
	ratio=$(awk '{ printf "%.2f\n", $1 / $2 }' "$NET_DIR/$tool.us" | median)
	printf "$columns" "$tool" "$what" "$loading" "$theirs" "vnettrace $command" "$ours" "$ratio" \
		"$same"
	[[ $same == yes ]]
}

# compare TOOL COMMAND WHAT: a row of the table, if the tool is there.
compare() {
	if ! "$1_prepare" </dev/null >"$NET_DIR/$1.out" 2>&1; then
		echo "compare.sh: no $1:" >&2
		sed 's/^/  /' "$NET_DIR/$1.out" >&2
		return 0
	fi
	load "$1" && pairs "$1" "$2" && print_row "$@" >>"$NET_DIR/table"
}

packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_COMPARE[@]}" || exit
cmake -S "$source_dir" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null &&
	ninja -C "$BUILD" vnettrace bench-generate bench-export bench-duckdb >/dev/null || exit
export TMPDIR
network_trap
network_open && "$BUILD/tests/bench-generate" "$NET_DIR/host" 2 "$events" 2 || exit
status=0
for row in "${tools[@]}"; do
	IFS='|' read -r tool command what <<<"$row"
	compare "$tool" "$command" "$what" </dev/null || status=1
done
printf "$columns" tool 'what it does' loading 'M events/s' against 'M events/s' ratio 'same answer'
[[ ! -e $NET_DIR/table ]] || cat "$NET_DIR/table"
if [[ -e $NET_DIR/report.json ]]; then
	read -r -a answer < <(answer_of_report "$NET_DIR/report.json")
	echo "$((answer[0] + answer[2])) packets joined, mean ${answer[1]} and ${answer[3]} ns each way;" \
		"${answer[4]} and ${answer[5]} not joined"
fi
exit "$status"
