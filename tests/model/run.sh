#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh - checks ring.pml in all its states, and that it finds the protocol wrong when it is broken.
set -euo pipefail

model=$(cd "$(dirname "$0")" && pwd)/ring.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check SPIN_OPTION...: leaves the verifier's report in `report`.
check() {
	spin -a "$@" "$model" >/dev/null
	gcc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c
	./pan -m1000000 >report
}

# holds SPIN_OPTION...: in every state, within the limits of the search.
holds() {
	check "$@"
	if ! grep -q '^State-vector.*errors: 0$' report ||
		grep -qE 'error: max search depth|out of memory' report; then
		cat report
		exit 1
	fi
	echo "$*:$(grep 'states, stored' report)"
}

# fails SPIN_OPTION...
fails() {
	check "$@"
	grep -q 'assertion violated' report || {
		echo "the model does not notice $*" >&2
		exit 1
	}
}

holds -DLEVELS=4 -DTASK_WRITES=1 -DSLOTS=4 -DLARGE_EVEN
holds -DLEVELS=3 -DTASK_WRITES=2 -DSLOTS=2 -DLARGE
holds -DLEVELS=3 -DTASK_WRITES=2 -DSLOTS=2
for broken in PLAIN_PUBLISH PLAIN_PEEK PLAIN_RELEASE EARLY_STORE ADD_HEAD ONE_BY_ONE ROOM_FOR_ONE \
	FOLLOW_SEQUENCE; do
	fails -DLEVELS=3 -DSLOTS=2 -DLARGE "-D$broken"
done
