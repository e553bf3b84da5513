#!/usr/bin/env bash
# Tests the `kekkai` module, the runner of scripts and the example studies in plain CPython, with the
# interface's own bindings and a session that DuckDB answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
build=$(./venv.sh requirements.txt)
tests=$(./venv.sh requirements-test.txt)
bindings=$(mktemp -d)
trap 'rm -rf "$bindings"' EXIT
"$build/bin/componentize-py" --quiet --wit-path ../../sandbox/wasm-worker/wit --world interpreter \
  bindings "$bindings/b"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$bindings/b:guest:tests:reference" \
  "$tests/bin/python" -W error::DeprecationWarning -m unittest discover --start-directory tests "$@"
