# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# network.bash - test networks in namespaces, and their removal.
#
# Everything that is made is registered in a file, and network_close undoes exactly that, newest
# first. Scripts call network_open and network_trap; bats files call network_open in setup_file and
# network_close in teardown_file (the EXIT trap is bats' own there).
#
#   network_switch ovs|bridge    h1 eth0 10.0.0.1 -- p1 | ovs-br1 in sw | p2 -- eth0 10.0.0.2 h2
#   network_router               h1 eth0 10.0.1.1 -- p1 | forwarding in r | p2 -- eth0 10.0.2.1 h2
#
# IPv6 is the same with fd00::, fd01:: and fd02::. $NET_H1, $NET_H2 and $NET_MID are the namespaces,
# $NET_DIR a folder for the test's files.

BRIDGE=ovs-br1

network_open() {
	NET_DIR=$(mktemp -d "${TMPDIR:-/tmp}/vnettrace-test.XXXXXX") || return
	NET_PREFIX=vnt-$$-$RANDOM
	export NET_DIR NET_PREFIX
	export NET_H1=$NET_PREFIX-h1 NET_H2=$NET_PREFIX-h2 NET_MID=$NET_PREFIX-mid
	: >"$NET_DIR/cleanup"
}

# Registers a command that undoes what was just done.
network_undo() {
	printf '%q ' "$@" >>"$NET_DIR/cleanup"
	echo >>"$NET_DIR/cleanup"
}

network_close() {
	local undo

	[[ -n ${NET_DIR:-} && -e $NET_DIR/cleanup ]] || return 0
	while IFS= read -r undo; do
		eval "$undo" </dev/null >/dev/null 2>&1 || true
	done < <(tac "$NET_DIR/cleanup")
	rm -rf "$NET_DIR"
}

