#!/bin/sh
# Builds the filter: build.sh OUTPUT. Needs cc and libwayland-dev.
set -eu
here=$(dirname "$0")
exec cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -fstack-protector-strong \
  -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -o "$1" "$here/globals.c" -lwayland-server -ldl
