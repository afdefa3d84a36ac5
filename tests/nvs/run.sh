#!/usr/bin/env bash
# Compares Kiln's NVS writer with the official generator (PyPI esp-idf-nvs-partition-gen), byte by
# byte.
#
#   tests/nvs/run.sh [BUILD_FOLDER]
#
# KILN_NVS_PYTHON names a Python that has the generator already; otherwise it is installed once into
# a virtual environment in .cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(cd "${1:-$root/build}" && pwd)
generator=esp-idf-nvs-partition-gen==0.3.0

[ -x "$build/bin/nvs-image" ] || cmake --build "$build" --target nvs-image

python=${KILN_NVS_PYTHON:-$root/.cache/nvs-venv/bin/python}
if ! "$python" -c 'import esp_idf_nvs_partition_gen' 2>/dev/null; then
  mkdir -p "$root/.cache"
  python3 -m venv "$root/.cache/nvs-venv"
  python=$root/.cache/nvs-venv/bin/python
  "$python" -m pip install -q --disable-pip-version-check "$generator"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$python" "$here/compare.py" "$build/bin/nvs-image" "$work"
