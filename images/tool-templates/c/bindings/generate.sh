#!/usr/bin/env bash
# Makes tool.c and tool.h from the interface. Needed only when the interface changes:
#   cargo install wit-bindgen-cli@0.63.0 --no-default-features --features c
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
wit-bindgen c --world tool --no-object-file --out-dir . "${1:-../../../../sandbox/wasm-worker/wit}"
# `kekkai-tool-link` adds the types, not an object file.
sed -i '/Ensure that the \*_component_type.o/,$d' tool.c
