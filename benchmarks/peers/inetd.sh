#!/bin/sh
# openbsd-inetd on $PORT of loopback: its own echo and daytime, and Perl for reverse; no limits.
# It can log programs only, by libwrap and the system's log: where it is asked for `daytime-log` it
# starts `date`, and its /dev/log is syslog.pl, which writes what it hears to a file.
set -eu
# who is not root may mount nothing, save in a namespace of their own
[ "$(id -u)" = 0 ] || exec unshare --map-root-user sh "$0" "$@"
: "${PORT:?is to be the port to listen on}"
folder=${RUNTIME_DIRECTORY:-$(mktemp -d)}

case ${1:-} in
echo) name='echo' program=internal ;;
daytime) name=daytime program=internal ;;
daytime-log) name=daytime program="$(command -v date) date +%c$(printf '\r')" ;;
reverse) name=reverse program="$(command -v perl) perl $(realpath "$(dirname "$0")")/reverse.pl" ;;
*)
    echo 'kinds: echo, reverse, daytime, daytime-log' >&2
    exit 2
    ;;
esac
echo "127.0.0.1:$name stream tcp4 nowait root $program" >"$folder/inetd.conf"

# It knows its own services by the names they have in /etc/services: it sees one that says $PORT.
echo "$name $PORT/tcp" >"$folder/services"
echo "$PORT"
if [ "$1" != daytime-log ]; then
    # shellcheck disable=SC2016
    exec unshare --mount sh -c 'mount --bind "$1/services" /etc/services &&
        exec inetd -i -q 4096 -R 1000000000 "$1/inetd.conf"' - "$folder"
fi
# The log ends with inetd, which its shell becomes.
# shellcheck disable=SC2016
exec unshare --mount sh -c 'set -e
    mount --bind "$1/services" /etc/services
    mkdir "$1/dev"
    touch "$1/dev/null"
    mount --bind /dev/null "$1/dev/null"
    mount --rbind "$1/dev" /dev
    setpriv --pdeathsig KILL perl "$2" /dev/log "$1/log" &
    while kill -0 $! && ! [ -S /dev/log ]; do sleep 0.01; done
    LC_ALL=C exec inetd -i -l -q 4096 -R 1000000000 "$1/inetd.conf"' \
    - "$folder" "$(realpath "$(dirname "$0")")/syslog.pl"
