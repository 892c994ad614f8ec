#!/bin/sh
# Installs what the tests drive the gate with, as users do: the Debian packages curl, openssl and chromium; and
# from the npm registry axe, which looks whether the pages can be used without eyes or hands, and a provider of OpenID
# Connect to sign in at (it needs Node.js 20 or later).
set -eu
missing=""
for tool in curl openssl chromium; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
  $sudo apt-get update
  # shellcheck disable=SC2086 # a list of package names
  $sudo apt-get install -y --no-install-recommends $missing
fi
cd "$(dirname "$0")"
for folder in browser oidc; do
  (
    cd "$folder"
    if ! cmp -s package-lock.json node_modules/installed; then
      npm ci --ignore-scripts --no-audit --no-fund
      cp package-lock.json node_modules/installed
    fi
  )
done
