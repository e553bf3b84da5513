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

# claim, then the expected exit status, then arguments: leaves out and log.
run() {
  local claim=$1 expected=$2 status=0
  shift 2
  echo "  $claim"
  $stand_in --lang en --json --answers "$here" "$component" -- "$@" \
    > "$scratch/out" 2> "$scratch/log" || status=$?
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

echo "  it imports nothing but kekkai:session"
if grep --quiet --text wasi: "$component" || ! grep --quiet --text kekkai:session "$component"; then
  echo "    it imports something else" >&2
  exit 1
fi

run "true and false are counted, rows without a value are left out" 0 \
  'SELECT exposed, outcome FROM persons' 'Bleeding'
diff --unified "$here/expected.jsonl" "$scratch/out"
says "exposed         355       1489"
says "risk ratio: 1.320 (1.094 - 1.592)"
says "3 rows without a value were left out"

run "1 and 0 count as true and false" 0 'SELECT exposed, outcome FROM numbers' 'Bleeding'
diff --unified "$here/expected.jsonl" "$scratch/out"

run "nobody in a group gives no ratio" 0 'SELECT exposed, outcome FROM nobody'
says "risk ratio: nan"

run "a value besides 1 and 0 is refused by its column's name" 1 'SELECT exposed, outcome FROM doses'
says 'column "exposed" holds something else than 1 and 0'
submits_nothing

run "a statement of other columns is refused" 1 'SELECT name, outcome FROM names'
says "two columns, exposed and outcome"
submits_nothing

run "a refused statement is shown with its code" 1 'SELECT exposed, outcome FROM nowhere'
says 'table-unknown "nowhere"'

run "without a statement it says how it is used" 1
says "usage: riskratio"
echo "component tests passed"
