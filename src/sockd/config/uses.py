"""What the limits of an instance apply to, by where it listens: some settings have no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from sockd.access.limits import Limits, Use
from sockd.listen.strings import Listen
from sockd.service import Kind

_IP_CONNECTIONS = frozenset({Use.IP, Use.CONNECTIONS, Use.IP_CONNECTIONS, Use.LINES})
_BY_TRANSPORT = {
    "tcp": _IP_CONNECTIONS,
    "tls": _IP_CONNECTIONS | {Use.HANDSHAKES},
    "unix": frozenset({Use.LOCAL, Use.CONNECTIONS, Use.LINES}),
    "udp": frozenset({Use.IP, Use.DATAGRAMS, Use.AMPLIFIES}),
    "unixgram": frozenset({Use.LOCAL, Use.DATAGRAMS}),
    "multicast": frozenset[Use](),
}

ACCESS = frozenset({"allow", "deny", "allow_users"})
"""Rules that somebody relies on: where they have no effect, that is a mistake."""


def uses_of(kind: Kind, transports: Iterable[str], *, is_proxied: bool = False) -> frozenset[Use]:
    """What an instance of a kind has that listens on these transports."""
    found = frozenset[Use]().union(*(_BY_TRANSPORT[transport] for transport in transports))
    if is_proxied:
        found |= {Use.HANDSHAKES}
    if kind.stream is None or not kind.stream.reads_lines:
        found -= {Use.LINES}
    if kind.datagram is None or not kind.datagram.amplifies:
        found -= {Use.AMPLIFIES}
    return found


def uses_at(kind: Kind, listens: Iterable[Listen]) -> frozenset[Use]:
    """What an instance has that listens there."""
    listens = tuple(listens)
    transports = {listen.transport for listen in listens}
    return uses_of(kind, transports, is_proxied=any(listen.proxies for listen in listens))


def limits_for(uses: frozenset[Use]) -> Iterator[attrs.Attribute[object]]:
    """The limits that have an effect on an instance with these uses."""
    for one in attrs.fields(Limits):
        applies = one.metadata["applies"]
        if not applies or applies & uses:
            yield one


def without_effect(uses: frozenset[Use], given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The limits among the given keys that have no effect, and why."""
    effective = {one.name for one in limits_for(uses)}
    for one in attrs.fields(Limits):
        if one.name in given and one.name not in effective:
            wanted = " or ".join(sorted(one.metadata["applies"]))
            yield one.name, f"without effect: it is for {wanted}, which this service does not have"
