#!/bin/sh
# Put Debian's xinetd in a folder: installed it would displace openbsd-inetd.
set -eu
root=${1:?is to be the folder}
mkdir -p "$(dirname "$root")"
root=$(realpath "$root")
# several suites may want it at once
exec 9>"$root.lock"
flock 9
[ ! "$root" -nt "$0" ] || exit 0
rm -rf "$root.new"
mkdir "$root.new"
cd "$root.new"
# as the caller, because apt's own user may not write here
apt-get download -qq -o APT::Sandbox::User=root xinetd
dpkg --extract xinetd_*.deb .
rm xinetd_*.deb
cd ..
rm -rf "$root"
mv "$root.new" "$root"
touch "$root"
