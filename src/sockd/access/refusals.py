"""Who was refused lately, grouped: by service, source, door and reason, with how often and when."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from attrs import define

from sockd.access.peer import Peer
from sockd.access.prefixes import (
    CONNECTION_SOURCE_BITS,
    DATAGRAM_SOURCE_BITS,
    parse_address,
    source_key,
)
from sockd.access.reasons import Reason

MOST_GROUPS = 1000
"""Of each of both kinds; the one whose latest refusal is longest ago makes room for a new one."""
_HOSTS_KEPT = 4096
"""Hosts whose source is remembered: they can be forged."""
PROVEN = frozenset({"tcp", "tls", "unix"})
"""Transports by which a peer is who it seems to be: it has answered, or the kernel says it."""


@define
class Group:
    """Refusals that are one line of a table."""

    service: str
    transport: str
    """Of the door; nothing where that is not known."""
    peer: Peer
    """Who it was first."""
    latest: Reason
    first: float
    last: float
    count: int = 0

    @property
    def source(self) -> str:
        """An address, a network, or `user N`: what counts as one source where the limits do."""
        peer = self.peer
        bits = CONNECTION_SOURCE_BITS if self.is_proven else DATAGRAM_SOURCE_BITS
        if not peer.host:
            return "a local process" if peer.uid is None else f"user {peer.uid}"
        return source_key(peer.host, *bits).removesuffix("/32")

    @property
    def reason(self) -> str:
        """The name of what they have in common."""
        return self.latest.name

    @property
    def rule(self) -> str:
        """Which rule or limit it was, the last time."""
        return str(self.latest)

    @property
    def is_proven(self) -> bool:
        """Whether it was this source; that of a datagram can be forged."""
        return self.transport in PROVEN


class Refusals:
    """What is remembered: at most `MOST_GROUPS` groups that are proven, and as many that are not,
    so that a flood with forged sources hides none of the others."""

    def __init__(self) -> None:
        self._proven: OrderedDict[tuple[object, ...], Group] = OrderedDict()
        self._unproven: OrderedDict[tuple[object, ...], Group] = OrderedDict()
        self.forgotten = 0
        """Groups that have made room for others."""

    def note(self, service: str, peer: Peer, reason: Reason, transport: str, now: float) -> None:
        """One more. `now` is in seconds of any clock."""
        is_proven = transport in PROVEN
        groups = self._proven if is_proven else self._unproven
        source = _number(peer.host, is_proven) if peer.host else peer.uid
        key = (service, transport, reason.name, source)
        group = groups.get(key)
        if group is None:
            group = Group(service, transport, peer, reason, now, now)
            groups[key] = group
            if len(groups) > MOST_GROUPS:
                groups.popitem(last=False)
                self.forgotten += 1
        else:
            groups.move_to_end(key)
        group.count += 1
        group.last = now
        group.latest = reason

    def latest(self) -> list[Group]:
        """All groups, the latest refusal first."""
        every = (*self._proven.values(), *self._unproven.values())
        return sorted(every, key=lambda group: group.last, reverse=True)


@lru_cache(_HOSTS_KEPT)
def _number(host: str, is_proven: bool) -> tuple[int, int]:
    """A source as quickly as it can be had: floods come by here."""
    address = parse_address(host)
    ipv4, ipv6 = CONNECTION_SOURCE_BITS if is_proven else DATAGRAM_SOURCE_BITS
    if address.version == 4:
        return 4, int(address) >> 32 - ipv4
    return 6, int(address) >> 128 - ipv6
