#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Clocks from packets, on the command line: traces of hosts whose clocks differ by days and ppm.

bats_require_minimum_version 1.5.0

BUILD=${BUILD:-$BATS_TEST_DIRNAME/../build}
VNETTRACE=${VNETTRACE:-$BUILD/vnettrace}

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	"$BUILD/tests/scene" . 3
	"$VNETTRACE" merge -o all.vnt h0.vnt h1.vnt h2.vnt
	"$VNETTRACE" report -f json all.vnt >all.json
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
}

# json FILE EXPRESSION: it holds for the file.
json() {
	jq -e "$2" "$1" >/dev/null && return
	echo "does not hold: $2"
	jq -c '.domains[].clock, .paths[].hops[]' "$1"
	return 1
}

@test "packets both ways: a clock, a bound, a scatter" {
	json all.json '.domains[0].clock | .method == "reference" and .bound_ns == 0'
	json all.json '.domains[1:] | length == 2 and all(.clock | .method == "packets" and
		.bound_ns > 9000 and .bound_ns < 20000 and .scatter_ns < 1000 and .rejected == 0 and
		(.drift_ppm | fabs) < 200 and (.drift_ppm | fabs) > 1)'
	json all.json '[.paths[].hops[] | select(.cross_domain)] | length > 0 and
		all(.latency | .bound_ns > 9000 and .bound_ns < 20000 and
			(.min_ns - 10000 | fabs) < 1000)'
}

@test "several files to report, and merged ones merged again, say the same" {
	"$VNETTRACE" report -f json h0.vnt h1.vnt h2.vnt | cmp - all.json
	"$VNETTRACE" merge -o some.vnt h0.vnt h1.vnt
	"$VNETTRACE" report -f json some.vnt h2.vnt >some.json
	json some.json '.domains[2].clock | .method == "packets" and .bound_ns < 20000'
	# To the nanosecond that rounding costs on the way.
	jq -e -s '[.[].domains[1].clock.bound_ns] | .[0] - .[1] | fabs <= 2' some.json all.json
}

@test "pipes are read once and give the same" {
	mkdir -p spool
	export TMPDIR=$PWD/spool
	"$VNETTRACE" merge -o piped.vnt <(cat h0.vnt) - <(cat h2.vnt) <h1.vnt
	cmp piped.vnt all.vnt
	cat h0.vnt | "$VNETTRACE" merge -o piped.vnt - h1.vnt h2.vnt
	cmp piped.vnt all.vnt
	[[ -z $(ls spool) ]]
	run --separate-stderr env TMPDIR="$PWD/missing" "$VNETTRACE" merge -o piped.vnt - h1.vnt <h0.vnt
	((status == 0))
	run --separate-stderr bash -c 'cat h0.vnt |
		TMPDIR=$PWD/missing "$0" merge -o piped.vnt - h1.vnt' "$VNETTRACE"
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot copy 'standard input' to a file in '$PWD/missing'
vnettrace: merge: cannot read 'standard input': No such file or directory" ]]
}

@test "one direction only is unbounded, and said" {
	mkdir -p oneway
	"$BUILD/tests/scene" oneway 2 0
	run --separate-stderr "$VNETTRACE" report -f json oneway/h0.vnt oneway/h1.vnt
	((status == 0))
	[[ $stderr == *"packets between 'h0' and 'h1' went one way only: they bound no clock"* ]]
	[[ $stderr == *"domain 'h1': clock taken from CLOCK_REALTIME"* ]]
	[[ $(jq -r '.domains[1].clock.bound_ns' <<<"$output") == unbounded ]]
	[[ $(jq -r '.paths[].hops[] | select(.cross_domain) | .latency.bound_ns' <<<"$output") == \
		unbounded ]]
}

# The recipe is the manual's.
@test "--clock FILE: clocks as they were found before, or as the user says" {
	"$VNETTRACE" report -f json all.vnt | jq -r '.domains[] |
		"\(.clock.offset_ns) \(.clock.drift_ppm) \(.clock.bound_ns) \(.first_ns) \(.name)"' >clocks
	[[ $(wc -l <clocks) == 3 ]]
	"$VNETTRACE" merge --clock clocks h0.vnt h1.vnt h2.vnt | "$VNETTRACE" report -f json - >file.json
	json file.json '.domains[1:] | all(.clock.method == "file")'
	for key in offset_ns drift_ppm bound_ns; do
		diff <(jq ".domains[].clock.$key" file.json) <(jq ".domains[].clock.$key" all.json)
	done
	# One line in place of what bends a little.
	diff <(jq '.paths[].hops[] | select(.cross_domain) | .latency.min_ns / 1000 | round' file.json) \
		<(jq '.paths[].hops[] | select(.cross_domain) | .latency.min_ns / 1000 | round' all.json)
	grep h1 clocks >one
	run --separate-stderr "$VNETTRACE" merge --clock one -o file.vnt h0.vnt h1.vnt h2.vnt
	[[ $stderr == *"domain 'h2': clock taken from CLOCK_REALTIME"* && $stderr != *"'h1'"* ]]
}

@test "--clock FILE that cannot be used" {
	run --separate-stderr "$VNETTRACE" merge --clock sundial -o x.vnt h0.vnt
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot open 'sundial': No such file or directory" ]]
	echo "5 minutes late h1" >late
	run --separate-stderr "$VNETTRACE" merge --clock late -o x.vnt h0.vnt
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot read 'late': line 1 is not OFFSET_NS DRIFT_PPM BOUND_NS AT_NS NAME" ]]
}
