#!/usr/bin/env bash
# Prints the tool's software bill of materials (CycloneDX 1.6): what is linked into the component, and what
# made it.
#
#   sbom.sh NAME VERSION COMPONENT
set -euo pipefail
name=$1 version=$2 component=$3

# One entry for a Debian package, by what is installed.
package() {
  local kind=$1 of=$2 license=$3 found
  found=$(dpkg-query --show --showformat='${Version}' "$of")
  printf '{"type": "%s", "name": "%s", "version": "%s", "purl": "pkg:deb/debian/%s@%s", "licenses": [{"expression": "%s"}]}' \
    "$kind" "$of" "$found" "$of" "$found" "$license"
}

cat <<JSON
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "metadata": {
    "component": {
      "type": "application",
      "name": "$name",
      "version": "$version",
      "licenses": [{"expression": "Apache-2.0"}],
      "hashes": [{"alg": "SHA-256", "content": "$(sha256sum < "$component" | cut -d ' ' -f 1)"}]
    },
    "tools": {"components": [$(package application clang-14 "Apache-2.0 WITH LLVM-exception")]}
  },
  "components": [
    $(package library wasi-libc "MIT AND Apache-2.0 WITH LLVM-exception"),
    $(package library libclang-rt-14-dev-wasm32 "Apache-2.0 WITH LLVM-exception")
  ]
}
JSON
