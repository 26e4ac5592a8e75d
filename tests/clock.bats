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

@test "a clock that jumps: ranges with bounds of their own, and hops with those of their packets" {
	mkdir -p jump
	"$BUILD/tests/scene" jump 3 500 400
	run --separate-stderr "$VNETTRACE" merge -o jump.vnt jump/h0.vnt jump/h1.vnt jump/h2.vnt
	((status == 0))
	[[ $stderr == *"'h0' and 'h1' show 1 step"* ]]
	"$VNETTRACE" report -f json jump.vnt >jump.json
	json jump.json '.domains[1].clock | .bound_ns > 390000 and (.segments | length == 3 and
		.[0].bound_ns < 20000 and .[1].bound_ns > 390000 and .[2].bound_ns < 20000 and
		.[0].to_ns == .[1].from_ns and .[1].to_ns == .[2].from_ns and
		.[1].to_ns - .[1].from_ns < 20000000 and
		(.[2].offset_ns - .[0].offset_ns + 400000 | fabs) < 1000000 and
		(.[0].drift_ppm - .[2].drift_ppm | fabs) < 0.1)'
	json jump.json '.domains[0, 2].clock.segments == [] and .domains[2].clock.bound_ns < 20000'
	# Of all hops one had packets in the ms of which nobody knows on which side of the jump it is.
	json jump.json '[.paths[].hops[] | select(.cross_domain) | .latency.bound_ns] | sort |
		length == 4 and .[2] < 20000 and .[3] == '"$(jq '.domains[1].clock.bound_ns' jump.json)"
	json jump.json '[.flows[].latency.bound_ns] | sort == '"$(jq -c '[.paths[].end_to_end.bound_ns] |
		sort' jump.json)"
	"$VNETTRACE" report -f json jump/h0.vnt jump/h1.vnt jump/h2.vnt | cmp - jump.json
	# Merged again they stay said, unless the reference is another one.
	"$VNETTRACE" merge -q -o again.vnt jump.vnt
	"$VNETTRACE" report -f json again.vnt | cmp - jump.json
	"$VNETTRACE" merge -q -o two.vnt jump/h0.vnt jump/h1.vnt
	"$VNETTRACE" merge -q -o again.vnt jump/h2.vnt two.vnt
	"$VNETTRACE" report -f json again.vnt >again.json
	json again.json '[.domains[].clock.segments[]] == []'
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

@test "--clock none: all times as they are" {
	"$VNETTRACE" merge -q --clock none h0.vnt h1.vnt h2.vnt | "$VNETTRACE" report -f json - >none.json 2>none.err
	grep -q "^vnettrace: report: domain 'h1': its clock is not known: its times cannot be compared" none.err
	json none.json '.domains | map(.clock.method) == ["none", "none", "none"] and
		map(.clock.offset_ns) == [0, 0, 0] and
		map(.clock.bound_ns) == [0, "unbounded", "unbounded"]'
	for host in h0 h1 h2; do
		"$VNETTRACE" report -f json "$host.vnt" | jq -c '.domains[] | [.name, .first_ns, .last_ns]'
	done >alone
	jq -c '.domains[] | [.name, .first_ns, .last_ns]' none.json | diff alone -
	run -1 diff alone <(jq -c '.domains[] | [.name, .first_ns, .last_ns]' all.json)
}

@test "no room for the copy of a pipe" {
	run --separate-stderr unshare --mount bash -c 'mkdir -p full && mount -t tmpfs -o size=64k none full || exit
		cat h0.vnt | TMPDIR=$PWD/full "$0" merge -o copied.vnt - h1.vnt' "$VNETTRACE"
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot copy 'standard input' to a file in '$PWD/full'
vnettrace: merge: cannot read 'standard input': No space left on device" ]]
	[[ ! -e copied.vnt ]]
}

@test "--clock FILE that cannot be used" {
	run --separate-stderr "$VNETTRACE" merge --clock sundial -o x.vnt h0.vnt
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot open 'sundial': No such file or directory" ]]
	echo "5 minutes late h1" >late
	run --separate-stderr "$VNETTRACE" merge --clock late -o x.vnt h0.vnt
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot read 'late': line 1 is not OFFSET_NS DRIFT_PPM BOUND_NS AT_NS NAME" ]]
	echo "0 -2000000 5 0 h1" >backwards
	run --separate-stderr "$VNETTRACE" merge --clock backwards -o x.vnt h0.vnt h1.vnt
	((status == 1))
	[[ $stderr == "vnettrace: merge: cannot read 'backwards': line 1: no clock drifts by -2e+06 ppm; 100000 either way are the most" ]]
	[[ ! -e x.vnt ]]
}

