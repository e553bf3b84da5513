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

run "curves of groups are submitted as a table and a figure" 0 'SELECT days, event, arm FROM cohort' '生存曲線'
diff --unified "$here/expected.jsonl" "$scratch/out"
says "介入: 150 persons, median"

run "a statement of other columns is refused" 1 'SELECT arm, event, days FROM cohort'
says "時間・イベント・群"
submits_nothing

run "a small group is refused" 1 'SELECT days, event, arm FROM few'
says "under 10 persons"
submits_nothing

run "a refused statement is shown with its code" 1 'SELECT a FROM nowhere'
says 'table-unknown "nowhere"'
submits_nothing

run "without a statement it says how it is used" 1
says "usage: survival"
echo "component tests passed"
