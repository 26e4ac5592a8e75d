#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The ring in this kernel, under probes that interrupt each other.

BUILD=${BUILD:-$(cd "$BATS_TEST_DIRNAME/.." && pwd)/build}

# Tiny rings are full nearly always, large ones hardly.
nests() {
	run timeout 60 "$BUILD/tests/nest" 1 "$1"
	echo "$output"
	((status == 0))
}

@test "task, softirq, hardirq and NMI write to a ring of 2 slots" {
	nests 2
}

@test "task, softirq, hardirq and NMI write to a ring of 64 slots" {
	nests 64
}

@test "task, softirq, hardirq and NMI write to a ring of 1024 slots" {
	nests 1024
}
