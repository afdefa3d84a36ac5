#!/usr/bin/env bash
# Builds firmware from templates as a station does: the real PlatformIO of PyPI, as a child of a real kilnd, without its
# registry. SCons comes from PyPI, too, and the development platform from tests/builder/platform, whose compiler is the
# distribution's. Ends in unittest's line "OK".
#
#   tests/builder/run.sh [BUILD_FOLDER [TEST…]]
#
# Needs gcc-riscv64-unknown-elf and Python 3 with venv; keeps PlatformIO in .cache/platformio.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(cd "${1:-build}" && pwd)/bin
shift || true
venv=${KILN_PLATFORMIO_VENV:-$PWD/.cache/platformio}

if ! "$venv/bin/python" -c 'import platformio, SCons' 2>/dev/null; then
  python3 -m venv "$venv"
  # tests/builder/tool-scons has the version of SCons that this PlatformIO asks for.
  "$venv/bin/pip" install -q --disable-pip-version-check "platformio==6.2.0" "scons==4.11.1"
fi
cd tests/builder
KILN_BIN=$bin KILN_PIO=$venv/bin/pio exec python3 -B -m unittest -v "${@:-test_builder}"
