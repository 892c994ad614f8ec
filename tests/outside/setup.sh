#!/bin/sh
# Installs the suites that run.py runs: from Debian, from PyPI in environments of their own (Python 3.11 or later), and from crates.io.
set -eu
missing=""
for pair in testssl:testssl.sh sslscan:sslscan slowhttptest:slowhttptest ffuf:ffuf dirb:dirb nghttp:nghttp2-client openssl:openssl; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
  $sudo apt-get update
  # shellcheck disable=SC2086 # a list of package names
  $sudo apt-get install -y --no-install-recommends $missing
fi
cd "$(dirname "$0")"
for file in requirements/*.txt; do
  venv="venvs/$(basename "$file" .txt)"
  if ! cmp -s "$file" "$venv/installed"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement "$file"
    cp "$file" "$venv/installed"
  fi
done
# HTTP/2's rules, in Rust; its version is also that of suites/http2.py.
if [ ! -x tools/bin/httpwg ]; then
  cargo install --quiet --locked --root tools --version 0.2.5 httpwg-cli
fi
