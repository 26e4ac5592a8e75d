#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The scripts' build and the README's build work in one folder, whichever comes first.

bats_require_minimum_version 1.5.0
load lib/build

# Only the library: what matters is the generator.
cmake() {
	if [[ $1 == --build ]]; then
		command cmake "$@" --target vnt
	else
		command cmake "$@"
	fi
}

@test "a folder that was configured by hand is built as it is" {
	folder=$BATS_TEST_TMPDIR/by-hand
	cmake -S "$BATS_TEST_DIRNAME/.." -B "$folder" -G "Unix Makefiles"
	build_in "$folder" Release
	[[ -e $folder/libvnt.a && -e $folder/Makefile ]]
}

@test "a folder that the scripts made is built by hand" {
	folder=$BATS_TEST_TMPDIR/by-script
	build_in "$folder" Release
	cmake -S "$BATS_TEST_DIRNAME/.." -B "$folder"
	cmake --build "$folder"
	[[ -e $folder/libvnt.a && -e $folder/build.ninja ]]
}
