#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh - every test: installs packages, builds Release and Sanitize, runs unit tests and bats with
# both, checks format, lint and manual pages. Closes with a table of what became of the packets that
# were to be recognised, and "N passed, N failed". Needs root.
#
#   tests/run.sh [STEP]...    only these steps: see the list of them below
set -uo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
release=${BUILD:-$source_dir/build}
sanitize=$release-sanitize
jobs=$(nproc)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# shellcheck source=tests/lib/packages.bash
. "$source_dir/tests/lib/packages.bash"
# shellcheck source=tests/lib/build.bash
. "$source_dir/tests/lib/build.bash"
cd "$source_dir" || exit

passed=0
failed=0

steps=(packages kernels release sanitize unit-sanitize model fuzz format tidy man shell unit bats
	bats-sanitize guest bench)
# They depend on nothing that others do meanwhile, and take what others leave of the CPUs.
untimed=(kernels unit-sanitize model fuzz format tidy man shell)
# Before these they have ended.
timed=(bench)
beside=()

step_packages() {
	packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_NETWORK[@]}" "${PACKAGES_TEST[@]}" \
		"${PACKAGES_GUEST[@]}"
}

# Guests find them there.
step_kernels() (
	BUILD=$release
	# shellcheck source=tests/guest/kernel.bash
	. tests/guest/kernel.bash
	for kernel in "${!GUEST_KERNELS[@]}"; do
		kernel_prepare "$kernel" || exit
	done
)

step_release() {
	build_in "$release" Release -DCMAKE_C_FLAGS=-Werror
}

step_sanitize() {
	build_in "$sanitize" Sanitize -DCMAKE_C_FLAGS=-Werror
}

step_unit() {
	"$release/tests/unit" --tap --jobs "$jobs"
}

step_unit-sanitize() {
	"$sanitize/tests/unit" --tap --jobs "$jobs"
}

step_bats() {
	BUILD=$release VNETTRACE=$release/vnettrace timeout 800 bats --tap --filter-tags '!guest' tests
}

# The same command line under ASan and UBSan; timing and packet counts are Release's job.
step_bats-sanitize() {
	BUILD=$sanitize VNETTRACE=$sanitize/vnettrace timeout 400 bats --tap tests/{cli,files,clock}.bats
}

# Other kernels, emulated.
step_guest() {
	BUILD=$release VNETTRACE=$release/vnettrace timeout 900 bats --tap --filter-tags guest tests
}

# The event ring's protocol, in every interleaving.
step_model() {
	tests/model/run.sh
}

# Two minutes of the header parsers, of what is left of the CPUs; FUZZ_SECONDS for more.
step_fuzz() {
	cmake -S . -B "$release-fuzz" -G Ninja -DCMAKE_BUILD_TYPE=Sanitize -DCMAKE_C_COMPILER=clang \
		-DFUZZ=ON && ninja -C "$release-fuzz" fuzz-packet fuzz-corpus &&
		mkdir "$logs/corpus" &&
		"$release-fuzz/tests/fuzz-corpus" "$logs/corpus" tests/data/*.pcap &&
		"$release-fuzz/tests/fuzz-packet" -max_total_time="${FUZZ_SECONDS:-120}" -max_len=700 \
			-artifact_prefix="$logs/" -print_final_stats=1 "$logs/corpus"
}

step_format() {
	find lib bpf cmd tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
}

# The BPF objects are for another target; their user-space half is checked.
step_tidy() {
	find lib bpf cmd tests/tools tests/kernel -name '*.c' ! -name '*.bpf.c' -print0 |
		xargs -0 -P "$jobs" -n 4 clang-tidy --quiet -p "$release"
}

step_man() {
	mandoc -T lint -W warning man/*.[1-9]
}

step_shell() {
	# 2053, 2154: globs on the right side, and variables that bats sets.
	shellcheck -x -P SCRIPTDIR -S warning -e SC2053,SC2154 \
		.ci/run tests/*.sh tests/*/*.sh tests/*.bats tests/*/*.bash
}

# Every figure can still be measured; what they are is not held against a busy machine.
step_bench() {
	BUILD=$release timeout 300 tests/bench/run.sh --short
}

# A step whose output is TAP counts its tests, any other counts as one.
count() {
	local log=$1 status=$2 ok bad

	ok=$(grep -c '^ok ' "$log")
	bad=$(grep -c '^not ok ' "$log")
	if ((ok + bad == 0 || (status && bad == 0))); then
		((status)) && bad=$((bad + 1)) || ok=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	step_result="$ok passed, $bad failed"
}

# Leaves of a step its output, and in STEP.end its exit code and how many seconds it took.
execute() {
	local started=$SECONDS status=0

	"step_$1" </dev/null >"$logs/$1" 2>&1 || status=$?
	echo "$status $((SECONDS - started))" >"$logs/$1.end"
}

report_step() {
	local step=$1 log=$logs/$1 status seconds

	read -r status seconds <"$log.end"
	count "$log" "$status"
	printf '%-14s %4d s  %s\n' "$step" "$seconds" "$step_result"
	if [[ $step_result != *" 0 failed" ]]; then
		show_failures "$log"
	else
		grep '^# measured' "$log" | sed 's/^/    /'
	fi
}

report_beside() {
	local step

	wait
	for step in "${beside[@]}"; do
		report_step "$step"
	done
	beside=()
}

# Of TAP what belongs to failed tests; of anything else all.
show_failures() {
	if grep -q '^not ok ' "$1"; then
		awk '/^ok /{show = 0} /^not ok /{show = 1} show' "$1"
	else
		grep -v '^[0-9]* warnings* generated' "$1"
	fi | sed 's/^/    /'
}

# What became of the packets of each scenario that the tests sent: tests/lib/record.bash.
print_scenarios() {
	local rows

	rows=$(grep -hs -d skip '^# scenario: ' "$logs"/*) || return
	{
		echo "scenario|packets sent|joined|ambiguous|wrong"
		sed 's/^# scenario: //' <<<"$rows"
	} | column -t -s '|'
}

(($#)) || set -- "${steps[@]}"
for step; do
	declare -F "step_$step" >/dev/null || {
		echo "run.sh: no step '$step', there are: ${steps[*]}" >&2
		exit 2
	}
done
for step; do
	if [[ " ${untimed[*]} " == *" $step "* ]]; then
		{
			chrt --idle --pid 0 $BASHPID
			execute "$step"
		} &
		beside+=("$step")
		continue
	fi
	[[ " ${timed[*]} " == *" $step "* ]] && report_beside
	execute "$step"
	report_step "$step"
done
report_beside
print_scenarios
echo "$passed passed, $failed failed"
((failed == 0))
