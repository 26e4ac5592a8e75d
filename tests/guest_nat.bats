#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# bats file_tags=guest
# Translated packets on other kernels, where connection tracking is a module.

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

GUEST=$BATS_TEST_DIRNAME/guest/guest.sh
# All of them take longer than CI may: GUEST_KERNELS='6.1 6.12 7.3'.
IFS=' ' read -ra KERNELS <<<"${GUEST_KERNELS:-6.12}"

setup_file() {
	local kernel

	network_open
	for kernel in "${KERNELS[@]}"; do
		mkdir "$NET_DIR/$kernel"
		"$GUEST" --share "$NET_DIR/$kernel" --timeout 400 "$kernel" env BUILD="$BUILD" \
			"$BATS_TEST_DIRNAME/guest/nat.sh" "$NET_DIR/$kernel" \
			>"$NET_DIR/$kernel.out" 2>&1 3>&- || true
	done
}

# wanted KERNEL
wanted() {
	[[ " ${KERNELS[*]} " == *" $1 "* ]] || skip "not among GUEST_KERNELS: ${KERNELS[*]}"
}

teardown_file() {
	network_close
}

# one_path KERNEL RECORDING
one_path() {
	[[ -s $NET_DIR/$1/$2.vnt ]] || cat "$NET_DIR/$1.out"
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/$1/$2.vnt"
	json '.packets == {observed: 100, complete: 100, partial: 0, ambiguous: 0, copies: 0}'
	json '.paths | length == 1 and (.[0].probes | length == 4)'
	json '[.flows[] | .src, .packets] | sort == [50, 50, "10.0.1.1", "fd01::1"]'
}

translated() {
	wanted "$1"
	one_path "$1" before
	json '.flows | all(.translated == [])'
	one_path "$1" masqueraded
	scenario "masqueraded, Linux $1" 100 "$(jq -c '.paths[0].probes' "$NET_DIR/all.json")"
	json '[.flows[].translated[].src] | sort == ["10.0.2.254", "fd02::fe"]'
}

@test "Linux 6.1: masquerading" { translated 6.1; }
@test "Linux 6.12: masquerading" { translated 6.12; }
@test "Linux 7.3: masquerading" { translated 7.3; }
