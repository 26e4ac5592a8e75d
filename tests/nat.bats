#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Packets whose addresses and ports are changed on the way are the packets they were.
#
#   h1 eth0 10.0.1.1 -- p1 10.0.1.254 | router that translates | p2 10.0.2.254 -- eth0 10.0.2.1 h2

bats_require_minimum_version 1.5.0
load lib/network
load lib/record

FORTH='["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:p2:tx","h2/dev:eth0:rx"]'
BACK='["h2/dev:eth0:tx","r/dev:p2:rx","r/dev:p1:tx","h1/dev:eth0:rx"]'

setup() {
	network_open
	network_router
	R2=$NET_PREFIX-r2
}

teardown() {
	network_close
}

# nat iptables|ip6tables RULE...: in the router.
nat() {
	in_ns "$NET_MID" "$1" -t nat -A "${@:2}"
}

# send_numbers_to COUNT ADDRESS PORT RECEIVER RECEIVER_ADDRESS: from h1; the receiver listens at port 5001.
send_numbers_to() {
	local receiver

	ip netns exec "$4" "$UDPNUM" receive "$1" 2 "$5" 5001 </dev/null >/dev/null 3>&- &
	receiver=$!
	wait_listening "$4" -u 5001 &&
		in_ns "$NET_H1" "$UDPNUM" send "$1" 100 "$2" "$3" 5000 &&
		wait "$receiver"
}

# one_path COUNT SCENARIO PATH...
one_path() {
	scenario "$2" "$1" "${@:3}"
	json ".packets == {observed: $1, complete: $1, partial: 0, ambiguous: 0, copies: 0}"
	json ".paths | map(.probes) | sort == ([$(IFS=, && echo "${*:3}")] | sort)"
	json '.loss | length > 0 and all(.lost == 0)'
}