# No machine that tests run on shows counters of guests: this is a copy of what KVM makes of them.
@test "counters of virtual machines are recorded: at the start, each second, at the end" {
	[[ -d /sys/kernel/debug ]] || skip "no place for debugfs"
	cat >machines.sh <<'SCRIPT'
set -e
ip link set lo up
mount -t tmpfs none /sys/kernel/debug
cd /sys/kernel/debug
# machine MACHINE CPU OFFSET [RATIO BITS]
machine() {
	mkdir -p "kvm/$1/vcpu$2"
	echo "$3" >"kvm/$1/vcpu$2/tsc-offset"
	[[ -z $4 ]] || echo "$4" >"kvm/$1/vcpu$2/tsc-scaling-ratio"
	[[ -z $4 ]] || echo "$5" >"kvm/$1/vcpu$2/tsc-scaling-ratio-frac-bits"
}
machine 4711-11 0 -123456789012345 281474976710656 48
machine 4711-11 1 -123456789012345 281474976710656 48
machine 12-9 0 42
machine 13-9 0 1
machine 13-9 1 2
machine 14-9 0 nonsense
mkdir kvm/15-9 kvm/16-9-x
echo 0 >kvm/halt_exits
"$@" 2>"$OLDPWD/record.log" &
until grep -q tracing "$OLDPWD/record.log"; do
	kill -0 $!
	sleep 0.1
done
sleep 1.5
echo -5 >kvm/12-9/vcpu0/tsc-offset
wait
SCRIPT
	unshare --net --mount bash machines.sh "$VNETTRACE" record -i lo -d 2.5 -o "$PWD/vms.vnt"
	"$BUILD/tests/clocks" vms.vnt >rows
	grep ^vm rows | sort | uniq -c
	[[ $(grep ^vm rows | LC_ALL=C sort -u) == "vm 12-9 -5 1 0
vm 12-9 42 1 0
vm 13-9 "[12]" 0 0
vm 4711-11 -123456789012345 281474976710656 48" ]]
	(($(grep -c '^vm 4711' rows) == 4))
	"$VNETTRACE" merge -q -o merged.vnt vms.vnt
	"$BUILD/tests/clocks" merged.vnt | cmp - rows
}

# recorded NAME COMMAND...: its readings in NAME.rows. Two seconds of nothing.
recorded() {
	local name=$1

	shift
	unshare --net bash -c 'ip link set lo up && exec "$@"' - "$@" "$VNETTRACE" record -q -i lo -d 2 \
		-o "$PWD/$name.vnt"
	"$BUILD/tests/clocks" "$name.vnt" >"$name.rows"
}

# Numbers of awk are exact to 256 ns here.
@test "all clocks are read at the start, ten times a second and at the end" {
	"$BUILD/tests/clocks" >now
	began=${EPOCHREALTIME/[.,]/}000
	recorded anchors
	ended=${EPOCHREALTIME/[.,]/}000
	"$BUILD/tests/clocks" >>now
	cat anchors.rows
	grep ^anchor anchors.rows | awk -v began="$began" -v ended="$ended" '
		function off(a, b) { return a > b ? a - b : b - a }
		{
			mono = $3; raw = $5; real = $7; tai = $9; boot = $11; tsc = $13; width = $15
			if (real < began - 1e6 || real > ended + 1e6 || width <= 0)
				wrong = wrong " " NR
			if (off((tai - real) % 1e9, 5e8) < 4.99e8)
				wrong = wrong " tai:" NR
			if (NR == 1)
				first = mono
			else if (mono < last[1] || off(raw - last[2], mono - last[1]) > 2e6 ||
				off(real - last[3], mono - last[1]) > 1e6 ||
				off(boot - last[4], mono - last[1]) > 1e6 || (tsc && tsc <= last[5]))
				wrong = wrong " " NR
			last[1] = mono; last[2] = raw; last[3] = real; last[4] = boot; last[5] = tsc
		}
		END {
			print NR, "in", (mono - first) / 1e9, "s, wrong:" wrong
			exit wrong != "" || NR < 15 || NR > 25 || mono - first < 2e9
		}'
	# What the kernel said of its clock before or behind.
	[[ -z $(grep ^adjtimex anchors.rows | grep -vxF -f now) ]]
	[[ $(uname -m) != x86_64 || -z $(grep 'tsc 0 ' anchors.rows) ]]
}

@test "a recording in a time namespace has the same clock" {
	recorded without &
	recorded within unshare --time --fork --monotonic 1000000 --boottime 3000000
	wait $!
	"$VNETTRACE" merge without.vnt within.vnt | "$VNETTRACE" report -f json - >timens.json
	json timens.json '.domains[1].clock | .method == "same" and .offset_ns == 0 and .bound_ns == 0'
	awk '/^anchor/ && !seen[FILENAME]++ { mono[FILENAME] = $3; ahead[FILENAME] = $11 - $3 }
		END {
			for (name in mono) { m = mono[name] - m; a = ahead[name] - a }
			print m, a
			exit m > 5e9 || m < -5e9 || a > 1e6 || a < -1e6
		}' without.rows within.rows
}
