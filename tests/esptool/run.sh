#!/usr/bin/env bash
# The official esptool against kiln-sim: whatever esptool does on real boards, it must be able to do on simulated ones.
# Ends in one line "N passed, N failed".
#
#   tests/esptool/run.sh [BUILD_FOLDER [CHIP…]]      all chips without any named
#
# Needs Python 3 with venv; keeps esptool in $KILN_ESPTOOL_VENV (default: .cache/esptool).
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(cd "${1:-build}" && pwd)/bin
shift || true
venv=${KILN_ESPTOOL_VENV:-$PWD/.cache/esptool}

if ! "$venv/bin/esptool" version >/dev/null 2>&1; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "esptool~=5.0"
fi
exec python3 tests/esptool/matrix.py --sim "$bin/kiln-sim" --esptool "$venv/bin/esptool" "$@"
