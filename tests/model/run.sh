#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh - checks ring.pml in all its states, and that it finds the protocol wrong when it is broken.
set -euo pipefail

model=$(cd "$(dirname "$0")" && pwd)/ring.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check SPIN_OPTION...: prints the verifier's report.
check() {
	spin -a "$@" "$model" >/dev/null
	gcc -O2 -w -DVECTORSZ=2048 -DSAFETY -o pan pan.c
	./pan -m100000
}

check >report
grep -q '^State-vector.*errors: 0$' report || {
	cat report
	exit 1
}
# Every state within the limits of the search.
! grep -qE 'error: max search depth|out of memory' report
grep -E 'states, stored' report
for broken in PLAIN_PUBLISH ADD_HEAD; do
	check "-D$broken" >report
	grep -q 'assertion violated' report || {
		echo "the model does not notice -D$broken" >&2
		exit 1
	}
done
