#!/bin/sh
# xinetd on $PORT of loopback: its own echo and daytime, and Perl for reverse; no limits, no logs.
# XINETD_ROOT is the folder in which fetch-xinetd.sh put it, where it is not installed.
set -eu
: "${PORT:?is to be the port to listen on}"
folder=${RUNTIME_DIRECTORY:-$(mktemp -d)}

case ${1:-} in
echo | bulk) type=INTERNAL program='id = echo-stream' ;;
daytime) type=INTERNAL program='id = daytime-stream' ;;
reverse)
    program="server = $(command -v perl)
    server_args = $(realpath "$(dirname "$0")")/reverse.pl"
    ;;
*)
    echo 'kinds: echo, bulk, reverse, daytime' >&2
    exit 2
    ;;
esac
cat >"$folder/xinetd.conf" <<END
service $1
{
    type = UNLISTED ${type:-}
    $program
    bind = 127.0.0.1
    port = $PORT
    socket_type = stream
    protocol = tcp
    wait = no
    user = $(id -un)
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}
END

echo "$PORT"
exec "${XINETD_ROOT:-}/usr/sbin/xinetd" -dontfork -f "$folder/xinetd.conf" \
    -pidfile "$folder/xinetd.pid"
