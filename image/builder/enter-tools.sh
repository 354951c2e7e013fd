#!/bin/bash
# enter-tools.sh <tools tree> <project> <command...>: runs a command with the tools tree as its root and the project at /steelyard.
#
# mkosi and debos make mounts of their own and refuse a plain chroot, so the tree becomes the root of a private mount
# namespace. The namespace ends with its last process: an interrupted build leaves no mount behind.
set -euo pipefail

if [ "${STEELYARD_INSIDE:-}" != 1 ]; then
  STEELYARD_INSIDE=1 exec unshare --mount --propagation private -- "$0" "$@"
fi

tree=$(realpath "$1")
project=$(realpath "$2")
shift 2

mount --bind "$tree" "$tree"
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$tree/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$tree/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
mkdir -p "$tree/steelyard" "$tree/.host"
# With what is mounted below it: build/ may be a disk of its own.
mount --rbind "$project" "$tree/steelyard"
# Names are resolved as on the host; the tree has no resolver of its own.
for file in resolv.conf hosts; do
  if [ -e "/etc/$file" ]; then rm -f "$tree/etc/$file" && cat "/etc/$file" > "$tree/etc/$file"; fi
done
[ -s "$tree/etc/machine-id" ] || tr -d - < /proc/sys/kernel/random/uuid > "$tree/etc/machine-id"

cd "$tree"
pivot_root . .host
umount --lazy /.host
cd /steelyard
unset STEELYARD_INSIDE
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp LANG=C.UTF-8
exec "$@"
