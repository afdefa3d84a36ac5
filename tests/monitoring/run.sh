#!/usr/bin/env bash
# What deploy/ gives to Prometheus and Grafana, held against a running station and a real Prometheus.
# Ends in one line "N passed, N failed".
#
#   tests/monitoring/run.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
KILN_BIN=$(cd "${1:-build}" && pwd)/bin
export KILN_BIN KILN_STUBS=${KILN_STUBS:-$PWD/.cache/stubs}

rules=deploy/prometheus
promtool check config $rules/prometheus.yml
promtool test rules $rules/kiln.rules.test.yml
deploy/grafana/make-dashboard --check
PYTHONPATH=tests/e2e exec python3 -B tests/monitoring/check.py
