# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# build.bash - builds the tree, also in a folder that was configured by hand.

# build_in FOLDER TYPE [CMAKE-OPTION]...: with the generator that the folder already has.
build_in() {
	local folder=$1 type=$2 generator=(-G Ninja) source_dir=${BASH_SOURCE[0]%/*}/../..

	shift 2
	[[ -e $folder/CMakeCache.txt ]] && generator=()
	cmake -S "$source_dir" -B "$folder" "${generator[@]}" -DCMAKE_BUILD_TYPE="$type" "$@" &&
		cmake --build "$folder" --parallel "$(nproc)"
}
