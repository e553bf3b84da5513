#!/usr/bin/env bash
# Tests the component that build.sh made, in the stand-in.
#
#   test-component.sh OUT_DIR [STAND_IN]
set -euo pipefail
component=$(cd "$1" && pwd)/kekkai-python.wasm
stand_in=${2:-${KEKKAI_TOOL_STAND_IN:-kekkai-tool-stand-in}}
cd "$(dirname "${BASH_SOURCE[0]}")"
build=$(./venv.sh requirements.txt)
tests=$(./venv.sh requirements-test.txt)
bindings=$(mktemp -d)
trap 'rm -rf "$bindings"' EXIT
"$build/bin/componentize-py" --quiet --wit-path ../../sandbox/wasm-worker/wit --world interpreter \
  bindings "$bindings/b"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$bindings/b:guest:reference" \
  "$tests/bin/python" tests/component.py "$component" "$stand_in"
