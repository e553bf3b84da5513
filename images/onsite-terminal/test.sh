#!/bin/bash
# Checks the recipe's parts, without building the image. Needs shellcheck, nftables, systemd, gcc.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here"
fail() { echo "$*" >&2; exit 1; }

shellcheck ./*.sh compositor/build.sh

# The lock: every package that the lists name, each once, with a version and a digest.
if grep -vqE '^[a-z0-9][a-z0-9+.-]+ [^ ]+ [0-9a-f]{64}$' packages.lock; then fail "packages.lock is malformed"; fi
[[ -z $(cut -d' ' -f1 packages.lock | sort | uniq -d) ]] || fail "packages.lock names a package twice"
while read -r name; do
  grep -q "^$name " packages.lock || fail "\"$name\" is in a list and not in packages.lock: run lock.sh"
done < <(sed 's/#.*//; /^[[:space:]]*$/d' packages.list packages.build.list)
# What must never come in by a dependency.
absent='xwayland|xserver-.*|xorg|weston|cups.*|bluez.*|network-manager|wpasupplicant|openssh-server|openssh-sftp-server|avahi.*|samba.*|pipewire.*|pulseaudio.*|xdg-desktop-portal.*|grim|ffmpeg|udisks2|gvfs.*|fuse.*|curl|wget|gdb|strace|sudo'
if grep -E "^($absent) " packages.lock; then fail "packages.lock has what the terminal must not have"; fi

# The firewall parses, once the build has filled it in.
sed 's/@GATEWAY_ADDRESS@/192.0.2.1/; s/@GATEWAY_PORT@/22/; s/"kekkai-terminal"/"nobody"/' \
  overlay/etc/nftables.conf >"$work/nftables.conf"
if grep -n '@' "$work/nftables.conf"; then fail "nftables.conf has a place that build.sh doesn't fill"; fi
# Checking asks the kernel: in a network namespace of its own where we may make one.
unshare --net nft -c -f "$work/nftables.conf"

# The units parse; what they start is not on this machine.
for unit in overlay/etc/systemd/system/*.service; do
  name=$(basename "$unit")
  sed -E 's#^(ExecStart(Post)?=)[^ ]+#\1/bin/true#; s/^(Requires|After|Wants)=.*//; s/^(User|Group)=.*//' \
    "$unit" >"$work/$name"
done
said=$(systemd-analyze verify "$work"/*.service 2>&1 | grep -F "$work" || true)
[[ -z $said ]] || fail "$said"

# What the session's unit promises.
unit=overlay/etc/systemd/system/kekkai-terminal.service
grep -q '^ExecStart=/usr/bin/cage -- /usr/bin/kekkai-vdi ' "$unit" || fail "cage has options, or another client"
grep -q 'LD_PRELOAD=/usr/lib/kekkai/libkekkai-globals.so' "$unit" || fail "no filter of globals"

# strip.sh on a root with what it has to take out, and with what has to stay.
root=$work/root
mkdir -p "$root"/usr/{bin,sbin,lib} "$root/boot"
out=(sh bash dash perl python3.11 apt-get dpkg su sudo login scp sftp ssh Xwayland passwd)
stay=(cage kekkai-vdi ssh-agent ssh-add false)
for name in "${out[@]}" "${stay[@]}"; do install -m 4755 /bin/true "$root/usr/bin/$name"; done
install /bin/true "$root/usr/sbin/agetty"
./strip.sh "$root"
for name in "${out[@]}"; do [[ ! -e $root/usr/bin/$name ]] || fail "$name was left"; done
for name in "${stay[@]}"; do [[ -x $root/usr/bin/$name ]] || fail "$name was taken"; done
[[ ! -e $root/usr/sbin/agetty ]] || fail "agetty was left"
[[ -z $(find "$root" -perm /6000 -type f) ]] || fail "a set-user-id program was left"

# pin gives what systemd unsealed, and nothing without it.
cc -std=c11 -O2 -Wall -Wextra -Werror -o "$work/pin" pin.c
echo 1234 >"$work/credential" && mkdir "$work/credentials" && mv "$work/credential" "$work/credentials/pin"
[[ $(CREDENTIALS_DIRECTORY=$work/credentials "$work/pin") == 1234 ]] || fail "pin gives another"
if env -u CREDENTIALS_DIRECTORY "$work/pin"; then fail "pin gives something without a credential"; fi
echo "the recipe's parts are as they should be"
