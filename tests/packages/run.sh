#!/usr/bin/env bash
# The Debian packages: what lintian and systemd's own judgement of the units say, and a life in a chroot with the package
# manager: install, upgrade, remove, purge, install again. Ends in one line "N passed, N failed". Needs root.
#
#   tests/packages/run.sh [BUILD_FOLDER]     environment: KILN_STUBS, KILN_DEBIAN_MIRROR
set -euo pipefail
# Of the packages and of the chroot, whose other users have to get in.
umask 022
cd "$(dirname "$0")/../.."
build=${1:-build}
cache=$PWD/.cache/packages
mkdir -p "$cache"
if [ "$(id -u)" != 0 ]; then
  echo "tests/packages needs root for its chroot" >&2
  exit 1
fi

scripts/packages "$build"
packages=$(cd "$build/packages" && pwd)

lintian --fail-on error --allow-root "$packages"/*.deb

for unit in kilnd kiln-gateway kiln-backup; do
  # In tenths: at most 2.0.
  systemd-analyze security --offline=yes --threshold=20 "deploy/systemd/$unit.service" | tail -n 1
done

# As inside of an ordinary container; said as plainly as scripts/check says it of the container suite.
if ! unshare --mount --pid --net --fork --kill-child sh -c 'mount -t tmpfs tmpfs /mnt && ip link set lo up'; then
  echo "The packages' life in a chroot: NOT TESTED, this machine allows no mounts and networks of one's own"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The next version of kilnd, with a configuration that the maintainer has changed, too.
next=$work/next
dpkg-deb -R "$packages"/kilnd_*.deb "$next"
sed -i 's/^Version: .*/Version: 999-1/; s/kiln (= [^)]*)/kiln/' "$next/DEBIAN/control"
echo '# A line of the next version.' >> "$next/etc/kiln/kiln.toml"
dpkg-deb --root-owner-group -b "$next" "$work/next.deb" >/dev/null

# The distribution with what the packages depend on, so that the package manager needs no network later.
# shellcheck source=/dev/null
. /etc/os-release
depends=$(for package in "$packages"/*.deb; do dpkg-deb -f "$package" Depends; done |
  tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | grep -v '^kiln' | sort -u | paste -sd,)
key=$(printf '%s' "$VERSION_CODENAME $depends" | sha256sum | cut -c1-16)
base=$cache/root-$key.tar
if [ ! -f "$base" ]; then
  rm -f "$cache"/root-*.tar
  mmdebstrap --quiet --variant=minbase --format=tar --aptopt='Acquire::Retries "5"' --include="$depends,dbus" \
    "$VERSION_CODENAME" "$base.new" ${KILN_DEBIAN_MIRROR:+"$KILN_DEBIAN_MIRROR"}
  mv "$base.new" "$base"
fi
root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root"
mkdir "$root/packages"
cp "$packages"/*.deb "$work/next.deb" tests/packages/life.sh "$root/packages"

# Mounts, processes and loopback of its own: whatever still runs goes with it, and no port is anybody else's.
# shellcheck disable=SC2016
unshare --mount --pid --net --fork --kill-child sh -c '
  ip link set lo up && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/run" && exec chroot "$1" /bin/bash /packages/life.sh' sh "$root"
