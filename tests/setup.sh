#!/bin/sh
# Installs what the tests drive the gate with, as users do: the Debian packages curl, openssl, chromium,
# redis-server and oathtool; and
# from the npm registry axe, which looks whether the pages can be used without eyes or hands, and a provider of OpenID
# Connect to sign in at (it needs Node.js 20 or later); and from PyPI a verifier of transparency logs (Python 3.11 or later)
# an emulator of S3, a mail server and a verifier of webhooks, and the schemas of other tools' forms. Debian's Go and JDK, and PyJWT, run what backend.md shows to backends. The log is carried to the Debian packages nats-server and rsyslog.
set -eu
missing=""
for tool in curl openssl chromium redis-server nats-server oathtool; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
command -v rsyslogd >/dev/null 2>&1 || [ -x /usr/sbin/rsyslogd ] || missing="$missing rsyslog"
[ -e /usr/share/doc/rsyslog-gnutls ] || missing="$missing rsyslog-gnutls"
command -v go >/dev/null 2>&1 || missing="$missing golang-go"
command -v javac >/dev/null 2>&1 || missing="$missing default-jdk-headless"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
  $sudo apt-get update
  # shellcheck disable=SC2086 # a list of package names
  $sudo apt-get install -y --no-install-recommends $missing
fi
cd "$(dirname "$0")"
# A verifier of the log that others wrote; see outsider/verify.py. It asks for Python 3.12, but uses nothing that Debian's
# 3.11 lacks.
if ! outsider/venv/bin/python -c 'import aics_tlog, jwt' 2>/dev/null; then
  rm -rf outsider/venv
  python3 -m venv outsider/venv
  outsider/venv/bin/pip install --quiet --ignore-requires-python --requirement outsider/requirements.txt
fi
# An emulator of S3; see it/shipping.rs.
if ! s3/venv/bin/python -c 'import moto.server, boto3' 2>/dev/null; then
  rm -rf s3/venv
  python3 -m venv s3/venv
  s3/venv/bin/pip install --quiet --requirement s3/requirements.txt
fi
# A mail server and a verifier of signed webhooks; see it/notify.rs.
if ! notify/venv/bin/python -c 'import aiosmtpd.controller, standardwebhooks' 2>/dev/null; then
  rm -rf notify/venv
  python3 -m venv notify/venv
  notify/venv/bin/pip install --quiet --requirement notify/requirements.txt
fi
# The schemas that OCSF publishes, and a parser of CEF; see it/log_views.rs.
if ! views/venv/bin/python -c 'import ocsf_json_schema, pycef' 2>/dev/null; then
  rm -rf views/venv
  python3 -m venv views/venv
  views/venv/bin/pip install --quiet --requirement views/requirements.txt
fi
for folder in browser oidc; do
  (
    cd "$folder"
    if ! cmp -s package-lock.json node_modules/installed; then
      npm ci --ignore-scripts --no-audit --no-fund
      cp package-lock.json node_modules/installed
    fi
  )
done
