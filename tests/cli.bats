#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The command line: what it prints, what it refuses, how it ends.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record
load lib/oneway

@test "--version and --help" {
	run --separate-stderr "$VNETTRACE" --version
	((status == 0))
	[[ $output == "vnettrace "[0-9]* ]]
	run --separate-stderr "$VNETTRACE" --help
	((status == 0))
	[[ $output == *record* && $output == *merge* && $output == *report* ]]
}

# Options as "-o, --output" or "--domain", one a line, without argp's own.
options_in_help() {
	"$VNETTRACE" "$1" --help | options_in
}

options_in_manual() {
	sed -e 's/\\f[BIRP]//g' -e 's/\\-/-/g' \
		"$BATS_TEST_DIRNAME/../man/vnettrace-$1.1" | options_in
}

options_in() {
	sed -nE 's/^ *((-[a-zA-Z], )?--[a-z][a-z-]*).*/\1/p' |
		grep -vE -- '--(help|usage|version)$' | sort
}

@test "--help and the manual name the same options" {
	for command in record merge report; do
		diff <(options_in_help "$command") <(options_in_manual "$command")
		[[ -n $(options_in_help "$command") ]]
	done
}

@test "usage errors" {
	fails 2 "vnettrace: *" "$VNETTRACE"
	fails 2 "vnettrace: *'frobnicate'*" "$VNETTRACE" frobnicate
	for command in record merge report; do
		fails 2 "vnettrace: $command: *--bogus*" "$VNETTRACE" "$command" --bogus
	done
	fails 2 "vnettrace: merge: *" "$VNETTRACE" merge -o x.vnt
	fails 2 "vnettrace: report: *" "$VNETTRACE" report
	fails 2 "vnettrace: report: *'punchcard'*" "$VNETTRACE" report -f punchcard "$GOOD"
	fails 2 "vnettrace: record: *'soon'*" "$VNETTRACE" record -i lo -d soon
	fails 2 "vnettrace: record: *'-3'*" "$VNETTRACE" record -i lo -n -3
	fails 2 "vnettrace: record: *'port'; there are auto and payload" "$VNETTRACE" record -i lo --id port
	fails 2 "vnettrace: record: *'4X'*" "$VNETTRACE" record -i lo --buffer 4X
	fails 2 "vnettrace: record: *'smoke:eth0'*" "$VNETTRACE" record -p smoke:eth0
	fails 2 "vnettrace: record: *'sideways'*" "$VNETTRACE" record -p dev:eth0:sideways
	fails 2 "vnettrace: record: *" "$VNETTRACE" record
}

@test "no such device, namespace, bridge" {
	fails 1 "vnettrace: record: *'nosuch0'*" record_in_ns -i nosuch0 -o "$NET_DIR/x.vnt"
	fails 1 "vnettrace: record: *'nosuch'*" record_in_ns -p dev:nosuch/eth0 -o "$NET_DIR/x.vnt"
	fails 1 "vnettrace: record: *'v1'*" record_in_ns -p port-of:v1 -o "$NET_DIR/x.vnt"
	[[ ! -e $NET_DIR/x.vnt ]]
}

@test "a missing device fails only its own probe, or all with --strict" {
	run --separate-stderr record_in_ns -i v1:tx -i nosuch0 -o "$NET_DIR/x.vnt" -d 0.1
	((status == 3))
	[[ ${stderr_lines[0]} == "vnettrace: record: "*"'nosuch0'"* ]]
	fails 1 "vnettrace: record: *'nosuch0'*" \
		record_in_ns --strict -i v1 -i nosuch0 -o "$NET_DIR/x.vnt" -d 0.2
}

@test "bridges without ports stop nobody else" {
	for bridge in br1 br2; do
		ip -n "$NET_H1" link add "$bridge" type bridge
	done
	run --separate-stderr record_in_ns -p port-of:br1 -p port-of:br2 -i v1:tx -d 0.1 -o "$NET_DIR/x.vnt"
	echo "$stderr"
	((status == 0))
	fails 1 "vnettrace: record: nothing to trace: no port found" \
		record_in_ns -p port-of:br1 -p port-of:br2 -o "$NET_DIR/x.vnt"
}

