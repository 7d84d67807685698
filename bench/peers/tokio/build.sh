#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the peer Tokio: build.sh CARGO CARGO_TOML FOLDER LOG
#
# With the crates that are here already, or else from the registry. FOLDER gets
# peer_tokio; where neither is to be had it does not, and the benchmark names
# the peer as missing. That is no error.

cargo=$1 manifest=$2 folder=$3 log=$4

build() {
    "$cargo" build --quiet --release --locked --manifest-path "$manifest" \
        --target-dir "$folder/tokio" "$@"
}

if build --offline >"$log" 2>&1 || build >>"$log" 2>&1; then
    cp "$folder/tokio/release/peer_tokio" "$folder/peer_tokio"
else
    echo "peer_tokio is not built; see $log" >&2
    rm -f "$folder/peer_tokio"
fi
