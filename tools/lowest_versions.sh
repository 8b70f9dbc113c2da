#!/usr/bin/env bash
# The tests with the lowest versions of what the package needs, in an environment of their own.
#
#     tools/lowest_versions.sh [tests...]        the operations and renderers, or the tests named
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${VENV:-.venv-lowest}"
export SFUMATO_CACHE="${SFUMATO_CACHE:-$PWD/.cache}/lowest"

tests=("$@")
[ $# -gt 0 ] || tests=(tests/ops tests/render)
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install -q -c constraints-lowest.txt -e . pytest pytest-timeout hypothesis trimesh zstandard
"$venv/bin/python" -m pytest -p no:cacheprovider "${tests[@]}"
