#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Merge and report: memory, horizon, threads, progress.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record
load lib/oneway

@test "report --memory changes nothing but the memory" {
	"$VNETTRACE" report -f json "$GOOD" >"$NET_DIR/default.json"
	"$VNETTRACE" report -f json --memory 64M "$GOOD" | cmp - "$NET_DIR/default.json"
	"$VNETTRACE" report -f json --memory=16G "$GOOD" | cmp - "$NET_DIR/default.json"
}

@test "merge --memory changes nothing but the memory" {
	"$VNETTRACE" merge -q "$GOOD" >"$NET_DIR/default.vnt"
	"$VNETTRACE" merge -q --memory 128M "$GOOD" | cmp - "$NET_DIR/default.vnt"
}

@test "--memory that is too small says what is needed, and that is enough" {
	for command in merge report; do
		run --separate-stderr "$VNETTRACE" "$command" --memory 1M -o "$NET_DIR/out" "$GOOD"
		((status == 1))
		[[ $stderr =~ ^"vnettrace: $command: --memory is too small: "([0-9]+M)" are needed to read these files"$ ]]
		"$VNETTRACE" "$command" --memory "${BASH_REMATCH[1]}" -o "$NET_DIR/out" "$GOOD"
	done
}

@test "report --memory that flows alone fill says so" {
	"$BUILD/tests/bench-generate" "$NET_DIR/flows" 1 600000 2 300000
	run --separate-stderr "$VNETTRACE" report --memory 64M -o "$NET_DIR/flows.txt" "$NET_DIR/flows.0.vnt"
	((status == 1))
	[[ $stderr == "vnettrace: report: --memory is too small: flows, paths and packets held back need more than 64M" ]]
	[[ ! -e $NET_DIR/flows.txt ]]
	"$VNETTRACE" report --memory 512M -o "$NET_DIR/flows.txt" "$NET_DIR/flows.0.vnt"
	rm "$NET_DIR"/flows.*
}

@test "report --memory that packets fill: they are kept in a file, or it says that there is no room" {
	"$BUILD/tests/bench-generate" "$NET_DIR/packets" 2 1000000
	report=("$VNETTRACE" report -f json --horizon 1000 "$NET_DIR"/packets.{0,1}.vnt)
	mkdir "$NET_DIR/full"
	run --separate-stderr env TMPDIR="$NET_DIR/full" unshare --mount sh -c \
		'mount -t tmpfs -o size=1m none "$TMPDIR" && exec "$@"' - \
		"${report[@]}" --memory 40M -o "$NET_DIR/packets.json"
	((status == 1))
	[[ $stderr == "vnettrace: report: cannot keep packets in a file in '$NET_DIR/full': No space left on device" ]]
	[[ ! -e $NET_DIR/packets.json ]]
	TMPDIR=$NET_DIR/full "${report[@]}" --memory 40M | cmp - <("${report[@]}")
	[[ -z $(ls "$NET_DIR/full") ]]
	rm "$NET_DIR"/packets.*
}

@test "report --horizon: what comes later is another packet" {
	"$VNETTRACE" report -f json "$GOOD" >"$NET_DIR/default.json"
	"$VNETTRACE" report -f json --horizon 1 "$GOOD" | cmp - "$NET_DIR/default.json"
	"$VNETTRACE" report -f json --horizon 0.000000001 "$GOOD" >"$NET_DIR/short.json"
	observed=$(jq .packets.observed "$NET_DIR/default.json")
	events=$(jq '[.domains[].events] | add' "$NET_DIR/default.json")
	((observed < events))
	(($(jq .packets.observed "$NET_DIR/short.json") > observed))
	(($(jq .packets.complete "$NET_DIR/default.json") > 0))
}