# translated FLOW TRANSLATION...: each SOURCE>DESTINATION, with ports where they matter; those of the flow
# and what became of it.
translated() {
	local expected

	expected=$(printf '%s\n' "${@:2}" | jq -Rnc '[inputs] | sort')
	json "def ends: \"\(.src):\(.sport)>\(.dst):\(.dport)\";
		[.flows[] | select(ends | test(\"^$1\$\")) | .translated[] | ends] | sort as \$seen |
		$expected | length == (\$seen | length) and
		all(range(length); . as \$i | \$seen[\$i] | test(\"^\" + (($expected)[\$i]) + \"\$\"))"
}

@test "masquerading, UDP" {
	nat iptables POSTROUTING -o p2 -j MASQUERADE
	record_route 'udp'
	send_numbers 500 100 10.0.2.1
	report_path
	one_path 500 "UDP, masqueraded" "$FORTH"
	json '.flows | length == 1 and .[0].src == "10.0.1.1" and .[0].dst == "10.0.2.1" and
		.[0].packets == 500'
	translated '10.0.1.1:[0-9]+>10.0.2.1:5001' '10.0.2.254:[0-9]+>10.0.2.1:5001'
	run "$VNETTRACE" report "$NET_DIR/all.vnt"
	[[ $output =~ 'udp   10.0.1.1:'[0-9]+' '+'->  10.0.2.1:5001' ]]
	[[ $output =~ '  as  10.0.2.254:'[0-9]+' '+'->  10.0.2.1:5001' ]]
}

@test "masquerading, TCP both ways" {
	nat iptables POSTROUTING -o p2 -p tcp -j MASQUERADE --to-ports 7000-7010
	record_route 'tcp and tcp[13] & 4 = 0'
	transfer 10.0.2.1 4M 32K
	report_path
	one_path "$(jq .packets.observed "$NET_DIR/all.json")" "TCP, masqueraded" "$FORTH" "$BACK"
	json '.packets.observed > 1000'
	# Two connections, two flows each, as both ends would name them: h1 never meets 10.0.2.254.
	json '.flows | length == 4 and all(.translated | length == 1)'
	json '[.flows[] | select(.src == "10.0.1.1" and .dst == "10.0.2.1" and .dport == 5201 and
		.translated[0].src == "10.0.2.254" and .translated[0].sport >= 7000)] | length == 2'
	json '[.flows[] | select(.src == "10.0.2.1" and .dst == "10.0.2.254" and
		.translated[0].dst == "10.0.1.1")] | length == 2'
}

@test "a destination with another port" {
	nat iptables PREROUTING -i p1 -p udp --dport 8000 -j DNAT --to-destination 10.0.2.1:5001
	record_route 'udp'
	send_numbers_to 300 10.0.1.254 8000 "$NET_H2" 10.0.2.1
	report_path
	one_path 300 "UDP to a translated destination" "$FORTH"
	translated '10.0.1.1:[0-9]+>10.0.1.254:8000' '10.0.1.1:[0-9]+>10.0.2.1:5001'
}

@test "hairpin: source and destination, and back out of the same device" {
	nat iptables PREROUTING -p udp --dport 8000 -j DNAT --to-destination 10.0.1.1:5001
	nat iptables POSTROUTING -p udp -d 10.0.1.1 -j MASQUERADE
	record_route 'udp'
	send_numbers_to 300 10.0.2.254 8000 "$NET_H1" 10.0.1.1
	report_path
	one_path 300 "UDP, hairpin" '["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:p1:tx","h1/dev:eth0:rx"]'
	translated '10.0.1.1:[0-9]+>10.0.2.254:8000' '10.0.1.254:[0-9]+>10.0.1.1:5001'
}

@test "IPv6" {
	nat ip6tables POSTROUTING -o p2 -j MASQUERADE
	record_route 'udp'
	send_numbers 300 100 fd02::1
	report_path
	one_path 300 "UDP, IPv6, masqueraded" "$FORTH"
	translated 'fd01::1:[0-9]+>fd02::1:5001' 'fd02::fe:[0-9]+>fd02::1:5001'
}

# ping_as ID SOURCE DESTINATION
ping_as() {
	in_ns "$NET_H1" ping -q -c 50 -i 0.01 -e "$1" -I "$2" "$3" >/dev/null
}

# Of two with one identifier the router has to change one.
@test "ping, and identifiers that collide" {
	nat iptables POSTROUTING -o p2 -j MASQUERADE
	nat ip6tables POSTROUTING -o p2 -j MASQUERADE
	ip -n "$NET_H1" address add 10.0.1.2/24 dev eth0
	record_route 'icmp[icmptype] = icmp-echo or icmp[icmptype] = icmp-echoreply or
		(icmp6 and (icmp6[0] = 128 or icmp6[0] = 129))'
	ping_as 77 10.0.1.1 10.0.2.1 3>&- &
	ping_as 77 10.0.1.2 10.0.2.1
	wait $!
	ping_as 78 fd01::1 fd02::1
	report_path
	one_path 300 "ping, masqueraded" "$FORTH" "$BACK"
	json '[.flows[] | select(.proto == "icmp" and .dst == "10.0.2.1" and .sport == 77 and
		.packets == 50)] | length == 2 and (map(.translated[].sport) | unique | length == 2)'
	json '[.flows[] | select(.proto == "icmp6" and .sport == 78)] | length == 2'
}

# send_as SOURCE: 200 datagrams that h2 gets as from 10.0.2.254:4000.
send_as() {
	ip -n "$NET_H1" route replace default via 10.0.1.254 src "$1"
	send_numbers 200 100 10.0.2.1
}

@test "a port that goes from one client to another and back" {
	nat iptables POSTROUTING -o p2 -p udp -j MASQUERADE --to-ports 4000-4000
	in_ns "$NET_MID" sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1
	ip -n "$NET_H1" address add 10.0.1.2/24 dev eth0
	record_route 'udp'
	send_as 10.0.1.1
	sleep 1.5
	send_as 10.0.1.2
	sleep 1.5
	send_as 10.0.1.1
	report_path
	one_path 600 "UDP, one port for two clients" "$FORTH"
	json '[.flows[] | select(.src == "10.0.1.1") | .packets] | add == 400'
	json '[.flows[] | select(.src == "10.0.1.2") | .packets] | add == 200'
	json '.flows | all(.translated == [{src: "10.0.2.254", sport: 4000, dst: "10.0.2.1", dport: 5001}])'
}

# h1 - r - r2 - h2: p2 of r is joined to q1 of r2, and p2 of h2 becomes that of r2.
add_router() {
	network_namespace "$R2" &&
		in_ns "$R2" sysctl -qw net.ipv4.ip_forward=1 &&
		ip -n "$NET_MID" link set p2 netns "$R2" &&
		ip -n "$NET_MID" link add q0 type veth peer name q1 netns "$R2" &&
		ip -n "$NET_MID" address add 10.0.3.1/24 dev q0 &&
		ip -n "$R2" address add 10.0.3.2/24 dev q1 &&
		ip -n "$R2" address add 10.0.2.254/24 dev p2 &&
		ip -n "$NET_MID" link set q0 up &&
		ip -n "$R2" link set q1 up &&
		ip -n "$R2" link set p2 up &&
		ip -n "$NET_MID" route add default via 10.0.3.2 &&
		network_reachable 10.0.3.1
}

