"""The one place that says who may come, how much they may cost, and when they must go.

A service instance has one `Guard`, shared by its listeners, because its limits are promised for
the instance. It is asked at three points: admit (a connection or a datagram), charge (an answer),
release. It owns no socket and reads no clock of its own: `clock` is Twisted's `IReactorTime`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from functools import lru_cache, partial
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.limits import Limits
from sockd.access.peer import Peer
from sockd.access.prefixes import matches, parse_address, source_key
from sockd.access.reasons import Reason, because

CONNECTION_SOURCE_BITS = (32, 64)
"""What counts as one source of connections: an IPv4 address, an IPv6 network of one site's LAN."""
DATAGRAM_SOURCE_BITS = (24, 56)
"""What counts as one source of datagrams: these are forged, so whole networks share a budget."""
SOURCES_KEPT = 10_000
"""Sources whose rate is remembered at once; the one heard longest ago is forgotten first."""
HOSTS_KEPT = 4096
"""Hosts for which the rules' answer is remembered, and no more: sources can be forged."""
SWEEP_SECONDS = 1.0
"""How often open connections are looked at: timeouts are exact to this, and are free between."""
REPORTS_PER_SECOND = 10
"""Refusals reported a second; the rest are counted, so that a flood does not fill the log."""
NFS_PORT = 2049
"""A service below 1024 in spirit: on an unprivileged port, and it answers what it does not know."""


class Session(Protocol):
    """What the guard needs of an open connection."""

    peer: Peer

    def sweep(self, now: float) -> None:
        """Look whether the connection has been idle, slow or stuck for too long."""

    def stop(self) -> None:
        """The daemon stops: close."""

    def abort(self, reason: Reason) -> None:
        """Close now, whatever waits to be delivered."""


@lru_cache(HOSTS_KEPT)
def _unanswerable_host(host: str) -> Reason | None:
    address = parse_address(host)
    if address.is_multicast:
        return because("multicast_source")
    if address.is_unspecified:
        return because("unspecified_source")
    if str(address) == "255.255.255.255":
        return because("broadcast_source")
    return None


def unanswerable(host: str, port: int, own_ports: Container[int]) -> Reason | None:
    """Why a datagram from this source must not be answered; None if it may be.

    A service answers what it does not understand, so an answer to a service is the start of a
    loop: nothing goes to a port where services live, nor to one that this daemon listens on.
    """
    if port < 1024 or port == NFS_PORT:
        return because("service_port", port=port)
    if port in own_ports:
        return because("own_port", port=port)
    return _unanswerable_host(host)


class Suppressed(int):
    """How many refusals were not reported since the last report."""

    def __str__(self) -> str:
        return f" (and {int(self)} more refused since the last report)" if self else ""


