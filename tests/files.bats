#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Inputs and outputs: what is damaged, missing, full, or the wrong file.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record
load lib/oneway

@test "input missing" {
	missing=$NET_DIR/missing.vnt
	for command in report "merge -o /dev/null"; do
		fails 1 "vnettrace: ${command%% *}: cannot open '$missing': No such file or directory" \
			"$VNETTRACE" $command "$missing"
	done
}

# A name may be hostile, also that of a domain in a file.
@test "a name cannot command the terminal" {
	missing=$NET_DIR/$'\e]0;title\a\n'
	fails 1 "vnettrace: report: cannot open '$NET_DIR/?]0;title??': No such file or directory" \
		"$VNETTRACE" report "$missing"
	[[ $stderr != *[$'\e\a']* ]]
}

@test "input empty" {
	: >"$NET_DIR/empty.vnt"
	fails 1 "vnettrace: report: *'$NET_DIR/empty.vnt'*empty*" \
		"$VNETTRACE" report "$NET_DIR/empty.vnt"
	fails 1 "vnettrace: merge: *'$NET_DIR/empty.vnt'*empty*" \
		"$VNETTRACE" merge -o /dev/null "$NET_DIR/empty.vnt"
}

@test "input is not a trace file" {
	fails 1 "vnettrace: report: *'$BATS_TEST_FILENAME'*not a trace file*" \
		"$VNETTRACE" report "$BATS_TEST_FILENAME"
	fails 1 "vnettrace: report: *'$NET_DIR'*Is a directory*" "$VNETTRACE" report "$NET_DIR"
}