# Inputs in all orders: rows of one file come late for the events of another one, or early.
@test "two routers, each in a domain of its own" {
	local order

	add_router
	nat iptables POSTROUTING -o q0 -p udp -j MASQUERADE --to-ports 5000-5010
	in_ns "$R2" iptables -t nat -A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 10.0.2.1:5001
	in_ns "$R2" iptables -t nat -A POSTROUTING -o p2 -p udp -j MASQUERADE --to-ports 6000-6010
	record_begin h1 "$NET_H1" -i eth0 udp
	record_begin r "$NET_MID" -i p1 -i q0 udp
	record_begin r2 "$R2" -i q1 -i p2 udp
	record_start h2 "$NET_H2" -i eth0 udp
	send_numbers_to 500 10.0.3.2 8000 "$NET_H2" 10.0.2.1
	sleep 0.05
	for domain in h1 r r2 h2; do
		record_stop $domain
	done
	for order in 'h1 r r2 h2' 'h2 r2 r h1' 'r2 h2 h1 r'; do
		# shellcheck disable=SC2086
		(cd "$NET_DIR" && "$VNETTRACE" report -f json -o all.json ${order// /.vnt }.vnt)
		one_path 500 "UDP, translated by two routers" '["h1/dev:eth0:tx","r/dev:p1:rx",
			"r/dev:q0:tx","r2/dev:q1:rx","r2/dev:p2:tx","h2/dev:eth0:rx"]'
		translated '10.0.1.1:[0-9]+>10.0.3.2:8000' '10.0.2.254:60..>10.0.2.1:5001' \
			'10.0.3.1:50..>10.0.3.2:8000'
	done
}

@test "translated, then carried by VXLAN" {
	local end

	for end in "$NET_MID p2 1" "$NET_H2 eth0 2"; do
		read -r ns device number <<<"$end"
		ip -n "$ns" link add vx0 type vxlan id 42 dev "$device" dstport 4789 \
			local "10.0.2.$((number == 1 ? 254 : 1))" remote "10.0.2.$((number == 1 ? 1 : 254))"
		ip -n "$ns" address add "10.9.0.$number/24" dev vx0
		ip -n "$ns" link set vx0 up
	done
	nat iptables POSTROUTING -o vx0 -j MASQUERADE
	network_reachable 10.9.0.2
	record_begin h1 "$NET_H1" -i eth0 'udp port 5001'
	record_begin r "$NET_MID" -i p1 -i p2 -i vx0 'udp port 5001'
	record_start h2 "$NET_H2" -i eth0 -i vx0 'udp port 5001'
	export MIDDLE=r
	send_numbers 300 100 10.9.0.2
	report_path
	one_path 300 "UDP, masqueraded into VXLAN" '["h1/dev:eth0:tx","r/dev:p1:rx","r/dev:vx0:tx",
		"r/dev:p2:tx","h2/dev:eth0:rx","h2/dev:vx0:rx"]'
	translated '10.0.1.1:[0-9]+>10.9.0.2:5001' '10.9.0.1:[0-9]+>10.9.0.2:5001'
	json '[.tunnels[] | select(.kind == "vxlan" and .packets == 300)] | length == 2'
}

