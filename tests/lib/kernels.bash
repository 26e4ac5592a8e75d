# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# kernels.bash - a script run in guests with other kernels. Needs network.bash.
#
# All of them take longer than CI may: GUEST_KERNELS='6.1 6.12 7.3'. guest.bats loads the programs on each.

IFS=' ' read -ra KERNELS <<<"${GUEST_KERNELS:-6.12}"

# kernels_run SCRIPT: in each guest, with $NET_DIR/KERNEL to leave recordings in; what it says is in KERNEL.out.
kernels_run() {
	local kernel guest=$BATS_TEST_DIRNAME/guest

	for kernel in "${KERNELS[@]}"; do
		mkdir "$NET_DIR/$kernel"
		"$guest/guest.sh" --share "$NET_DIR/$kernel" --timeout 400 "$kernel" env BUILD="$BUILD" \
			"$guest/$1" "$NET_DIR/$kernel" >"$NET_DIR/$kernel.out" 2>&1 3>&- || true
	done
}

# kernels_report KERNEL RECORDING: $NET_DIR/all.json, unless the kernel was not asked for.
kernels_report() {
	[[ " ${KERNELS[*]} " == *" $1 "* ]] || skip "not among GUEST_KERNELS: ${KERNELS[*]}"
	[[ -s $NET_DIR/$1/$2.vnt ]] || cat "$NET_DIR/$1.out"
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR/$1/$2.vnt"
}
