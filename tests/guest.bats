#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# bats file_tags=guest
# Other kernels than this one: the programs load there, and see every packet.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

GUEST=$BATS_TEST_DIRNAME/guest/guest.sh
KERNELS=(6.1 6.12 7.3)
FILTERS=('udp port 5001' 'ip6 and src fd00::1 and greater 500'
	'arp or icmp or ether proto 0x88b5 or tcp[13] & 2 != 0 or udp[8:4] < 100')

# One after the other: guests that share processors wait for each other's locks, and take much longer.
setup_file() {
	local kernel

	network_open
	for kernel in "${KERNELS[@]}"; do
		mkdir "$NET_DIR/$kernel"
		printf '%s\n' "${FILTERS[@]}" >"$NET_DIR/$kernel/filters"
		run_guest "$kernel" --share "$NET_DIR/$kernel" --timeout 240 "$kernel" \
			env BUILD="$BUILD" "$BATS_TEST_DIRNAME/guest/record.sh" "$NET_DIR/$kernel"
	done
	run_guest codes 6.12 sh -c 'echo out; echo err >/dev/stderr; exit 42'
}

teardown_file() {
	network_close
}

# run_guest NAME ARGUMENT...: leaves $NET_DIR/NAME.out, NAME.err and NAME.code.
run_guest() {
	local name=$NET_DIR/$1 code=0 started=$SECONDS

	shift
	"$GUEST" "$@" >"$name.out" 2>"$name.err" 3>&- || code=$?
	echo "$code" >"$name.code"
	echo "# measured: guest '${name##*/}': $((SECONDS - started)) s" >&3
}

# ran KERNEL: its script came to its end.
ran() {
	cat "$NET_DIR/$1.out" "$NET_DIR/$1.err"
	[[ $(<"$NET_DIR/$1.code") == 0 ]]
}

same_headers() {
	cat "$NET_DIR/$1.err" "$NET_DIR/$1/headers"
	[[ $(<"$NET_DIR/$1/headers") == "3000 and 3000 events: equal" ]]
}

captured() {
	tcpdump --count -nr "$NET_DIR/$1/all.pcap" "${@:2}" 2>/dev/null | cut -d ' ' -f 1
}

recorded() {
	"$VNETTRACE" report -f json "$NET_DIR/$1/$2.vnt" >"$NET_DIR/all.json"
	json ".domains[0] | .lost == 0 and (.kernel | startswith(\"$1.\"))"
	json "all(.probes[]; .lost == 0)"
}

filters_work() {
	local i want have

	ran "$1"
	for i in "${!FILTERS[@]}"; do
		want=$(captured "$1" "${FILTERS[i]}")
		recorded "$1" "$i"
		have=$(jq '.domains[0].events' "$NET_DIR/all.json")
		echo "${FILTERS[i]}: tcpdump $want, vnettrace $have"
		((want > 0 && want == have))
	done
}

journeys_complete() {
	local packets

	ran "$1"
	packets=$(captured "$1")
	recorded "$1" all
	echo "tcpdump: $packets packets"
	json ".domains[0].events == 2 * $packets"
	json ".packets | .complete == .observed and .partial == 0"
	json '[.flows[] | select(.dport == 5001) | .packets] == [200, 200]'
	"$VNETTRACE" report "$NET_DIR/$1/all.vnt" >/dev/null
}

# 100 equal datagrams each of IPv4 and IPv6, checksums left to the device, and a connection.
stamps_exact() {
	ran "$1"
	recorded "$1" stamped
	json '.packets | .complete == .observed and .partial == 0 and .ambiguous == 0'
	json '[.flows[] | select(.dport == 5001) | .packets] == [100, 100]'
}

@test "a command's output, errors and exit code come out of the guest" {
	[[ $(<"$NET_DIR/codes.out") == out ]]
	[[ $(<"$NET_DIR/codes.err") == err ]]
	[[ $(<"$NET_DIR/codes.code") == 42 ]]
}

@test "a guest that takes too long is ended" {
	run --separate-stderr "$GUEST" --timeout 1 6.12 true
	((status == 124))
	[[ -z $output ]]
}

@test "what guest.sh refuses" {
	for arguments in "" 6.12 "--bogus x 6.12 true" "5.10 true" "--share /nosuch 6.12 true"; do
		run --separate-stderr "$GUEST" $arguments
		((status == 125))
		[[ -z $output && -n $stderr ]]
	done
}

# guest_runs DIR: the one that shares this folder.
guest_runs() {
	pgrep -f "^qemu-system.*path=$1," >/dev/null
}

wait_gone() {
	local tries

	for ((tries = 0; tries < 50; tries++)); do
		guest_runs "$1" || return 0
		sleep 0.1
	done
	return 1
}