@test "filter refused, with the reason" {
	fails 2 "vnettrace: record: filter 'udp prot 5001': *syntax error*" \
		record_in_ns -i v1 -o "$NET_DIR/filter.vnt" udp prot 5001
	fails 2 "vnettrace: record: filter 'ether host 02:00:00:00:00:02': *" \
		record_in_ns -i v1 -o "$NET_DIR/filter.vnt" ether host 02:00:00:00:00:02
	for filter in 'udp[120] > 30' 'not udp[120] > 30' 'udp[108] >= 100' 'ip[len - 20] > 100'; do
		fails 2 "vnettrace: record: filter '*': it * the first 128* from the network header on*" \
			record_in_ns -i v1 -o "$NET_DIR/filter.vnt" "$filter"
	done
	[[ ! -e $NET_DIR/filter.vnt ]]
}

# A copy that anybody may run, wherever the build is.
public_copy() {
	local dir=$NET_DIR/public

	chmod 711 "$NET_DIR"
	install -d -m 755 "$dir"
	install -m 755 "$VNETTRACE" "$dir/vnettrace"
	echo "$dir/vnettrace"
}

@test "capabilities missing" {
	copy=$(public_copy)
	fails 1 "vnettrace: record: *CAP_BPF*" in_ns "$NET_H1" \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$copy" record -i v1 -o /dev/null
	for capability in bpf perfmon; do
		drop=-$capability,-sys_admin
		fails 1 "vnettrace: record: *CAP_${capability^^}*" in_ns "$NET_H1" \
			setpriv --bounding-set "$drop" --inh-caps "$drop" \
			"$copy" record -i v1 -o /dev/null
	done
}

@test "kernel without BTF" {
	fails 1 "vnettrace: record: *BTF*" in_ns "$NET_H1" unshare --mount sh -c \
		'mount -t tmpfs none /sys/kernel/btf && exec "$0" record -i v1 -o /dev/null' "$VNETTRACE"
}

@test "tracefs and debugfs are not needed" {
	run --separate-stderr in_ns "$NET_H1" unshare --mount sh -c '
		for fs in tracing debug/tracing debug; do
			umount -l "/sys/kernel/$fs" 2>/dev/null
		done
		exec "$0" record -q -i v1:tx -d 0.1 -o /dev/null' "$VNETTRACE"
	echo "$stderr"
	((status == 0))
	[[ -z $stderr ]]
}

@test "programs for old and new kernels see the same headers" {
	run in_ns "$NET_H1" "$BUILD/tests/headers" 1500
	echo "$output"
	((status == 0))
	[[ $output == "3000 and 3000 events: equal" ]]
}

@test "-n stops exactly" {
	record_start exact "$NET_H1" -n 100 -i v1 'udp port 5001'
	traffic 300
	wait "${RECORD_PID[exact]}"
	(($(events_in "$NET_DIR/exact.vnt") == 100))
	grep -q '100 events, 0 lost' "$NET_DIR/exact.err"
}

@test "a bridge means itself and its ports" {
	ip -n "$NET_H1" link add br9 type bridge
	add_pair b1 b2
	ip -n "$NET_H1" link set b1 master br9
	run --separate-stderr record_in_ns -v -i br9 -d 0.1 -o /dev/null
	((status == 0))
	[[ $(sed -n 's/.* probe [0-9]*: //p' <<<"$stderr" | xargs) == "dev:br9:rx dev:br9:tx dev:b1:rx dev:b1:tx" ]]
	run --separate-stderr record_in_ns -v -p port-of:br9:rx -d 0.1 -o /dev/null
	[[ $(sed -n 's/.* probe [0-9]*: //p' <<<"$stderr" | xargs) == "dev:b1:rx" ]]
	ip -n "$NET_H1" link delete br9
	ip -n "$NET_H1" link delete b1
}

