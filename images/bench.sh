#!/usr/bin/env bash
# Prints each figure beside what it is compared with, in one run. The dev profile: our crates
# unoptimised but for the engine and ingest, dependencies at level 1. What stands beside an optimised
# DuckDB or TigerVNC, and what is only compared with itself at length, is optimised, too (`fast`): the
# first build of it takes its time.
set -euo pipefail
cd "$(dirname "$0")/.."
bench() {
  printf '\n== %s\n' "$1"
  cargo bench --locked --quiet --workspace --profile dev --bench "$1" -- "${@:2}"
}
fast() {
  printf '\n== %s\n' "$1"
  cargo bench --locked --quiet --workspace --bench "$1"
}
# Whole services, for what is seen on a screen.
cargo build --locked --quiet --workspace --profile bench --bins --examples
fast tpch
fast sql
fast growth
fast spill
fast first_rows
fast desktop
bench first_result
bench ingest
bench ledger
bench side_by_side
bench screen
bench vnc
bench workspace
bench mark
bench launch
bench jail
bench rows
bin="${CARGO_TARGET_DIR:-target}/debug"
KEKKAI_PYTHON_COMPONENT="$bin/kekkai-python.wasm" bench programs
