#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# guest.sh - runs a command as root in a guest with a Debian kernel.
#
#   tests/guest/guest.sh [OPTION]... KERNEL COMMAND [ARGUMENT]...
#
#   KERNEL            6.1, 6.12 or 7.3
#   --netns NAME      run qemu in this network namespace, not in one made for it
#   --net TAP         the guest's eth0 (and eth1, ...) is behind this TAP device of that namespace
#   --device NAME     one of qemu's more, as e1000e
#   --share DIR       the guest may write into this folder
#   --timeout SECONDS from power on to power off, 120 if not given
#
# The guest sees the machine's files where they are, and the folder the command is run in is the same;
# what it writes is gone with it, except below --share. Its environment is empty but for PATH and HOME.
# Standard input is /dev/null, output and errors come as they are written; the console is shown only
# if the guest fails. Modules are loaded on demand, or by modprobe. The guest's network is lo, and what
# --net adds: not configured, not up.
#
# Exit code: the command's; 124 if time was up, 125 if the guest could not be brought up or died.
#
# Two kernels on one network, each with its own clocks:
#
#   ip netns add NS
#   ip -n NS tuntap add mode tap name tap0
#   ip -n NS address add 10.0.0.1/24 dev tap0       (or: ip -n NS link set tap0 master BRIDGE)
#   ip -n NS link set tap0 up
#   guest.sh --netns NS --net tap0 --share "$DIR" 6.12 bash -c '
#           ip address add 10.0.0.2/24 dev eth0 && ip link set eth0 up && ...'
set -uo pipefail

# shellcheck source=tests/guest/kernel.bash
. "$(dirname "${BASH_SOURCE[0]}")/kernel.bash"

die() {
	echo "guest.sh: $*" >&2
	exit 125
}

usage() {
	echo "usage: guest.sh [--netns NAME] [--net TAP]... [--device NAME]... [--share DIR]..." \
		"[--timeout SECONDS] KERNEL COMMAND [ARGUMENT]..." >&2
	exit 125
}

work=$(mktemp -d) || exit 125
qemu_pid=

close() {
	[[ -z $qemu_pid ]] || {
		kill "$qemu_pid" 2>/dev/null
		wait "$qemu_pid"
	}
	rm -rf "$work"
}
trap close EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

enter=(unshare --net)
timeout=120
devices=()
shares=

# add_9p TAG DIR [PROPERTY]
add_9p() {
	devices+=(-virtfs "local,path=${2//,/,,},mount_tag=$1,security_model=none,multidevs=remap$3")
}

add_net() {
	local id=net${#devices[@]}

	devices+=(-netdev "tap,id=$id,ifname=$1,script=no,downscript=no"
		-device "virtio-net-pci,netdev=$id,romfile=,mac=52:54:00:00:00:$(printf %02x ${#devices[@]})")
}

add_share() {
	local tag=share${#devices[@]}

	add_9p "$tag" "$1" ""
	shares+="$tag $1"$'\n'
}

while [[ ${1:-} == --* ]]; do
	(($# >= 2)) || usage
	case $1 in
	--netns) enter=(ip netns exec "$2") ;;
	--net) add_net "$2" ;;
	--device) devices+=(-device "$2") ;;
	--share) add_share "$(realpath -e "$2")" || die "no folder '$2'" ;;
	--timeout) timeout=$2 ;;
	*) usage ;;
	esac
	shift 2
done
(($# >= 2)) || usage
kernel=$1
shift
[[ -v GUEST_KERNELS[$kernel] ]] || die "no kernel '$kernel', there are: ${!GUEST_KERNELS[*]}"
kernel_prepare "$kernel" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	die "cannot fetch Linux $kernel"
}
dir=$GUEST_CACHE/$kernel
add_9p root / ,readonly=on
add_9p modules "$dir/lib/modules" ,readonly=on
printf -v job '%q ' "$@"
printf -v job 'cd %q && exec %s' "$PWD" "$job"
kernel_initramfs "$dir" "$job" "$shares" >"$work/initramfs" || die "cannot build the initramfs"

# qemu takes files for the ports only by number, and only if they are open for nothing but writing.
exec {out}> >(exec cat)
out_pid=$!
exec {err}> >(exec cat >&2)
err_pid=$!
# What costs an emulated processor most is left out: a fifth level of page tables, guards against speculation, and
# cleared pages.
# Whoever is killed, qemu does not outlive it.
setpriv --pdeathsig TERM timeout --kill-after 5 "$timeout" \
	setpriv --pdeathsig KILL "${enter[@]}" \
	qemu-system-x86_64 -accel tcg,thread=multi -cpu max,la57=off -smp 2 -m 2048 \
	-nodefaults -no-user-config -display none -no-reboot -serial "file:$work/console" \
	-kernel "$dir/vmlinuz" -initrd "$work/initramfs" \
	-append "console=ttyS0 loglevel=4 panic=-1 no_timer_check mitigations=off init_on_alloc=0" \
	-add-fd "fd=$out,set=1" -add-fd "fd=$err,set=2" \
	-chardev file,id=out,path=/dev/fdset/1,append=on -chardev file,id=err,path=/dev/fdset/2,append=on \
	-chardev "file,id=status,path=$work/status" -device virtio-serial-pci \
	-device virtserialport,chardev=out,name=out -device virtserialport,chardev=err,name=err \
	-device virtserialport,chardev=status,name=status \
	"${devices[@]}" </dev/null >"$work/log" 2>&1 &
qemu_pid=$!
exec {out}>&- {err}>&-
wait "$qemu_pid"
status=$?
qemu_pid=
wait "$out_pid" "$err_pid"
[[ -s $work/status ]] && exit "$(<"$work/status")"
tail -n 30 "$work/log" "$work/console" >&2
((status == 124)) && exit 124
die "Linux $kernel did not run to its end"