# The bridge knows nobody's place: a copy of each packet goes to p3, where nobody takes it.
@test "a bridge in front of the router, and one behind it that floods" {
	ip -n "$NET_MID" link add br1 type bridge mcast_snooping 0
	ip -n "$NET_MID" link add br2 type bridge mcast_snooping 0
	ip -n "$NET_MID" link add p3 type veth peer name p4
	ip -n "$NET_MID" link set p4 up
	for device in 'p1 br1 10.0.1.254' 'p2 br2 10.0.2.254' 'p3 br2 10.0.4.254'; do
		read -r port bridge address <<<"$device"
		ip -n "$NET_MID" link set "$bridge" up
		ip -n "$NET_MID" link set "$port" down
		ip -n "$NET_MID" address flush dev "$port"
		ip -n "$NET_MID" link set "$port" master "$bridge"
		ip -n "$NET_MID" address add "$address/24" dev "$bridge"
	done
	in_ns "$NET_MID" bridge link set dev p2 learning off
	for port in p1 p2 p3; do
		ip -n "$NET_MID" link set "$port" up
	done
	nat iptables POSTROUTING -o br2 -j MASQUERADE
	network_reachable 10.0.2.1
	export MIDDLE=r
	record_begin h1 "$NET_H1" -i eth0 udp
	record_begin r "$NET_MID" -p dev:p1 -p dev:br1:rx -p dev:br2:tx -p dev:p2 -p dev:p3 udp
	record_start h2 "$NET_H2" -i eth0 udp
	send_numbers 300 100 10.0.2.1
	report_path
	json '.packets == {observed: 300, complete: 300, partial: 0, ambiguous: 0, copies: 300}'
	local to='"h1/dev:eth0:tx","r/dev:p1:rx","r/dev:br1:rx","r/dev:br2:tx"'
	json ".paths | map(.probes) | sort == ([[$to,\"r/dev:p2:tx\",\"h2/dev:eth0:rx\"],
		[$to,\"r/dev:p3:tx\"]] | sort)"
	json '.flows | length == 1'
}

@test "by payload, where the router is not traced" {
	nat iptables POSTROUTING -o p2 -j MASQUERADE
	nat ip6tables POSTROUTING -o p2 -j MASQUERADE
	record_begin h1 "$NET_H1" -i eth0 --id payload 'udp or (tcp and tcp[13] & 4 = 0)'
	record_start h2 "$NET_H2" -i eth0 --id payload 'udp or (tcp and tcp[13] & 4 = 0)'
	transfer 10.0.2.1 4M 32K
	send_numbers 300 100 10.0.2.1
	send_numbers 300 100 fd02::1
	record_stop h1
	record_stop h2
	"$VNETTRACE" report -f json -o "$NET_DIR/all.json" "$NET_DIR"/h{1,2}.vnt
	one_path "$(jq .packets.observed "$NET_DIR/all.json")" "by payload, NAT unseen" \
		'["h1/dev:eth0:tx","h2/dev:eth0:rx"]' '["h2/dev:eth0:tx","h1/dev:eth0:rx"]'
	# Named as their senders named them.
	json '.flows | length == 6 and all(.src != "10.0.2.254" and .translated == [])'
	json '[.flows[] | select(.proto == "udp") | .packets] == [300, 300]'
	json '.packets.observed > 1600'
}

@test "by payload, samples are the same on both sides" {
	nat iptables POSTROUTING -o p2 -j MASQUERADE
	export MIDDLE=r
	record_begin h1 "$NET_H1" -i eth0 --id payload --sample 1/4 udp
	record_begin r "$NET_MID" -i p1 -i p2 --id payload --sample 1/2 udp
	record_start h2 "$NET_H2" -i eth0 --id payload udp
	send_numbers 2000 100 10.0.2.1
	report_path
	json ".paths | length == 1 and .[0].probes == $FORTH and
		.[0].packets > 350 and .[0].packets < 650"
	json '.packets | .partial == 0 and .ambiguous == 0'
	json '.loss | length > 0 and all(.lost == 0)'
}

@test "sampled by flow, nothing is called lost" {
	nat iptables POSTROUTING -o p2 -j MASQUERADE
	export MIDDLE=r
	record_begin h1 "$NET_H1" -i eth0 --sample 1/4 udp
	record_begin r "$NET_MID" -i p1 -i p2 udp
	record_start h2 "$NET_H2" -i eth0 --sample 1/2 udp
	send_numbers 1000 100 10.0.2.1
	report_path
	json '.loss | length > 0 and all(.lost == 0)'
	json '.packets.ambiguous == 0'
}

@test "packets that are named in different ways are not merged" {
	record_begin h1 "$NET_H1" -i eth0 --id payload udp
	record_start h2 "$NET_H2" -i eth0 udp
	record_stop h1
	record_stop h2
	for command in merge report; do
		run --separate-stderr "$VNETTRACE" "$command" "$NET_DIR"/h{1,2}.vnt
		((status == 1))
		[[ $stderr == "vnettrace: $command: '$NET_DIR/h1.vnt' was recorded with --id payload, "* ]]
		((${#stderr_lines[@]} == 1))
	done
}
