#!/usr/bin/env bash
# Prints the numbers of an example study, computed by DuckDB on plain data: see reference.py.
#
#   run.sh gibleed|sample FOLDER
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$("$here/../venv.sh" "$here/../requirements-test.txt")
exec "$venv/bin/python" "$here/reference.py" "$@"
