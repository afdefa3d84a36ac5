#!/usr/bin/env bash
# RFC 2217 in both directions against the peers: the official esptool and pyserial's client at `kiln port share`, and a
# whole station at Espressif's esp_rfc2217_server. Ends in one line "N passed, N failed".
#
#   tests/rfc2217/run.sh [BUILD_FOLDER]
#
# Needs Python 3 with venv and a C compiler; keeps esptool (which brings pyserial) in $KILN_ESPTOOL_VENV (default:
# .cache/esptool).
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(cd "${1:-build}" && pwd)/bin
venv=${KILN_ESPTOOL_VENV:-$PWD/.cache/esptool}

if ! "$venv/bin/esptool" version >/dev/null 2>&1; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "esptool~=5.0"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -shared -fPIC -O1 -Wall -Werror -o "$work/modem_lines.so" tests/rfc2217/modem_lines.c -lpthread
KILN_BIN=$bin KILN_ESPTOOL_BIN=$venv/bin KILN_MODEM_LINES_LIBRARY=$work/modem_lines.so \
  "$venv/bin/python" -B tests/rfc2217/peers.py
