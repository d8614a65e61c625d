#!/bin/sh
# Put Debian's xinetd in a folder: installed it would displace openbsd-inetd.
set -eu
root=${1:?is to be the folder}
mkdir -p "$root"
cd "$root"
# as the caller, because apt's own user may not write here
apt-get download -qq -o APT::Sandbox::User=root xinetd
dpkg --extract xinetd_*.deb .
rm xinetd_*.deb
