#!/bin/sh
# openbsd-inetd on $PORT of loopback: its own echo and daytime, and Perl for reverse; no limits.
set -eu
# who is not root may mount nothing, save in a namespace of their own
[ "$(id -u)" = 0 ] || exec unshare --map-root-user sh "$0" "$@"
: "${PORT:?is to be the port to listen on}"
folder=${RUNTIME_DIRECTORY:-$(mktemp -d)}

case ${1:-} in
echo | bulk) name='echo' program=internal ;;
daytime) name=daytime program=internal ;;
reverse) name=reverse program="$(command -v perl) perl $(realpath "$(dirname "$0")")/reverse.pl" ;;
*)
    echo 'kinds: echo, bulk, reverse, daytime' >&2
    exit 2
    ;;
esac
echo "127.0.0.1:$name stream tcp4 nowait root $program" >"$folder/inetd.conf"

# It knows its own services by the names they have in /etc/services: it sees one that says $PORT.
echo "$name $PORT/tcp" >"$folder/services"
echo "$PORT"
# shellcheck disable=SC2016
exec unshare --mount sh -c 'mount --bind "$1/services" /etc/services &&
    exec inetd -i -q 4096 -R 0 "$1/inetd.conf"' - "$folder"
