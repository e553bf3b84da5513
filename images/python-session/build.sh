#!/usr/bin/env bash
# Builds the Python session's component: OUT_DIR/kekkai-python.wasm. Does nothing if that was built from
# the same inputs already.
#
#   build.sh OUT_DIR
set -euo pipefail
if [[ $# -ne 1 ]]; then
  echo "usage: ${0##*/} OUT_DIR" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
wit=../../sandbox/wasm-worker/wit
component=$out/kekkai-python.wasm
stamp=$component.inputs

# Every input by its name and content, this file among them.
inputs=$({ find guest "$wit" -type f \( -name '*.py' -o -name '*.wit' \); echo requirements.txt; echo build.sh; } |
  LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d ' ' -f 1)
if [[ -e $component && -e $stamp && $(< "$stamp") == "$inputs" ]]; then
  exit 0
fi

venv=$(./venv.sh requirements.txt)
scratch=$(mktemp -d "$out/.kekkai-python.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# A copy of the sources alone: what else lies in the folder must not reach the component.
mkdir "$scratch/guest"
(cd guest && find . -name '*.py' | LC_ALL=C sort | tar --create --mtime=@0 --owner=0 --group=0 --files-from=-) |
  tar --extract --directory "$scratch/guest"
"$venv/bin/componentize-py" --quiet \
  --wit-path "$wit" --world interpreter \
  componentize --python-path "$scratch/guest" --output "$scratch/kekkai-python.wasm" app
mv "$scratch/kekkai-python.wasm" "$component"
echo "$inputs" > "$stamp"
