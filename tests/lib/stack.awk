# SPDX-License-Identifier: GPL-2.0-only
# Of BPF programs, what the functions on the way down from each take of the stack, as Linux counts it: each a
# multiple of 32 bytes. Reads what clang -fstack-usage wrote, then what llvm-objdump -dr prints of the object.

FNR == NR {
	sub(/.*:/, "", $1)
	bytes[$1] = int(($2 + 31) / 32) * 32
	next
}

/^Disassembly of section/ { text = $4 == ".text:" }

/^[0-9a-f]+ <.*>:$/ {
	name = substr($2, 2, length($2) - 3)
	if (!(name in bytes))
		next # a label
	caller = name
	if (text)
		starts[hexadecimal($1) / 8] = caller
}

$2 == "call" { target = $3 + 1 }

$2 == "R_BPF_64_32" {
	if ($3 == ".text")
		calls[caller, target] = 1
	else if ($3 in bytes)
		calls[caller, $3] = 1
}

function hexadecimal(digits, i, number) {
	for (i = 1; i <= length(digits); i++)
		number = number * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
	return number
}

function depth(name, call, pair, callee, below, deepest) {
	for (call in calls) {
		split(call, pair, SUBSEP)
		if (pair[1] != name)
			continue
		callee = pair[2] in bytes ? pair[2] : starts[pair[2]]
		below = depth(callee)
		deepest = below > deepest ? below : deepest
	}
	return bytes[name] + deepest
}

END {
	for (name in bytes)
		print depth(name), name
}
