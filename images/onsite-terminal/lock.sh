#!/bin/bash
# Writes packages.lock from the archives that apt of this machine is configured for: NAME VERSION SHA256, all
# dependencies included. Run it on the release of the image, look at the difference, commit it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
nothing=$(mktemp)
trap 'rm -f "$nothing"' EXIT
mapfile -t roots < <(sed 's/#.*//; /^[[:space:]]*$/d' "$here/packages.list" "$here/packages.build.list")
mapfile -t essential < <(dpkg-query -W -f='${Essential} ${Package}\n' | sed -n 's/^yes //p')
mapfile -t all < <(apt-get -o Dir::State::status="$nothing" -s install --no-install-recommends \
  "${roots[@]}" "${essential[@]}" dpkg | sed -nE 's/^Inst ([^ ]+) \(([^ ]+) .*/\1=\2/p' | sort)
((${#all[@]})) || { echo "apt resolves nothing" >&2; exit 1; }
apt-cache show "${all[@]}" | awk '
  /^Package: / { package = $2 }
  /^Version: / { version = $2 }
  /^SHA256: / { print package, version, $2 }' | sort -u >"$here/packages.lock.new"
(($(wc -l <"$here/packages.lock.new") == ${#all[@]})) || { echo "a digest is missing" >&2; exit 1; }
mv "$here/packages.lock.new" "$here/packages.lock"
echo "${#all[@]} packages"