network_trap() {
	trap network_close EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Ends a process that we started: asked first, then forced.
network_stop_pid() {
	local pid=$1 tries

	kill "$pid" || return 0
	for ((tries = 0; tries < 50; tries++)); do
		kill -0 "$pid" || return 0
		sleep 0.1
	done
	kill -KILL "$pid"
}

network_stop_pidfile() {
	[[ -s $1 ]] && network_stop_pid "$(<"$1")"
}

# in_ns NAMESPACE COMMAND... (in the background: write it out, so that $! is the command itself)
in_ns() {
	ip netns exec "$@"
}

# A namespace outlives its name as long as something runs in it.
network_delete_namespace() {
	ip netns pids "$1" | xargs -r kill
	ip netns delete "$1"
}

network_namespace() {
	ip netns add "$1" || return
	network_undo network_delete_namespace "$1"
	# Nothing but the test's packets: no router solicitations, no multicast reports.
	in_ns "$1" sysctl -qw net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
		net.ipv6.conf.all.router_solicitations=0 net.ipv6.conf.default.router_solicitations=0 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 &&
		ip -n "$1" link set lo up
}

# network_link NAMESPACE PORT: joins eth0 of a host to PORT of the namespace in the middle.
network_link() {
	ip -n "$1" link add eth0 type veth peer name "$2" netns "$NET_MID" &&
		ip -n "$1" link set eth0 up &&
		ip -n "$NET_MID" link set "$2" up
}

# The user-space switch and tcpdump see what the sender's stack left for hardware to do: partial
# checksums and super-packets. Without offloads every packet is what the wire would carry.
network_offloads_off() {
	local ns device

	for ns in "$NET_H1:eth0" "$NET_H2:eth0" "$NET_MID:p1" "$NET_MID:p2"; do
		device=${ns##*:}
		in_ns "${ns%:*}" ethtool -K "$device" \
			rx off tx off sg off tso off gso off gro off >/dev/null || return
	done
}

# network_neighbours: fixed neighbour entries, so that a test's packets are all there are.
network_neighbours() {
	local from to address mac

	for from in "$NET_H1" "$NET_H2"; do
		to=$NET_H2
		[[ $from == "$NET_H2" ]] && to=$NET_H1
		mac=$(in_ns "$to" cat /sys/class/net/eth0/address) || return
		for address in $(ip -n "$to" -o address show dev eth0 scope global | awk '{print $4}'); do
			ip -n "$from" neighbour replace "${address%/*}" lladdr "$mac" dev eth0 \
				nud permanent || return
		done
	done
}

# Starts an Open vSwitch of its own, in user space, inside the namespace in the middle.
network_ovs_start() {
	local dir=$NET_DIR/ovs schema=/usr/share/openvswitch/vswitch.ovsschema

	mkdir -p "$dir" || return
	export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
	ovsdb-tool create "$dir/conf.db" "$schema" || return
	network_undo network_stop_pidfile "$dir/ovsdb-server.pid"
	in_ns "$NET_MID" ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" \
		--pidfile="$dir/ovsdb-server.pid" --detach --no-chdir --log-file="$dir/ovsdb.log" \
		-vconsole:off 3>&- || return
	network_undo network_stop_pidfile "$dir/ovs-vswitchd.pid"
	in_ns "$NET_MID" ovs-vsctl --timeout=10 --no-wait init || return
	in_ns "$NET_MID" ovs-vswitchd "unix:$dir/db.sock" --pidfile="$dir/ovs-vswitchd.pid" \
		--detach --no-chdir --log-file="$dir/ovs.log" -vconsole:off 3>&- || return
	in_ns "$NET_MID" ovs-vsctl --timeout=10 \
		add-br "$BRIDGE" -- set bridge "$BRIDGE" datapath_type=netdev fail_mode=standalone -- \
		add-port "$BRIDGE" p1 -- add-port "$BRIDGE" p2
}

network_bridge_start() {
	ip -n "$NET_MID" link add "$BRIDGE" type bridge mcast_snooping 0 &&
		ip -n "$NET_MID" link set p1 master "$BRIDGE" &&
		ip -n "$NET_MID" link set p2 master "$BRIDGE"
}

# network_addresses NAMESPACE IPV4/LEN IPV6/LEN
network_addresses() {
	ip -n "$1" address add "$2" dev eth0 &&
		ip -n "$1" address add "$3" dev eth0 nodad
}

# network_reachable ADDRESS: waits until h2 answers h1.
network_reachable() {
	local tries

	for ((tries = 0; tries < 50; tries++)); do
		in_ns "$NET_H1" ping -q -c 1 -W 1 "$1" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	echo "no way from h1 to $1" >&2
	return 1
}

# network_behind: h2 is a router, too, and 10.0.3.1 behind its device `behind`. Nobody is there.
network_behind() {
	ip -n "$NET_H2" link add behind type veth peer name beyond
	ip -n "$NET_H2" address add 10.0.3.254/24 dev behind
	ip -n "$NET_H2" link set beyond up
	ip -n "$NET_H2" link set behind up
	ip -n "$NET_H2" neighbour add 10.0.3.1 lladdr 02:00:00:00:00:01 dev behind
	ip -n "$NET_MID" route add 10.0.3.0/24 via 10.0.2.1
	in_ns "$NET_H2" sysctl -qw net.ipv4.ip_forward=1
}

network_switch() {
	local ns

	for ns in "$NET_H1" "$NET_H2" "$NET_MID"; do
		network_namespace "$ns" || return
	done
	in_ns "$NET_MID" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 || return
	network_link "$NET_H1" p1 && network_link "$NET_H2" p2 || return
	network_addresses "$NET_H1" 10.0.0.1/24 fd00::1/64 || return
	network_addresses "$NET_H2" 10.0.0.2/24 fd00::2/64 || return
	network_offloads_off || return
	"network_${1}_start" || return
	ip -n "$NET_MID" link set "$BRIDGE" up
	network_neighbours && network_reachable 10.0.0.2 && network_reachable fd00::2
}

# A real Open vSwitch where it can run, else the kernel's bridge under the same name.
network_any_switch() {
	if network_switch ovs 2>"$NET_DIR/switch.err"; then
		echo "switch: Open vSwitch bridge '$BRIDGE', user-space datapath"
		return
	fi
	echo "switch: Open vSwitch does not run here, so '$BRIDGE' is a Linux bridge:"
	sed 's/^/  /' "$NET_DIR/switch.err"
	network_close
	network_open && network_switch bridge
}

network_router() {
	local ns

	for ns in "$NET_H1" "$NET_H2" "$NET_MID"; do
		network_namespace "$ns" || return
	done
	in_ns "$NET_MID" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 || return
	network_link "$NET_H1" p1 && network_link "$NET_H2" p2 || return
	network_addresses "$NET_H1" 10.0.1.1/24 fd01::1/64 || return
	network_addresses "$NET_H2" 10.0.2.1/24 fd02::1/64 || return
	ip -n "$NET_MID" address add 10.0.1.254/24 dev p1 || return
	ip -n "$NET_MID" address add 10.0.2.254/24 dev p2 || return
	ip -n "$NET_MID" address add fd01::fe/64 dev p1 nodad || return
	ip -n "$NET_MID" address add fd02::fe/64 dev p2 nodad || return
	ip -n "$NET_H1" route add default via 10.0.1.254 || return
	ip -n "$NET_H2" route add default via 10.0.2.254 || return
	ip -n "$NET_H1" -6 route add default via fd01::fe || return
	ip -n "$NET_H2" -6 route add default via fd02::fe || return
	network_offloads_off || return
	network_reachable 10.0.2.1 && network_reachable fd02::1
}