class Guard:
    """Access rules, limits, budgets and counters of one service instance."""

    def __init__(
        self, name: str, limits: Limits, clock: IReactorTime, own_ports: Container[int]
    ) -> None:
        self.name = name
        self.limits = limits
        self.clock = clock
        self.own_ports = own_ports
        self.counts: Counter[str] = Counter()
        self._rules = limits.rules
        self._rule_against = lru_cache(HOSTS_KEPT)(self._look_at_rules)
        self._rule_against_source = lru_cache(HOSTS_KEPT)(self._look_at_source)
        self._is_trusted = lru_cache(HOSTS_KEPT)(partial(matches, limits.trusted))
        self._source = lru_cache(HOSTS_KEPT)(self._look_at_host)
        self._sessions: dict[Session, str | None] = {}
        self._per_source: dict[str, int] = {}
        rate = limits.connect_rate
        self._connects = Buckets(rate.per_second, max(1.0, rate.count), SOURCES_KEPT)
        self._answers = Buckets(limits.reply_rate.per_second, limits.reply_burst, SOURCES_KEPT)
        self._reports = Buckets(REPORTS_PER_SECOND, REPORTS_PER_SECOND, 1)
        self._unreported = 0
        self._sweep_call: IDelayedCall | None = None
        self._empty: Deferred[None] | None = None

    # connections

    def refusal(self, peer: Peer) -> Reason | None:
        """Why this peer may not connect now; None if it may. Counts the attempt."""
        if len(self._sessions) >= self.limits.max_connections:
            return because("max_connections", limit=self.limits.max_connections)
        if not peer.host:
            return self.user_refusal(peer.uid)
        if (rule := self._rule_against(peer.host)) is not None:
            return rule
        source = self._source(peer.host)
        if source is None:
            return None
        if self._per_source.get(source, 0) >= self.limits.max_connections_per_source:
            limit = self.limits.max_connections_per_source
            return because("max_connections_per_source", limit=limit)
        if not self._connects.take(source, self.clock.seconds()):
            return because("connect_rate", limit=self.limits.connect_rate)
        return None

    def user_refusal(self, uid: int | None) -> Reason | None:
        """Why a process of this user may not use a Unix socket; None if it may."""
        users = self.limits.allow_users
        return None if not users or uid in users else because("allow_users", uid=uid)

    def hold(self, session: Session) -> None:
        """Count an admitted connection until `release`."""
        host = session.peer.host
        source = self._source(host) if host else None
        if source is not None:
            self._per_source[source] = self._per_source.get(source, 0) + 1
        self._sessions[session] = source
        self.counts["connections"] += 1
        if self._sweep_call is None:
            self._sweep_call = self.clock.callLater(SWEEP_SECONDS, self._sweep)

    def release(self, session: Session) -> None:
        """A connection has ended."""
        source = self._sessions.pop(session, None)
        if source is not None:
            left = self._per_source[source] - 1
            if left:
                self._per_source[source] = left
            else:
                del self._per_source[source]
        if not self._sessions and self._empty is not None:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def _look_at_host(self, host: str) -> str | None:
        """What a host's connections are counted under; None if they are not."""
        return None if self._is_trusted(host) else source_key(host, *CONNECTION_SOURCE_BITS)

    def when_empty(self, seconds: float) -> Deferred[None]:
        """Fires when no connection is open; those that are after `seconds` are cut off."""
        if not self._sessions:
            return succeed(None)
        self._empty = Deferred()
        cut = self.clock.callLater(seconds, self.cut_off)

        def done(_: None) -> None:
            if cut.active():
                cut.cancel()

        return self._empty.addCallback(done)

    def cut_off(self) -> None:
        """End every connection now: the daemon stops, and it has waited or cannot wait."""
        for session in self.sessions:
            session.abort(because("daemon_stops"))

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections that are open now."""
        return tuple(self._sessions)

    def stop(self) -> None:
        """Sweep no more: the connections have ended."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def _sweep(self) -> None:
        self._sweep_call = None
        if not self._sessions:
            return  # not when the last one ends: the next may come at once
        self._sweep_call = self.clock.callLater(SWEEP_SECONDS, self._sweep)
        now = self.clock.seconds()
        for session in tuple(self._sessions):
            session.sweep(now)

    # datagrams

    def datagram_refusal(self, host: str, port: int) -> Reason | None:
        """Why a datagram from this source is not to be looked at; None if it is."""
        if port in self.own_ports:  # which change: all else is remembered
            return unanswerable(host, port, self.own_ports)
        return self._rule_against_source(host, port)

    def _look_at_rules(self, host: str) -> Reason | None:
        prefix = self._rules.refusal(host)
        if prefix is None:
            return None
        if prefix.startswith("deny "):
            return because("deny", prefix=prefix.removeprefix("deny "))
        return because("allow")

    def _look_at_source(self, host: str, port: int) -> Reason | None:
        return unanswerable(host, port, ()) or self._rule_against(host)

    def reply_refusal(self, host: str) -> Reason | None:
        """Why this source may not have one more answer that can be longer than its question."""
        if self._is_trusted(host):
            return None
        source = source_key(host, *DATAGRAM_SOURCE_BITS)
        if self._answers.take(source, self.clock.seconds()):
            return None
        return because("reply_rate", limit=self.limits.reply_rate)

    # what was refused

    def refuse(self, peer: Peer, reason: Reason) -> None:
        """Count and report a refusal; a flood of them is reported a few times a second."""
        self.counts["refused"] += 1
        if not self._reports.take("", self.clock.seconds()):
            self._unreported += 1
            return
        suppressed, self._unreported = Suppressed(self._unreported), 0
        events.emit("refused", service=self.name, peer=peer, reason=reason, suppressed=suppressed)
