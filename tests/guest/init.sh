#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-only
#
# init.sh - the guest's first process, run by busybox from the initramfs: puts the host's root file
# system below a layer of memory, runs /job there and powers off. See guest.sh.

fail() {
	echo "init: $*" >/dev/console
	poweroff -f
}

mount_9p() {
	mkdir -p "$2" && mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2" ||
		fail "cannot mount $1"
}

# port NAME: the device of a virtio-serial port.
port() {
	for name in /sys/class/virtio-ports/*/name; do
		[ "$(cat "$name")" = "$1" ] && basename "$(dirname "$name")"
	done
}

mount_root() {
	mount_9p root /host ro,cache=loose
	mkdir -p /memory /root
	mount -t tmpfs memory /memory
	mkdir /memory/upper /memory/work
	mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root ||
		fail "cannot mount the overlay"
	mount_9p modules /root/lib/modules ro,cache=loose
	mount -t proc proc /root/proc
	mount -t sysfs sysfs /root/sys
	mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
	mount -t devtmpfs dev /root/dev
	mkdir -p /root/dev/pts /root/dev/shm
	ln -s /proc/self/fd /root/dev/fd
	ln -s /proc/self/fd/1 /root/dev/stdout
	ln -s /proc/self/fd/2 /root/dev/stderr
	mount -t devpts devpts /root/dev/pts
	mount -t tmpfs shm /root/dev/shm
	mount -t tmpfs run /root/run
	mkdir /root/run/lock
	while read -r tag path; do
		mount_9p "$tag" "/root$path" rw
	done </shares
}

export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
	insmod "/modules/$module" || fail "cannot load $module"
done </modules/order
mount_root
hostname guest
ip link set lo up

# Pipes in between: a port can be opened once, /dev/stderr as often as one likes.
mkfifo /out /err
cat </out >"/dev/$(port out)" &
out=$!
cat </err >"/dev/$(port err)" &
err=$!
chroot /root /bin/bash -c "$(cat /job)" </dev/null >/out 2>/err
status=$?
# What the command left behind may hold the pipes for ever.
(sleep 1 && kill "$out" "$err") 2>/dev/null &
wait "$out" "$err"
echo "$status" >"/dev/$(port status)"
poweroff -f
