#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# bats file_tags=guest
# Translated packets on other kernels, where connection tracking is a module.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record
load lib/kernels

setup_file() {
	network_open
	kernels_run nat.sh
}

teardown_file() {
	network_close
}

# one_path KERNEL RECORDING
one_path() {
	kernels_report "$1" "$2"
	json '.packets == {observed: 100, complete: 100, partial: 0, ambiguous: 0, copies: 0}'
	json '.paths | length == 1 and (.[0].probes | length == 4)'
	json '[.flows[] | .src, .packets] | sort == [50, 50, "10.0.1.1", "fd01::1"]'
}

translated() {
	one_path "$1" before
	json '.flows | all(.translated == [])'
	one_path "$1" masqueraded
	scenario "masqueraded, Linux $1" 100 "$(jq -c '.paths[0].probes' "$NET_DIR/all.json")"
	json '[.flows[].translated[].src] | sort == ["10.0.2.254", "fd02::fe"]'
}

@test "Linux 6.1: masquerading" { translated 6.1; }
@test "Linux 6.12: masquerading" { translated 6.12; }
@test "Linux 7.3: masquerading" { translated 7.3; }
