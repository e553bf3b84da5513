#!/usr/bin/env bash
# Runs the component against the stand-in and compares what it submits and says.
#
#   component.sh COMPONENT
set -euo pipefail
component=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stand_in=${KEKKAI_TOOL_STAND_IN:-kekkai-tool-stand-in}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# claim, the expected exit status, then arguments: leaves out and log.
run() {
  local claim=$1 expected=$2 status=0
  shift 2
  echo "  $claim"
  $stand_in --lang en --json --answers "$here" "$component" -- "$@" > "$scratch/out" 2> "$scratch/log" || status=$?
  if [[ $status -ne $expected ]]; then
    echo "    ended with $status instead of $expected:" >&2
    cat "$scratch/log" >&2
    exit 1
  fi
}

says() {
  if ! grep --quiet --fixed-strings -- "$1" "$scratch/log"; then
    echo "    didn't say \"$1\":" >&2
    cat "$scratch/log" >&2
    exit 1
  fi
}

submits_nothing() {
  [[ ! -s $scratch/out ]] || { echo "    submitted something" >&2; exit 1; }
}

run "groups are described and compared" 0 'SELECT arm, age, sex FROM cohort' '患者背景'
diff --unified "$here/expected.jsonl" "$scratch/out"
says "arm 対照"

run "a small group is refused" 1 'SELECT arm, age FROM few'
says "under 10 persons"
submits_nothing

run "a refused statement is shown with its code, in both languages" 1 'SELECT arm FROM nowhere'
says "[table-unknown]"
says "取決めにその表はありません"
submits_nothing

run "without a statement it says how it is used" 1
says "使い方: tableone"
echo "component tests passed"
