#!/bin/bash
# Builds the on-site terminal's image: a read-only root with its hash tree, and one signed-by-you EFI program
# that boots that root and no other.
#
#   KEKKAI_ARCHIVE=URL build.sh --client FILE --config FILE --gateway ADDRESS:PORT --output FOLDER
#
# KEKKAI_ARCHIVE is a Debian archive, or a snapshot of one, that still has the versions of packages.lock.
# Needs root, and mmdebstrap, squashfs-tools, cryptsetup-bin, binutils, gcc, libwayland-dev.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
usage() { sed -n 's/^#   //p' "$0" >&2; exit 2; }
client='' config='' gateway='' output=''
while (($#)); do
  case $1 in
    --client) client=$2 ;; --config) config=$2 ;; --gateway) gateway=$2 ;; --output) output=$2 ;;
    *) usage ;;
  esac
  shift 2 || usage
done
[[ $client && $config && $gateway && $output ]] || usage
: "${KEKKAI_ARCHIVE:?name a Debian archive}"
[[ $gateway =~ ^([0-9]{1,3}(\.[0-9]{1,3}){3}):([0-9]{1,5})$ ]] ||
  { echo "--gateway: \"$gateway\" is not ADDRESS:PORT; names are not resolved on the terminal" >&2; exit 2; }
address=${BASH_REMATCH[1]} port=${BASH_REMATCH[3]}
grep -Eq '^[[:space:]]*kiosk[[:space:]]*=[[:space:]]*true' "$config" ||
  { echo "--config: \"$config\" has no kiosk = true" >&2; exit 2; }
mkdir -p "$output"
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

# The packages: exactly the versions of the lock, nothing that it doesn't name.
mapfile -t pinned < <(awk '{ print $1 "=" $2 }' "$here/packages.lock")
mmdebstrap --variant=custom --mode=root --include="$(IFS=,; echo "${pinned[*]}")" \
  --aptopt='APT::Install-Recommends "false"' --skip=cleanup/apt,check/signed-by \
  "$suite" "$root" "$KEKKAI_ARCHIVE"
"$here/verify.sh" "$root"

# Ours.
install -d "$root/usr/lib/kekkai" "$root/etc/kekkai"
install -m 755 "$client" "$root/usr/bin/kekkai-vdi"
install -m 644 "$config" "$root/etc/kekkai/kekkai-vdi.toml"
"$here/compositor/build.sh" "$root/usr/lib/kekkai/libkekkai-globals.so"
cc -std=c11 -O2 -Wall -Wextra -Werror -o "$root/usr/lib/kekkai/pin" "$here/pin.c"
cp -a --no-preserve=ownership "$here/overlay/." "$root/"
sed -i "s/@GATEWAY_ADDRESS@/$address/; s/@GATEWAY_PORT@/$port/" "$root/etc/nftables.conf"
chmod 600 "$root/etc/usbguard/"*
for account in kekkai-terminal kekkai-agent; do
  chroot "$root" useradd --system --no-create-home --shell /usr/bin/false "$account"
done
chroot "$root" systemctl enable kekkai-terminal kekkai-agent nftables usbguard systemd-networkd
chroot "$root" systemctl mask getty@ autovt@ serial-getty@ console-getty container-getty@ debug-shell \
  emergency rescue ctrl-alt-del.target systemd-ask-password-console.path
chroot "$root" systemctl set-default multi-user.target
chroot "$root" passwd --lock root >/dev/null
# A place for the terminal's wrapped key: the one partition that is written, at provisioning.
install -d -m 700 "$root/var/lib/kekkai-terminal"
echo 'LABEL=kekkai-state /var/lib/kekkai-terminal ext4 ro,nodev,nosuid,noexec 0 2' >"$root/etc/fstab"

# The initial file system is made inside, then everything that made it goes, and with it every shell.
kernel=$(basename "$root"/lib/modules/*)
chroot "$root" dracut --no-hostonly --reproducible --add "systemd-veritysetup" --force \
  /tmp/initrd "$kernel"
mv "$root/tmp/initrd" "$output/initrd"
cp "$root/boot/vmlinuz-$kernel" "$output/vmlinuz"
cp "$root/usr/lib/systemd/boot/efi/linuxx64.efi.stub" "$output/stub"
"$here/strip.sh" "$root"

# The root, its hash tree, and the EFI program that names its hash: a changed byte doesn't boot.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct -- .)}
mksquashfs "$root" "$output/root.squashfs" -noappend -all-root -comp zstd -quiet
veritysetup format "$output/root.squashfs" "$output/root.verity" --salt=- |
  sed -n 's/^Root hash:[[:space:]]*//p' >"$output/roothash"
echo "$(cat "$here/cmdline") roothash=$(cat "$output/roothash")" >"$output/cmdline"
objcopy \
  --add-section .osrel="$root/usr/lib/os-release" --change-section-vma .osrel=0x20000 \
  --add-section .cmdline="$output/cmdline" --change-section-vma .cmdline=0x30000 \
  --add-section .linux="$output/vmlinuz" --change-section-vma .linux=0x2000000 \
  --add-section .initrd="$output/initrd" --change-section-vma .initrd=0x5000000 \
  "$output/stub" "$output/kekkai-terminal.efi"
(cd "$output" && rm stub && sha256sum root.squashfs root.verity kekkai-terminal.efi | tee SHA256SUMS)
echo "sign kekkai-terminal.efi with the key that the terminals' firmware trusts, and with no other"