@test "merge --horizon is what reports on its output go by, and leaves nothing out" {
	"$VNETTRACE" report -f json --horizon 0.000000001 "$GOOD" >"$NET_DIR/short.json"
	"$VNETTRACE" merge -q --horizon 0.000000001 "$GOOD" >"$NET_DIR/short.vnt"
	"$VNETTRACE" report -f json "$NET_DIR/short.vnt" | cmp - "$NET_DIR/short.json"
	"$VNETTRACE" report -f json --horizon 1 "$GOOD" >"$NET_DIR/default.json"
	run -1 cmp -s "$NET_DIR/short.json" "$NET_DIR/default.json"
	"$VNETTRACE" report -f json --horizon 1 "$NET_DIR/short.vnt" | cmp - "$NET_DIR/default.json"
	run -2 "$VNETTRACE" merge --horizon 0 "$GOOD"
}

@test "one thread or many, the bytes are the same" {
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	"$BUILD/tests/bench-generate" "$NET_DIR/threads" 3 600000
	for files in "$GOOD" "$NET_DIR/threads.*.vnt"; do
		for command in "merge -q" "report -q -f json" "report -q"; do
			# shellcheck disable=SC2086
			"$VNETTRACE" $command $files >"$NET_DIR/many"
			# shellcheck disable=SC2086
			taskset -c "$cpu" "$VNETTRACE" $command $files | cmp - "$NET_DIR/many"
		done
	done
	rm "$NET_DIR"/threads.* "$NET_DIR/many"
}

# slowly: the trace through a pipe, with a pause in the middle.
slowly() {
	local size

	size=$(stat -c %s "$GOOD")
	{ head -c $((size / 2)) "$GOOD" && sleep 0.5 && tail -c +$((size / 2 + 1)) "$GOOD"; } >"$1"
}

@test "progress is shown on a terminal, and on nothing else" {
	mkfifo "$NET_DIR/fifo"
	for command in merge report; do
		slowly "$NET_DIR/fifo" 3>&- &
		screen=$(script -qec "$VNETTRACE $command -o /dev/null $NET_DIR/fifo" /dev/null </dev/null)
		wait $!
		[[ $screen == *"MB, "*"events/s"* ]]
		slowly "$NET_DIR/fifo" 3>&- &
		screen=$(script -qec "$VNETTRACE $command -q -o /dev/null $NET_DIR/fifo" /dev/null </dev/null)
		wait $!
		[[ $screen != *"events/s"* ]]
		slowly "$NET_DIR/fifo" 3>&- &
		run --separate-stderr "$VNETTRACE" "$command" -o /dev/null "$NET_DIR/fifo"
		wait $!
		((status == 0))
		[[ $stderr != *events/s* ]]
	done
}

@test "damage in the middle is said once, and the rest is there" {
	size=$(stat -c %s "$GOOD")
	cp "$GOOD" "$NET_DIR/hole.vnt"
	dd if=/dev/zero of="$NET_DIR/hole.vnt" bs=1 count=64 seek=$((size * 2 / 3)) conv=notrunc status=none
	run --separate-stderr "$VNETTRACE" merge -q -o "$NET_DIR/out.vnt" "$NET_DIR/hole.vnt"
	((status == 3))
	[[ $stderr =~ ^"vnettrace: merge: '$NET_DIR/hole.vnt' is damaged: bytes "[0-9]+-[0-9]+" skipped"$ ]]
	run --separate-stderr "$VNETTRACE" report -o /dev/null "$NET_DIR/out.vnt"
	((status == 0))
}

@test "a recording that is being written is read as far as it goes" {
	size=$(stat -c %s "$GOOD")
	for cut in 1 7 80 $((size / 3)) $((size / 2)); do
		head -c $((size - cut)) "$GOOD" >"$NET_DIR/grows.vnt"
		exec 9>>"$NET_DIR/grows.vnt"
		flock -x 9
		for command in merge report; do
			run --separate-stderr "$VNETTRACE" "$command" -q -o /dev/null "$NET_DIR/grows.vnt"
			((status == 0))
			[[ -z $stderr ]]
		done
		exec 9>&-
		run --separate-stderr "$VNETTRACE" report -o /dev/null "$NET_DIR/grows.vnt"
		((status == 3))
	done
}

