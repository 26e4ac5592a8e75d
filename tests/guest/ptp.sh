#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ptp.sh - a PTP clock in recordings, run in a guest that has a network card with one: ptp.sh DIR, a folder that
# outlives the guest. Leaves there card.vnt, precise.vnt, with the card that precise.c makes of it, and kvm.vnt,
# with the name of the clock that KVM shows to guests.
set -euo pipefail

dir=$1
modprobe e1000e
ip link set lo up

record() {
	"$VNETTRACE" record -q -i lo -d 0.3 -o "$dir/$1.vnt"
}

record card
LD_PRELOAD=$BUILD/tests/precise.so record precise
echo 'KVM virtual PTP' >"$dir/name"
mount --bind "$dir/name" /sys/class/ptp/ptp0/clock_name
record kvm
