#!/usr/bin/env bash
# Builds the fuzz targets with coverage and AddressSanitizer and runs one: `bash fuzz/fuzz.sh json -max_total_time=60`.
# What it finds new goes to fuzz/target/found; `-merge=1` with two folders makes a small corpus of it.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?name a target, or "build"}
shift
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/host: //p')
RUSTFLAGS="$coverage --cfg fuzzing -Zsanitizer=address" \
    cargo +nightly build --release --locked --target "$host" --bins
[ "$target" = build ] && exit
mkdir -p "target/found/$target" "artifacts/$target"
exec "target/$host/release/$target" -artifact_prefix="artifacts/$target/" -dict=json.dict -max_len=4096 \
    "$@" "target/found/$target" "corpus/$target"
