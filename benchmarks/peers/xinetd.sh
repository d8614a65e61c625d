#!/bin/sh
# xinetd on $PORT of loopback: its own echo and daytime, and Perl for reverse; no limits.
# It logs to a file where it is asked for `daytime-log`: its own daytime has a line a connection, and
# no process to tell the end of.
# XINETD_ROOT is the folder in which fetch-xinetd.sh put it, where it is not installed.
set -eu
: "${PORT:?is to be the port to listen on}"
folder=${RUNTIME_DIRECTORY:-$(mktemp -d)}

case ${1:-} in
echo) type=INTERNAL program='id = echo-stream' ;;
daytime) type=INTERNAL program='id = daytime-stream' ;;
daytime-log)
    type=INTERNAL program="id = daytime-stream
    log_type = FILE $folder/log
    log_on_success = HOST PID EXIT DURATION"
    ;;
reverse)
    program="server = $(command -v perl)
    server_args = $(realpath "$(dirname "$0")")/reverse.pl"
    ;;
*)
    echo 'kinds: echo, reverse, daytime, daytime-log' >&2
    exit 2
    ;;
esac
cat >"$folder/xinetd.conf" <<END
service ${1%-log}
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