@test "progress of files is in per cent of their size" {
	"$BUILD/tests/bench-generate" "$NET_DIR/long" 2 6000000
	screen=$(script -qec "taskset -c $(taskset -cp $$ | sed 's/.*: //; s/[-,].*//') \
		$VNETTRACE report -o /dev/null $NET_DIR/long.0.vnt $NET_DIR/long.1.vnt" /dev/null </dev/null)
	rm "$NET_DIR"/long.*
	[[ $screen == *"looking for clocks"*" % of "*" MB, "*"events/s"* ]]
}

# copies_made: live.vnt is a recording, one.vnt and two.vnt are copies of it at two times.
copies_made() {
	record_start live "$NET_H1" -i v1 -i v2 'udp port 5001'
	for copy in one two; do
		traffic 200
		sleep 0.25
		cp "$NET_DIR/live.vnt" "$NET_DIR/$copy.vnt"
	done
	traffic 200
	record_stop live
}

@test "files of one recording that overlap count once" {
	cd "$NET_DIR"
	copies_made
	"$VNETTRACE" merge -q -o whole.vnt live.vnt
	"$VNETTRACE" report -f json live.vnt >whole.json
	(($(jq .packets.complete whole.json) == 600))
	size=$(stat -c %s live.vnt)
	head -c $((size - 100)) live.vnt >short.vnt
	cp live.vnt hole.vnt
	dd if=/dev/zero of=hole.vnt bs=1 count=64 seek=$((size / 3)) conv=notrunc status=none
	run -3 "$VNETTRACE" report -o /dev/null hole.vnt
	for files in "one two live" "live two one" "two live" "live live" "short live" "hole live one" \
		"hole short two live"; do
		# shellcheck disable=SC2086
		for command in "merge -q -o again.vnt" "report -f json -o again.json"; do
			run --separate-stderr "$VNETTRACE" $command ${files// /.vnt }.vnt
			((status == 0))
			[[ -z $stderr ]]
		done
		cmp again.vnt whole.vnt
		cmp again.json whole.json
	done
	mkfifo pipe
	cat live.vnt >pipe &
	"$VNETTRACE" merge -q pipe two.vnt one.vnt | cmp - whole.vnt
	run -3 "$VNETTRACE" report -f json -o two.json two.vnt
	run -3 "$VNETTRACE" report -f json -o again.json one.vnt two.vnt
	cmp again.json two.json
	(($(jq .packets.complete two.json) == 400))
}

@test "files of one recording that contradict each other are refused" {
	cd "$NET_DIR"
	copies_made
	for copy in one two; do
		run -3 "$VNETTRACE" merge -o "of-$copy.vnt" "$copy.vnt"
	done
	fails 1 "vnettrace: merge: 'of-two.vnt' contradicts 'of-one.vnt', a file of the same recording, from byte * on" \
		"$VNETTRACE" merge -q -o out.vnt of-one.vnt of-two.vnt
	fails 1 "vnettrace: report: 'of-* contradicts 'of-*', a file of the same recording, from byte * on" \
		"$VNETTRACE" report of-two.vnt of-one.vnt
	"$VNETTRACE" merge -q -o both.vnt live.vnt "$GOOD"
	fails 1 "vnettrace: merge: 'both.vnt' has a recording that is also in 'one.vnt'" \
		"$VNETTRACE" merge -q one.vnt both.vnt
}

@test "a report while it is recorded" {
	record_start live "$NET_H1" -i v1
	traffic 50
	sleep 0.3
	run --separate-stderr "$VNETTRACE" report -f json "$NET_DIR/live.vnt"
	record_stop live
	((status == 0))
	[[ -z $stderr ]]
	(($(jq '.domains[0].events' <<<"$output") > 0))
}
