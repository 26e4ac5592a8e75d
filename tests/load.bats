#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The verifier takes the programs, whatever options make of them. For other kernels see guest/record.sh.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

LONG_FILTER=$(printf 'udp port %d or ' {5001..5060})'ip[2:2] - ((ip[0] & 0xf) << 2) > udp[4:2] + tcp[13]'

setup_file() {
	network_open
	network_namespace "$NET_H1"
	in_ns "$NET_H1" ip link set lo up
}

teardown_file() {
	network_close
}

loads() {
	echo "options: $*"
	in_ns "$NET_H1" "$VNETTRACE" record -i lo -d 0.01 -o /dev/null "$@"
}

@test "the programs load with each option that changes them, and with all" {
	loads
	loads --sample 1/2
	loads --id payload
	loads --sample 1/2 --id payload
	loads --stamp tcp,udp
	loads --vxlan-port 1 --vxlan-port 2
	loads "$LONG_FILTER"
	loads --sample 1/2 --id payload --stamp tcp,udp --vxlan-port 1 --vxlan-port 2 "$LONG_FILTER"
}

# Linux 6.1 adds up what functions take, each as a multiple of 32 bytes.
@test "no way through the programs takes more stack than there is" {
	for name in probes stamp; do
		run awk -f "$BATS_TEST_DIRNAME/lib/stack.awk" "$BUILD/$name.bpf.su" \
			<(llvm-objdump -dr "$BUILD/$name.bpf.o")
		echo "$output"
		((status == 0 && ${#lines[@]} >= 3))
		while read -r bytes _; do
			((bytes <= 512))
		done <<<"$output"
	done
}
