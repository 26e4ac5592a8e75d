# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# kernel.bash - Debian kernels for guests: downloaded and unpacked, never installed.
#
# kernel_prepare leaves vmlinuz and lib/modules/RELEASE in $GUEST_CACHE/KERNEL.

GUEST_CACHE=${BUILD:-$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)/build}/guest

# What the guest needs before it has a root file system.
GUEST_MODULES=(virtio_pci virtio_console 9p 9pnet_virtio overlay virtio_net)

# kernel: suite, and the packages whose names go on with "-VERSION-amd64"
declare -A GUEST_KERNELS=(
	[6.1]='bookworm linux-image'
	[6.12]='trixie linux-image'
	[7.3]='trixie-backports linux-base linux-binary linux-modules'
)

# The mirror that the machine itself uses, without its name being said here.
kernel_mirror() (
	. /etc/os-release
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		awk -v release="$VERSION_CODENAME" '$1 == release {print $2; exit}'
)

# kernel_apt COMMAND ARGUMENT...: apt with sources, lists and cache of its own, besides that as the
# machine has it set up.
kernel_apt() {
	local command=$1 apt=$GUEST_CACHE/apt

	shift
	"$command" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State="$apt" -o Dir::State::status=/dev/null -o Dir::Cache="$apt" \
		-o APT::Sandbox::User=root -o APT::Update::Error-Mode=any \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=20 "$@"
}

# kernel_update SUITE: apt knows the packages of this suite.
kernel_update() {
	local mirror apt=$GUEST_CACHE/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	mirror=$(kernel_mirror)
	[[ -n $mirror ]] || {
		echo "the machine's apt sources name no Debian mirror" >&2
		return 1
	}
	mkdir -p "$apt/lists/partial" "$apt/archives/partial" &&
		echo "deb [signed-by=$keyring] $mirror $1 main" >"$apt/sources.list" &&
		kernel_apt apt-get update
}

# kernel_download KERNEL SUITE PACKAGE...: into the current folder.
kernel_download() {
	local kernel=$1 suite=$2 package name names=()

	shift 2
	kernel_update "$suite" || {
		echo "no package lists of Debian '$suite': is there a way to the mirror?" >&2
		return 1
	}
	for package; do
		name=$(kernel_apt apt-cache search --names-only \
			"^$package-${kernel//./\\.}\\.[0-9.-]+(\\+[a-z0-9]+)?-amd64\$" |
			cut -d ' ' -f 1 | sort -V | tail -n 1)
		[[ -n $name ]] || {
			echo "no package $package of Linux $kernel in Debian '$suite'" >&2
			return 1
		}
		names+=("$name")
	done
	kernel_apt apt-get download "${names[@]}"
}

# kernel_unpack DIR: the packages in the current folder.
kernel_unpack() {
	local package

	for package in *.deb; do
		dpkg-deb -x "$package" unpacked || return
	done
	mkdir -p "$1/lib/modules" &&
		find unpacked -name 'vmlinuz*' -exec mv {} "$1/vmlinuz" \; &&
		find unpacked -path '*lib/modules/*' -prune -exec mv {} "$1/lib/modules/" \; &&
		depmod -b "$1" "$(ls "$1/lib/modules")"
}

# kernel_modules DIR: the files of $GUEST_MODULES and all they need, in the order of loading.
kernel_modules() {
	local module

	for module in "${GUEST_MODULES[@]}"; do
		modprobe -C /dev/null -d "$1" -S "$(ls "$1/lib/modules")" --show-depends "$module" ||
			return
	done | awk '$1 == "insmod" && !seen[$2]++ {print $2}'
}

# kernel_prepare KERNEL: fetches it, once for everybody who asks at the same time.
kernel_prepare() (
	kernel=$1
	dir=$GUEST_CACHE/$kernel
	read -ra source <<<"${GUEST_KERNELS[$kernel]}"
	mkdir -p "$GUEST_CACHE" || exit
	exec {lock}>"$GUEST_CACHE/lock"
	flock "$lock" || exit
	[[ -e $dir ]] && exit
	new=$GUEST_CACHE/new
	rm -rf "$new"
	mkdir -p "$new/download" && cd "$new/download" &&
		kernel_download "$kernel" "${source[@]}" && kernel_unpack "$new/kernel" &&
		mv "$new/kernel" "$dir" && rm -rf "$new"
)

# kernel_initramfs DIR JOB SHARES: init.sh, busybox, modules and two files, to standard output.
kernel_initramfs() (
	tree=$(mktemp -d) || exit
	trap 'rm -rf "$tree"' EXIT
	mkdir "$tree"/{bin,sbin,modules,proc,sys,dev} &&
		install -m 755 "${BASH_SOURCE[0]%/*}/init.sh" "$tree/init" &&
		printf '%s\n' "$2" >"$tree/job" && printf '%s' "$3" >"$tree/shares" &&
		cp /bin/busybox "$tree/bin" || exit
	# The kernel loads modules on demand by this name.
	printf '#!/bin/busybox sh\nexec busybox chroot /root /sbin/modprobe "$@"\n' >"$tree/sbin/modprobe"
	chmod 755 "$tree/sbin/modprobe"
	for file in $(kernel_modules "$1"); do
		name=$(basename "${file%.xz}")
		case $file in
		*.xz) xz -dc "$file" >"$tree/modules/$name" ;;
		*) cp "$file" "$tree/modules" ;;
		esac || exit
		echo "$name" >>"$tree/modules/order"
	done
	cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0
)
