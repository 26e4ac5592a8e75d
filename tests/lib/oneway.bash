# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# oneway.bash - for bats files: a veth pair in one namespace, and a good recording of it in $GOOD.
# Needs network.bash and record.bash.

# One namespace is enough: what leaves v1 enters v2, and nothing answers.
setup_file() {
	network_open
	network_namespace "$NET_H1"
	add_pair v1 v2
	ip -n "$NET_H1" address add 10.9.0.1/24 dev v1
	ip -n "$NET_H1" neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v1 nud permanent
	export GOOD=$NET_DIR/good.vnt
	# If this fails, the tests that need the file say so.
	record_good || true
}

teardown_file() {
	network_close
}

add_pair() {
	ip -n "$NET_H1" link add "$1" type veth peer name "$2"
	ip -n "$NET_H1" link set "$1" up
	ip -n "$NET_H1" link set "$2" up
}

traffic() {
	in_ns "$NET_H1" "$UDPNUM" send "$1" 100 10.9.0.2 5001 "${2:-2000}"
}

record_good() {
	record_start good "$NET_H1" -i v1 -i v2 'udp port 5001' && traffic 500 && record_stop good
}

# fails CODE GLOB COMMAND...: one line on stderr, nothing on stdout.
fails() {
	local code=$1 pattern=$2

	shift 2
	run --separate-stderr "$@"
	echo "status $status, stderr: $stderr"
	((status == code))
	[[ $stderr == $pattern ]]
	((${#stderr_lines[@]} == 1))
	[[ -z $output ]]
}

events_in() {
	"$VNETTRACE" report -q -f json "$1" | jq '[.domains[].events] | add'
}

record_in_ns() {
	in_ns "$NET_H1" timeout 20 "$VNETTRACE" record "$@"
}
