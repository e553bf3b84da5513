#!/bin/bash
# Holds a root's packages against packages.lock: verify.sh ROOT. The same names and versions, no more and no
# fewer, and each archive's digest where apt kept it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$1
installed=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='${Package} ${Version}\n' | sort)
locked=$(awk '{ print $1, $2 }' "$here/packages.lock" | sort)
if ! diff <(echo "$locked") <(echo "$installed"); then
  echo "the root is not what packages.lock says (<: locked, >: installed)" >&2
  exit 1
fi
checked=0
for archive in "$root"/var/cache/apt/archives/*.deb; do
  [[ -e $archive ]] || break
  name=$(dpkg-deb -f "$archive" Package)
  digest=$(sha256sum "$archive" | cut -d' ' -f1)
  grep -qx "$name [^ ]* $digest" "$here/packages.lock" ||
    { echo "the archive of \"$name\" has another digest than packages.lock" >&2; exit 1; }
  checked=$((checked + 1))
done
echo "packages: $(wc -l <<<"$installed") as locked, $checked archives compared"
((checked)) || { echo "no archive was kept: nothing compared" >&2; exit 1; }
