"""What the limits of an instance apply to, by where it listens: some settings have no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from sockd.access.limits import Limits, Use
from sockd.listen.strings import Listen
from sockd.service import Door, Kind

_CONNECTIONS = frozenset({Use.CONNECTIONS, Use.LINES, Use.FRAMES, Use.TEXTS})
_IP_CONNECTIONS = _CONNECTIONS | {Use.IP, Use.IP_CONNECTIONS}
_BY_TRANSPORT = {
    "tcp": _IP_CONNECTIONS,
    "tls": _IP_CONNECTIONS | {Use.HANDSHAKES, Use.TLS},
    "unix": _CONNECTIONS | {Use.LOCAL, Use.LOCAL_CONNECTIONS},
    "udp": frozenset({Use.IP, Use.DATAGRAMS, Use.AMPLIFIES, Use.UDP_ANSWERS}),
    "unixgram": frozenset({Use.LOCAL, Use.DATAGRAMS, Use.LOCAL_ANSWERS}),
    "multicast": frozenset[Use](),
}

ACCESS = frozenset({"allow", "deny", "allow_users"})
"""Rules that somebody relies on: where they have no effect, that is a mistake."""


def uses_of(kind: Kind) -> frozenset[Use]:
    """All that an instance of a kind can have, wherever it listens."""
    found = frozenset[Use]().union(
        *(_uses(door, transport) for door in kind.all_doors for transport in door.transports)
    )
    # whatever is listened on over TCP can be behind a proxy
    return found | {Use.HANDSHAKES} if Use.IP_CONNECTIONS in found else found


def uses_at(kind: Kind, listens: Iterable[Listen]) -> frozenset[Use]:
    """What an instance has that listens there."""
    found = frozenset[Use]()
    for listen in listens:
        found |= _uses(kind.door(listen.role), listen.transport)
        if listen.proxies:
            found |= {Use.HANDSHAKES}
    return found


def _uses(door: Door, transport: str) -> frozenset[Use]:
    found = _BY_TRANSPORT[transport]
    reads = {
        Use.LINES: door.stream is not None and door.stream.reads_lines,
        Use.FRAMES: door.stream is not None and door.stream.reads_frames,
        Use.TEXTS: door.stream is not None and door.stream.reads_texts,
    }
    found -= {use for use, does in reads.items() if not does}
    if door.datagram is None or not door.datagram.amplifies:
        found -= {Use.AMPLIFIES}
    if door.datagram is None or not door.datagram.answers:
        found -= {Use.UDP_ANSWERS, Use.LOCAL_ANSWERS}
    elif door.datagram.hears_all:
        found -= {Use.UDP_ANSWERS}
    return found


def limits_for(uses: frozenset[Use]) -> Iterator[attrs.Attribute[object]]:
    """The limits that have an effect on an instance with these uses."""
    for field in attrs.fields(Limits):
        applies = field.metadata["applies"]
        if not applies or applies & uses:
            yield field


def without_effect(uses: frozenset[Use], given: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The limits among the given keys that have no effect, and why."""
    effective = {field.name for field in limits_for(uses)}
    for field in attrs.fields(Limits):
        if field.name in given and field.name not in effective:
            wanted = " or ".join(sorted(field.metadata["applies"]))
            yield (
                field.name,
                f"without effect: it is for {wanted}, which this service does not have",
            )
