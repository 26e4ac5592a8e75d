# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# packages.bash - Debian packages that building and testing need, and one of npm.

PACKAGES_BUILD=(gcc libc6-dev clang llvm bpftool cmake ninja-build pkgconf
	libbpf-dev libelf-dev liblz4-dev libpcap-dev zlib1g-dev)
PACKAGES_NETWORK=(ethtool iproute2 iptables iputils-ping nftables openvswitch-switch procps sockperf)
PACKAGES_TEST=(bats bsdextrautils clang-format clang-tidy iperf3 jq libclang-rt-dev libcriterion-dev make mandoc shellcheck spin
	tcpdump util-linux)
PACKAGES_GUEST=(busybox-static cpio debian-archive-keyring kmod qemu-system-x86 xz-utils)
PACKAGES_BENCH=(bpftrace iperf3 jq linux-perf tcpdump util-linux)
PACKAGES_COMPARE=(iproute2 jq procps util-linux)
PACKAGES_MERGECAP=(wireshark-common)
PACKAGES_CLICKHOUSE=(clickhouse-client clickhouse-server)
NPM_DUCKDB=@duckdb/node-bindings-linux-x64@1.5.6-r.1

# Packages may want to start their services. Tests start what they need by themselves.
packages_without_services() (
	policy=/usr/sbin/policy-rc.d
	if [[ ! -e $policy ]]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	"$@"
)

# packages_install PACKAGE...: installs what is missing; does not touch the network otherwise.
packages_install() {
	local package missing=()

	for package in "$@"; do
		[[ $(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
			missing+=("$package")
	done
	((${#missing[@]})) || return 0
	echo "installing: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update </dev/null || return
	packages_without_services apt-get -qq install -y --no-install-recommends \
		"${missing[@]}" </dev/null >/dev/null
}
