#!/bin/sh
# Installs the Debian packages that the tests drive the gate with: curl and openssl, as users do.
set -eu
missing=""
for tool in curl openssl; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
$sudo apt-get update
# shellcheck disable=SC2086 # a list of package names
$sudo apt-get install -y --no-install-recommends $missing