@test "a tunnel or virtual machine's device, and no Open vSwitch here" {
	for mode in tun tap; do
		ip -n "$NET_H1" tuntap add dev "$mode"9 mode "$mode"
		run --separate-stderr in_ns "$NET_H1" unshare --mount env -u OVS_RUNDIR sh -c '
			[ ! -e /run/openvswitch ] || mount -t tmpfs none /run/openvswitch || exit
			PATH=/nonexistent
			exec "$0" record -i "$1" -d 0.1 -o /dev/null' "$VNETTRACE" "$mode"9
		echo "$stderr"
		((status == 0 && ${#stderr_lines[@]} == 2))
		[[ $stderr == *"tracing 2 probes on 1 device to"* ]]
	done
}

@test "what is asked for twice is traced, and counted, once" {
	run --separate-stderr record_in_ns -v -i v1 -p dev:v1:rx -i v1 -p "dev:$NET_H1/v2:tx" -p dev:v2:tx \
		-p dev:v2:rx -d 0.1 -o "$NET_DIR/twice.vnt"
	((status == 0))
	[[ $(sed -n 's/.* probe [0-9]*: //p' <<<"$stderr" | xargs) == \
		"dev:v1:rx dev:v1:tx dev:$NET_H1/v2:tx dev:v2:rx" ]]
	[[ $stderr == *"tracing 4 probes on 2 devices to"* ]]
	run --separate-stderr "$VNETTRACE" merge -o "$NET_DIR/one.vnt" "$GOOD"
	[[ $stderr == "vnettrace: merge: 1000 events of 1 domain" ]]
}

@test "--buffer: what finds it full is counted, to the last event" {
	record_start tiny "$NET_H1" --buffer 4K -i v1:tx 'udp port 5001'
	# Nobody reads the ring: 64 slots, one of them for the flow on each processor.
	kill -STOP "${RECORD_PID[tiny]}"
	traffic 1000 100000
	kill -CONT "${RECORD_PID[tiny]}"
	status=0
	record_stop tiny || status=$?
	((status == 3))
	cat "$NET_DIR/tiny.err"
	read -r events lost < <(sed -n 's/.*record: \([0-9]*\) events, \([0-9]*\) lost.*/\1 \2/p' \
		"$NET_DIR/tiny.err")
	((events > 0 && lost > 0 && events + lost == 1000))
	"$VNETTRACE" report -f json "$NET_DIR/tiny.vnt" >"$NET_DIR/tiny.json"
	jq -e ".domains[0].events == $events and .domains[0].lost == $lost and
		([.probes[].lost] | add) == $lost" "$NET_DIR/tiny.json"
	fails 2 "vnettrace: record: --buffer must be *" record_in_ns -i v1 --buffer 1K -o /dev/null
}

@test "--domain names the domain" {
	record_in_ns -q --domain "web 1" -i v1:tx -d 0.1 -o "$NET_DIR/named.vnt"
	[[ $("$VNETTRACE" report -f json "$NET_DIR/named.vnt" | jq -r '.domains[0].name') == "web 1" ]]
	fails 2 "vnettrace: record: --domain must be *" record_in_ns --domain a/b -i v1
}

@test "-v says more, -q says nothing" {
	run --separate-stderr record_in_ns -v -i v1 -d 0.1 -o "$NET_DIR/loud.vnt"
	[[ $stderr == *"probe 0: dev:v1:rx"*"tracing 2 probes on 1 device to"* ]]
	for command in "merge -o $NET_DIR/quiet.vnt" "report -o /dev/null"; do
		run --separate-stderr "$VNETTRACE" $command -v "$GOOD"
		[[ $stderr == *"domain 'good': host "*"clock 'reference'"* ]]
		run --separate-stderr "$VNETTRACE" $command -q "$GOOD"
		((status == 0))
		[[ -z $stderr && -z $output ]]
	done
}

# How long it takes to start is another matter.
@test "-d stops in time" {
	begun=${EPOCHREALTIME/./}
	record_start timed "$NET_H1" -d 1 -i v1:tx
	traced=${EPOCHREALTIME/./}
	wait "${RECORD_PID[timed]}"
	ended=${EPOCHREALTIME/./}
	((ended - begun >= 1000000 && ended - traced < 3000000))
	# Less than a nanosecond is no "for ever".
	record_in_ns -q -i v1:tx -d 1e-10 -o "$NET_DIR/timed.vnt"
}

@test "SIGINT, SIGTERM and SIGHUP end a recording cleanly" {
	for signal in INT TERM HUP; do
		record_start ended "$NET_H1" -i v1:tx 'udp port 5001'
		traffic 50
		record_stop ended "$signal"
		(($(wc -l <"$NET_DIR/ended.err") == 2))
		grep -q '^vnettrace: record: 50 events, 0 lost' "$NET_DIR/ended.err"
		(($(events_in "$NET_DIR/ended.vnt") == 50))
	done
}

# ends_by_itself DOMAIN: with exit code 3, within five seconds.
ends_by_itself() {
	local tries status=0

	for ((tries = 0; tries < 50; tries++)); do
		kill -0 "${RECORD_PID[$1]}" 2>/dev/null || break
		sleep 0.1
	done
	((tries < 50))
	wait "${RECORD_PID[$1]}" || status=$?
	cat "$NET_DIR/$1.err"
	((status == 3))
}

@test "a device vanishes while recording" {
	add_pair w1 w2
	record_start gone "$NET_H1" -i v1:tx -i w1:tx
	ip -n "$NET_H1" link delete w1
	traffic 50
	status=0
	record_stop gone || status=$?
	cat "$NET_DIR/gone.err"
	((status == 3))
	(($(grep -c "^vnettrace: record: 'dev:w1:tx' is gone$" "$NET_DIR/gone.err") == 1))
	(($(events_in "$NET_DIR/gone.vnt") >= 50))
}

@test "all devices vanish: the recording ends" {
	add_pair w1 w2
	record_start gone "$NET_H1" -i w1 -i w2
	ip -n "$NET_H1" link delete w1
	ends_by_itself gone
}

# goes_on DOMAIN PID: it still records what crosses lo of the process's namespace.
goes_on() {
	sleep 0.7
	nsenter --net="/proc/$2/ns/net" ping -q -c 5 -i 0.01 127.0.0.1
	kill -0 "${RECORD_PID[$1]}"
	record_stop "$1"
	cat "$NET_DIR/$1.err"
	(($(wc -l <"$NET_DIR/$1.err") == 2))
	(($(events_in "$NET_DIR/$1.vnt") == 10))
}

# in_namespace NAMESPACE: a process that stays in it, its number in $pid.
in_namespace() {
	ip netns exec "$1" sleep 60 3>&- &
	pid=$!
	network_undo network_stop_pid "$pid"
	until [[ $(<"/proc/$pid/comm") == sleep ]]; do
		sleep 0.01
	done
}

@test "a process exits, its namespace lives on: so does the recording" {
	network_namespace "$NET_H2"
	for namespace in "$NET_H2" "$NET_H1"; do
		in_namespace "$namespace"
		stays=$pid
		in_namespace "$namespace"
		record_start stays "$NET_H1" -p "dev:pid=$pid/lo:tx" icmp
		kill "$pid"
		wait "$pid" || true
		goes_on stays "$stays"
	done
	ip netns pids "$NET_H2" | xargs -r kill
	ip netns delete "$NET_H2"
}

@test "a namespace loses its name, a process lives on in it: so does the recording" {
	network_namespace "$NET_H2"
	in_namespace "$NET_H2"
	record_start stays "$NET_H1" -p "dev:$NET_H2/lo:tx" icmp
	ip netns delete "$NET_H2"
	ip netns add "$NET_H2"
	goes_on stays "$pid"
	ip netns delete "$NET_H2"
	kill "$pid"
}

@test "a namespace loses its name, then its last process: the recording ends" {
	network_namespace "$NET_H2"
	in_namespace "$NET_H2"
	record_start gone "$NET_H1" -p "dev:$NET_H2/lo:tx"
	ip netns delete "$NET_H2"
	sleep 0.7
	kill -0 "${RECORD_PID[gone]}"
	kill "$pid"
	ends_by_itself gone
}

@test "the namespace vanishes: the recording ends" {
	network_namespace "$NET_H2"
	ip -n "$NET_H2" link add w1 type veth peer name w2
	record_start gone "$NET_H1" -p "dev:$NET_H2/w1:tx"
	ip netns delete "$NET_H2"
	ends_by_itself gone
}