@test "input truncated" {
	size=$(stat -c %s "$GOOD")
	for cut in 1 7; do
		head -c $((size - cut)) "$GOOD" >"$NET_DIR/cut.vnt"
		run --separate-stderr "$VNETTRACE" report -o /dev/null "$NET_DIR/cut.vnt"
		((status == 3))
		[[ $stderr == "vnettrace: report: "*"$NET_DIR/cut.vnt"* ]]
		((${#stderr_lines[@]} == 1))
	done
	# Elsewhere the cut may happen to be where a block ends; the first ones are in the header.
	header=$((72 + $(od -An -tu4 -j 8 -N 4 "$GOOD")))
	for ((cut = 1; cut < size; cut += size / 40 + 1)); do
		head -c "$cut" "$GOOD" >"$NET_DIR/cut.vnt"
		run --separate-stderr "$VNETTRACE" report -o /dev/null "$NET_DIR/cut.vnt"
		echo "cut at $cut of $size: status $status, $stderr"
		((status == 3 || (status == 1 && cut < header)))
		((${#stderr_lines[@]} == 1))
	done
}

# flip_byte FILE OFFSET
flip_byte() {
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf "\\x$(printf %02x $((byte ^ 0x20)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "one byte flipped" {
	size=$(stat -c %s "$GOOD")
	for ((at = 0; at < size; at += size / 40 + 1)); do
		cp "$GOOD" "$NET_DIR/flipped.vnt"
		flip_byte "$NET_DIR/flipped.vnt" "$at"
		run --separate-stderr "$VNETTRACE" report -o /dev/null "$NET_DIR/flipped.vnt"
		echo "flipped at $at of $size: status $status, $stderr"
		((status == 3))
		[[ $stderr == "vnettrace: report: "*"$NET_DIR/flipped.vnt"* ]]
		((${#stderr_lines[@]} == 1))
	done
}

@test "a file that is given twice counts once, but not one that is in a merged one" {
	cp "$GOOD" "$NET_DIR/copy.vnt"
	merged=$NET_DIR/merged.vnt
	"$VNETTRACE" merge -o "$merged" "$GOOD"
	"$VNETTRACE" merge -o - "$GOOD" "$NET_DIR/copy.vnt" | cmp - "$merged"
	"$VNETTRACE" report "$GOOD" "$NET_DIR/copy.vnt" | cmp - <("$VNETTRACE" report "$GOOD")
	fails 1 "vnettrace: merge: *'$GOOD'*" "$VNETTRACE" merge -o /dev/null "$merged" "$GOOD"
}

@test "output is a directory or cannot be written" {
	for command in "merge -o" "report -o"; do
		fails 1 "vnettrace: ${command%% *}: cannot open '$NET_DIR': Is a directory" \
			"$VNETTRACE" $command "$NET_DIR" "$GOOD"
		fails 1 "vnettrace: ${command%% *}: cannot open '$NET_DIR/no/x': No such file or directory" \
			"$VNETTRACE" $command "$NET_DIR/no/x" "$GOOD"
		fails 1 "vnettrace: ${command%% *}: *No space left on device" \
			"$VNETTRACE" $command /dev/full "$GOOD"
	done
	fails 1 "vnettrace: record: cannot open '$NET_DIR': Is a directory" \
		record_in_ns -i v1 -o "$NET_DIR"
	fails 1 "vnettrace: record: cannot open '$NET_DIR/no/x': No such file or directory" \
		record_in_ns -i v1 -o "$NET_DIR/no/x"
}

@test "stdout is full" {
	run --separate-stderr sh -c "'$VNETTRACE' report '$GOOD' >/dev/full"
	((status == 1))
	[[ $stderr == "vnettrace: report: "*"No space left on device" ]]
}

@test "closed standard streams are not taken by files" {
	record_in_ns -v -i v1:tx -d 0.1 -o "$NET_DIR/closed.vnt" <&- >&- 2>&-
	run --separate-stderr "$VNETTRACE" report "$NET_DIR/closed.vnt"
	((status == 0))
	[[ -z $stderr ]]
	"$VNETTRACE" merge -o "$NET_DIR/closed.vnt" "$GOOD" <&- 2>&-
	cmp "$NET_DIR/closed.vnt" <("$VNETTRACE" merge -q "$GOOD")
	run --separate-stderr sh -c "'$VNETTRACE' report '$GOOD' >&-"
	((status == 1))
	[[ $stderr == "vnettrace: report: cannot write to standard output: Bad file descriptor" ]]
	run --separate-stderr sh -c "'$VNETTRACE' report - <&-"
	((status == 1))
	[[ $stderr == "vnettrace: report: cannot read 'standard input': Bad file descriptor" ]]
}

@test "a file size limit is an error, not the end" {
	for command in merge "report -f json"; do
		run --separate-stderr bash -c "ulimit -f 1; '$VNETTRACE' $command -o '$NET_DIR/limit' '$GOOD'"
		((status == 1))
		[[ $stderr == "vnettrace: ${command%% *}: cannot write '$NET_DIR/limit': File too large" ]]
		rm -f "$NET_DIR/limit"
	done
}

@test "an output that exists keeps its content when the input is bad" {
	echo precious >"$NET_DIR/precious"
	fails 1 "*" "$VNETTRACE" merge -o "$NET_DIR/precious" "$NET_DIR/missing.vnt"
	[[ $(<"$NET_DIR/precious") == precious ]]
}

@test "a recording that cannot start leaves files alone" {
	echo precious >"$NET_DIR/precious"
	for file in precious new.vnt; do
		fails 1 "vnettrace: record: *: Too many open files" in_ns "$NET_H1" \
			prlimit --nofile=9 "$VNETTRACE" record -i v1 -o "$NET_DIR/$file"
	done
	[[ $(<"$NET_DIR/precious") == precious ]]
	[[ ! -e $NET_DIR/new.vnt ]]
	record_in_ns -q -i v1:tx -d 0.1 -o "$NET_DIR/precious"
	run --separate-stderr "$VNETTRACE" report "$NET_DIR/precious"
	((status == 0))
}

@test "output is also an input" {
	cp "$GOOD" "$NET_DIR/both.vnt"
	ln -f "$NET_DIR/both.vnt" "$NET_DIR/linked.vnt"
	for command in merge report; do
		for output in both linked; do
			fails 1 "vnettrace: $command: output '$NET_DIR/$output.vnt' is also an input" \
				"$VNETTRACE" "$command" -o "$NET_DIR/$output.vnt" "$NET_DIR/both.vnt"
		done
		fails 1 "vnettrace: $command: output '-' is also an input" \
			sh -c "'$VNETTRACE' $command '$NET_DIR/both.vnt' >>'$NET_DIR/linked.vnt'"
		fails 1 "vnettrace: $command: output '$NET_DIR/both.vnt' is also an input" \
			sh -c "'$VNETTRACE' $command -o '$NET_DIR/both.vnt' - <'$NET_DIR/both.vnt'"
	done
	cmp "$GOOD" "$NET_DIR/both.vnt"
}

@test "a trace is appended where the shell says so, and else replaces what was there" {
	merged=$NET_DIR/merged.vnt
	"$VNETTRACE" merge -q "$GOOD" >"$merged"
	"$VNETTRACE" merge -q "$GOOD" | cmp - "$merged"
	{ echo title; "$VNETTRACE" merge -q "$GOOD"; } >"$NET_DIR/titled"
	cmp "$merged" <(tail -n +2 "$NET_DIR/titled")
	echo title >"$NET_DIR/titled"
	"$VNETTRACE" merge -q "$GOOD" >>"$NET_DIR/titled"
	cmp "$merged" <(tail -n +2 "$NET_DIR/titled")
	head -c 1M /dev/zero >"$NET_DIR/long"
	"$VNETTRACE" merge -q -o "$NET_DIR/long" "$GOOD"
	cmp "$merged" "$NET_DIR/long"
}

@test "-o - to a pipe, and report from it" {
	in_ns "$NET_H1" "$VNETTRACE" record -i v1 -i v2 -n 60 -o - 'udp port 5001' \
		2>"$NET_DIR/pipe.err" 3>&- | cat >"$NET_DIR/pipe.vnt" 3>&- &
	record_wait_ready $! "$NET_DIR/pipe.err"
	traffic 100
	wait $!
	"$VNETTRACE" report -f json - <"$NET_DIR/pipe.vnt" >"$NET_DIR/pipe.json"
	(($(jq '.domains[0].events' "$NET_DIR/pipe.json") == 60))
}

@test "the reader of the pipe goes away" {
	run in_ns "$NET_H1" bash -c '
		timeout 10 "$VNETTRACE" record -i v1:tx -o - 2>"$NET_DIR/pipe.err" | head -c 10 >/dev/null
		echo "${PIPESTATUS[0]}"'
	# Dying of SIGPIPE is as good as saying it.
	[[ $output == 141 ]] || {
		[[ $output == 1 ]]
		grep -q '^vnettrace: record: .*: Broken pipe$' "$NET_DIR/pipe.err"
	}
}

# stalled ARGUMENT...: a recording into a pipe that is open for reading, and not read.
stalled() {
	local status=0

	mkfifo "$NET_DIR/fifo"
	exec {reader}<>"$NET_DIR/fifo"
	record_start fifo "$NET_H1" -i v1 -i v2 -o "$NET_DIR/fifo" "$@" 'udp port 5001'
	exec {reader}>&-
	exec {reader}<"$NET_DIR/fifo"
	traffic 30000 100000
	[[ $* == *-d* ]] || kill -TERM "${RECORD_PID[fifo]}"
	timeout 10 tail --pid="${RECORD_PID[fifo]}" -f /dev/null
	wait "${RECORD_PID[fifo]}" || status=$?
	cat "$NET_DIR/fifo.err"
	((status == 1))
	grep -q "^vnettrace: record: cannot write '$NET_DIR/fifo': its reader has stalled$" \
		"$NET_DIR/fifo.err"
	(($(sed -n 's/.* events, \([0-9]*\) lost.*/\1/p' "$NET_DIR/fifo.err") > 0))
	exec {reader}>&-
	rm "$NET_DIR/fifo"
}

@test "a reader of the pipe that stalls does not hold up the end" {
	stalled
	stalled -d 2
}

@test "a trace is for its owner only" {
	[[ $(stat -c %a "$GOOD") == 600 ]]
}

# A file system of 128 KiB that only this test sees.
record_on_small_disk() {
	in_ns "$NET_H1" unshare --mount bash -c '
		mkdir -p "$NET_DIR/small" && mount -t tmpfs -o size=128k none "$NET_DIR/small" || exit
		timeout 20 "$VNETTRACE" record -i v1 -i v2 -o "$NET_DIR/small/x.vnt" 2>"$NET_DIR/full.err" &
		for try in {1..100}; do
			grep -qs tracing "$NET_DIR/full.err" && break
			sleep 0.05
		done
		"$UDPNUM" send 60000 100 10.9.0.2 5001 40000
		wait $!
		echo "$?"
		"$VNETTRACE" report -f json "$NET_DIR/small/x.vnt" 2>/dev/null | jq ".domains[0].events"'
}

@test "disk full while recording" {
	run record_on_small_disk
	echo "$output"
	cat "$NET_DIR/full.err"
	((lines[0] == 1))
	((lines[1] > 1000))
	grep -q "^vnettrace: record: cannot write '.*': No space left on device$" "$NET_DIR/full.err"
}