@test "no guest outlives guest.sh" {
	for signal in INT TERM KILL; do
		dir=$NET_DIR/$signal
		mkdir "$dir"
		# A background process of a script ignores SIGINT unless told otherwise.
		TMPDIR=$dir env --default-signal=INT "$GUEST" --share "$dir" 6.12 sleep 60 \
			>/dev/null 2>&1 3>&- &
		until guest_runs "$dir"; do
			kill -0 $!
			sleep 0.1
		done
		kill "-$signal" $!
		wait $! || true
		wait_gone "$dir"
		# Nobody can clean up after himself when he is killed.
		[[ $signal == KILL || -z $(ls "$dir") ]]
	done
}

# clock_in NAME: what each of the readings of the clock of a card says, without the times.
clock_in() {
	"$BUILD/tests/clocks" "$NET_DIR/ptp/$1.vnt" | grep ^ptp | sed 's/[1-9][0-9]*$/N/' | sort -u
}

@test "the PTP clock of a network card, and that of the host of a guest" {
	mkdir "$NET_DIR/ptp"
	run_guest ptp --device e1000e,romfile= --share "$NET_DIR/ptp" --timeout 240 6.12 \
		env BUILD="$BUILD" VNETTRACE="$VNETTRACE" "$BATS_TEST_DIRNAME/guest/ptp.sh" "$NET_DIR/ptp"
	ran ptp
	# Each time it is another one, read in a bracket.
	[[ $(clock_in card | wc -l) -ge 4 ]]
	[[ $(clock_in card | sed 's/ahead -*[0-9]* /ahead N /' | sort -u) == "ptp0 ahead N width N" ]]
	[[ $(clock_in precise) == "ptp0 ahead 5000000007 width 0" ]]
	[[ $(clock_in kvm | sed 's/ahead -*[0-9]* /ahead N /' | sort -u) == "ptp0 kvm ahead N width N" ]]
}

@test "two kernels, two clocks: every packet is joined" {
	dir=$NET_DIR/two
	mkdir "$dir"
	network_namespace "$NET_H1"
	ip -n "$NET_H1" tuntap add mode tap name tap0
	in_ns "$NET_H1" sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1
	ip -n "$NET_H1" address add 10.0.0.1/24 dev tap0
	ip -n "$NET_H1" link set tap0 up
	record_start host "$NET_H1" -i tap0 udp port 5001
	ip netns exec "$NET_H1" "$UDPNUM" receive 200 60 10.0.0.1 5001 >/dev/null 3>&- &
	receiver=$!
	network_undo network_stop_pid $receiver
	"$GUEST" --netns "$NET_H1" --net tap0 --share "$dir" 6.12 env BUILD="$BUILD" COUNT=200 \
		"$BATS_TEST_DIRNAME/guest/peer.sh" "$dir" >"$dir/out" 2>&1 3>&- &
	guest=$!
	network_undo network_stop_pid $guest
	until [[ -e $dir/ready ]]; do
		kill -0 $guest || {
			cat "$dir/out"
			return 1
		}
		sleep 0.1
	done
	in_ns "$NET_H1" "$UDPNUM" send 200 100 10.0.0.2 5001 500
	wait $receiver
	wait $guest
	record_stop host
	"$VNETTRACE" merge -o "$NET_DIR/all.vnt" "$NET_DIR/host.vnt" "$dir/guest.vnt"
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/all.vnt"
	json '[.domains[].boot_id] | unique | length == 2'
	json '[.domains[].events] == [400, 400]'
	json '.packets == {"observed": 400, "complete": 400, "partial": 0, "ambiguous": 0, "copies": 0}'
	json '.loss | length == 2 and all(.sent == 200 and .lost == 0)'
	json '.domains[1].clock | .method == "packets" and .bound_ns > 0 and .rejected == 0'
	json '[.paths[].hops[] | select(.cross_domain) | .latency] | length == 2 and
		all(.min_ns > 0 and .bound_ns > 0) and
		(.[0].min_ns - .[1].min_ns | fabs) <= .[0].bound_ns'
}

@test "Linux 6.1: both programs see the same headers" { same_headers 6.1; }
@test "Linux 6.1: filters keep what tcpdump keeps" { filters_work 6.1; }
@test "Linux 6.1: every packet is a complete journey" { journeys_complete 6.1; }
@test "Linux 6.1: stamps tell equal packets apart" { stamps_exact 6.1; }

@test "Linux 6.12: both programs see the same headers" { same_headers 6.12; }
@test "Linux 6.12: filters keep what tcpdump keeps" { filters_work 6.12; }
@test "Linux 6.12: every packet is a complete journey" { journeys_complete 6.12; }
@test "Linux 6.12: stamps tell equal packets apart" { stamps_exact 6.12; }

@test "Linux 7.3: both programs see the same headers" { same_headers 7.3; }
@test "Linux 7.3: filters keep what tcpdump keeps" { filters_work 7.3; }
@test "Linux 7.3: every packet is a complete journey" { journeys_complete 7.3; }
@test "Linux 7.3: stamps tell equal packets apart" { stamps_exact 7.3; }
