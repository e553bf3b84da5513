#!/usr/bin/env bash
# Prints a virtual environment that holds exactly a requirements file's packages; makes it if there is
# none yet. Its name is the file's digest: a changed file gets a new one.
#
#   venv.sh REQUIREMENTS
set -euo pipefail
requirements=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kekkai/python-session
version=$(python3 -c 'import sys; print(".".join(map(str, sys.version_info[:3])))')
digest=$(sha256sum < "$requirements" | cut -c 1-16)
venv=$cache/venv-$version-$digest
if [[ ! -e $venv/.complete ]]; then
  mkdir -p "$cache"
  # Two builds may start at once.
  exec 9> "$venv.lock"
  flock 9
  if [[ ! -e $venv/.complete ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
      --requirement "$requirements" >&2
    touch "$venv/.complete"
  fi
fi
echo "$venv"
