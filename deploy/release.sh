#!/bin/sh
# Builds the program as it is released: for what it mostly does, by a profile of it under load (PGO).
# usage: sh deploy/release.sh [FOLDER]          the program stands at FOLDER/menshen; FOLDER is target/released otherwise
#
# A request touches much code and each piece of it briefly, so that where a piece stands, and what is beside it, costs
# more than what it does: this takes a third of a request's processor time. Takes two builds and two minutes of load.
# Needs python3, openssl, wrk and h2load (Debian: wrk, nghttp2-client) and `rustup component add llvm-tools`.
set -eu
cd "$(dirname "$0")/.."
folder=$(mkdir -p "${1:-target/released}" && cd "${1:-target/released}" && pwd)
host=$(rustc -vV | sed -n 's/^host: //p')
merge="$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata"
[ -x "$merge" ] || { echo "there is no $merge: run \`rustup component add llvm-tools\`" >&2; exit 69; }
for tool in python3 openssl wrk h2load; do
    command -v "$tool" >/dev/null || { echo "there is no $tool" >&2; exit 69; }
done
# The target is named so that the flags do not hold for build scripts, which would leave profiles of themselves.
build() { RUSTFLAGS="$1" CARGO_TARGET_DIR="$folder/$2" cargo build --release --locked --bin menshen --target "$host"; }
rm -rf "$folder/profiles" && mkdir "$folder/profiles"
build "-Cprofile-generate=$folder/profiles" profiled
python3 bench/proxy/train.py "$folder/profiled/$host/release/menshen"
"$merge" merge -o "$folder/menshen.profdata" "$folder/profiles"
build "-Cprofile-use=$folder/menshen.profdata" built
cp "$folder/built/$host/release/menshen" "$folder/menshen"
echo "$folder/menshen"
