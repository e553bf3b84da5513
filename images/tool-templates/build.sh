#!/usr/bin/env bash
# Builds the example tools: OUT_DIR/NAME.wasm and OUT_DIR/NAME.sbom.json of riskratio (C), tableone (Python)
# and, with KEKKAI_JAVASCRIPT=1, survival. `--test` tests them, too. Does nothing for what is up to date.
#
#   build.sh OUT_DIR [--test]
#
# `kekkai-tool-link` and, for tests, `kekkai-tool-stand-in` are on PATH or named by KEKKAI_TOOL_LINK and
# KEKKAI_TOOL_STAND_IN.
set -euo pipefail
if [[ $# -lt 1 || $# -gt 2 || ${2:---test} != --test ]]; then
  echo "usage: ${0##*/} OUT_DIR [--test]" >&2
  exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
tools=(c:riskratio python:tableone)
if [[ ${KEKKAI_JAVASCRIPT:-} == 1 ]]; then
  tools+=(javascript:survival)
fi
for tool in "${tools[@]}"; do
  folder=${tool%:*} name=${tool#*:} build=$out/build-${tool%:*}
  make --silent --directory "$folder" BUILD="$build"
  if [[ ${2:-} == --test ]]; then
    make --silent --directory "$folder" BUILD="$build" test
  fi
  # Whoever runs a tool meanwhile keeps the old file.
  cp "$build/$name.wasm" "$out/$name.wasm.new" && mv "$out/$name.wasm.new" "$out/$name.wasm"
  cp "$build/sbom.cdx.json" "$out/$name.sbom.json"
done
