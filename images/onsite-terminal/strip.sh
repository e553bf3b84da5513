#!/bin/bash
# Takes out of a root what the terminal must not have: strip.sh ROOT. Whatever could run a command that
# somebody types, install something, or send pixels elsewhere.
set -euo pipefail
root=$1
[[ -d $root/usr/bin && $root != / ]] || { echo "\"$root\" is no root" >&2; exit 2; }
cd "$root"
# Shells, interpreters, package management, the tools of the build.
rm -f usr/bin/{sh,bash,rbash,dash,perl,perl[0-9]*,awk,mawk,python3*,vi,vim*,less,more,editor,busybox} \
  usr/bin/{apt*,dpkg*,dracut*,lsinitrd,su,sudo,login,newgrp,passwd,chsh,script,scriptlive} \
  usr/sbin/{chroot,sulogin,agetty,getty,useradd,usermod,dpkg*,adduser,addgroup,nologin} \
  usr/lib/apt usr/bin/{scp,sftp,ssh,ssh-keyscan,ssh-copy-id,curl,wget,nc*} 2>/dev/null || true
rm -rf usr/lib/apt usr/lib/dracut usr/lib/dpkg var/lib/apt var/cache/apt var/cache/debconf etc/apt \
  usr/share/doc usr/share/man usr/share/locale boot/*
# Another display server, and what records or shares a screen.
rm -f usr/bin/{Xwayland,Xorg,X,wf-recorder,grim,wayvnc,ffmpeg,xwd,import} usr/lib/xorg
find . -xdev -perm /6000 -type f -exec chmod a-s {} +
