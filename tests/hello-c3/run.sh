#!/usr/bin/env bash
# Judges firmware/hello-c3 by others' tools: esptool reads its image, an emulator of the processor (PyPI unicorn) runs it
# on flash contents whose NVS partition the official generator made. Ends in one line "N passed, N failed".
#
#   tests/hello-c3/run.sh [BUILD_FOLDER]
#
# Needs gcc-riscv64-unknown-elf and Python 3 with venv; keeps the tools in .cache/hello-c3.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${KILN_HELLO_C3_VENV:-$PWD/.cache/hello-c3}

if ! "$venv/bin/python" -c 'import unicorn, esp_idf_nvs_partition_gen, esptool' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "esptool~=5.0" esp-idf-nvs-partition-gen==0.3.0 "unicorn~=2.1"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
firmware/hello-c3/build "$work/firmware"
exec "$venv/bin/python" -B tests/hello-c3/judge.py "$work"
