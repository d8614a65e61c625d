"""The one place that says who may come, how much they may cost, and when they must go.

A service instance has one `Guard`, shared by its listeners, because its limits are promised for
the instance. It is asked at three points: admit (a connection or a datagram), charge (an answer),
release. It owns no socket and reads no clock of its own: `clock` is Twisted's `IReactorTime`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import lru_cache, partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.counts import Counts, Traffic
from sockd.access.entrance import Entrance
from sockd.access.limits import Limits
from sockd.access.peer import Peer
from sockd.access.prefixes import (
    CONNECTION_SOURCE_BITS,
    DATAGRAM_SOURCE_BITS,
    matches,
    parse_address,
    source_key,
)
from sockd.access.reasons import Reason, because
from sockd.access.state import DaemonState

SOURCES_KEPT = 10_000
"""Sources whose rate is remembered at once; the one heard longest ago is forgotten first."""
HOSTS_KEPT = 4096
"""Hosts for which the rules' answer is remembered, and no more: sources can be forged."""
LOCAL_BURST_SECONDS = 10.0
"""What a local name may be answered at once, in seconds of its rate: whoever asks for the lines of
a file, one after the other, is not kept waiting; a loop comes to its end."""
SWEEP_SECONDS = 1.0
"""How often open connections are looked at: timeouts are exact to this, and are free between."""
SWEEP_AT_ONCE = 500
"""How many of them in one pass of the loop, about a millisecond; others have their turn between."""
REPORTS_PER_SECOND = 10
"""Refusals reported a second; the rest are counted, so that a flood does not fill the log."""
NFS_PORT = 2049
"""A service below 1024 in spirit: on an unprivileged port, and it answers what it does not know."""


class Session(Protocol):
    """What the guard needs of an open connection, and what can be told of it."""

    number: int
    """Which one it is, of all that the daemon has had; the guard says it when it begins."""
    since: float
    """When it began, in the clock's seconds."""
    context: Any
    """What it began with, which it keeps."""
    peer: Peer
    entrance: Entrance
    bytes_in: int
    bytes_out: int
    traffic: Traffic
    """Where it is counted."""

    def idle(self, now: float) -> float:
        """Seconds since a byte came or was sent, exact to a sweep."""

    def sweep(self, now: float) -> None:
        """Look whether the connection has been idle, slow or stuck for too long."""

    def stop(self, reason: Reason) -> None:
        """Deliver what is written, and close."""

    def abort(self, reason: Reason) -> None:
        """Close now, whatever waits to be delivered."""


class Suppressed(int):
    """How many refusals were not reported before this one."""

    def __str__(self) -> str:
        return f" (and {int(self)} more refused since the last report)" if self else ""


_DAEMON_STOPS = because("daemon_stops")


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


@lru_cache(HOSTS_KEPT)
def _service_port(port: int) -> Reason:
    return because("service_port", port=port)


@lru_cache(HOSTS_KEPT)
def _own_port(port: int) -> Reason:
    return because("own_port", port=port)


def unanswerable(host: str, port: int, own_ports: Container[int]) -> Reason | None:
    """Why a datagram from this source must not be answered; None if it may be.

    A service answers what it does not understand, so an answer to a service is the start of a
    loop: nothing goes to a port where services live, nor to one that this daemon listens on.
    """
    if port < 1024 or port == NFS_PORT:
        return _service_port(port)
    if port in own_ports:
        return _own_port(port)
    return _unanswerable_host(host)


class Guard:
    """Access rules, limits, budgets and counters of one service instance.

    It is the one holder of the instance's limits: whoever needs one asks it, so that `apply` can
    change them for connections that are open as well.
    """

    limits: Limits

    def __init__(self, name: str, limits: Limits, clock: IReactorTime, state: DaemonState) -> None:
        self.name = name
        self.clock = clock
        self.state = state
        self.counts = Counts()
        self._own_ports = state.udp_ports
        self._banned = state.bans.every
        self._sessions: dict[Session, str | None] = {}
        self._per_source: dict[str, int] = {}
        self._connects = Buckets(1, 1, SOURCES_KEPT)
        self._connects_in_all = Buckets(1, 1, 1)
        self._answers = Buckets(1, 1, SOURCES_KEPT)
        self._local_answers = Buckets(1, 1, SOURCES_KEPT)
        self._reports = Buckets(REPORTS_PER_SECOND, REPORTS_PER_SECOND, 1)
        self._unreported = 0
        self._sweep_call: IDelayedCall | None = None
        self._endings: list[tuple[set[Session], Deferred[None]]] = []
        self.apply(limits)

    def apply(self, limits: Limits) -> None:
        """Have other limits from now on. Counters and open connections stay, and so do budgets
        whose rate has not changed: nobody gets a new one for a change of something else."""
        self.limits = limits
        self._rule_against = lru_cache(HOSTS_KEPT)(limits.rules.refusal)
        self._rule_against_source = lru_cache(HOSTS_KEPT)(self._look_at_source)
        self._is_trusted = lru_cache(HOSTS_KEPT)(partial(matches, limits.trusted))
        self._source = lru_cache(HOSTS_KEPT)(self._look_at_host)
        rate = limits.connect_rate
        self._connects = _refitted(self._connects, rate.per_second, max(1.0, rate.count))
        total = limits.total_connect_rate
        self._is_rated = not total.is_off
        self._connects_in_all = _refitted(
            self._connects_in_all, total.per_second, max(1.0, total.count)
        )
        self._answers = _refitted(
            self._answers, limits.reply_rate.per_second, float(limits.reply_burst)
        )
        rate = limits.local_reply_rate
        self._local_answers = _refitted(
            self._local_answers,
            rate.per_second,
            max(1.0, rate.per_second * LOCAL_BURST_SECONDS),
        )
        # made here, so that refusing costs nothing
        self._full = because("max_connections", limit=limits.max_connections)
        self._source_full = because(
            "max_connections_per_source", limit=limits.max_connections_per_source
        )
        self._too_fast = because("connect_rate", limit=str(limits.connect_rate))
        self._too_many = because("total_connect_rate", limit=str(limits.total_connect_rate))
        self._over_budget = because("reply_rate", limit=str(limits.reply_rate))
        self._over_local_budget = because("local_reply_rate", limit=str(limits.local_reply_rate))
        self._count_sources()

    def _count_sources(self) -> None:
        """Count the open connections of each source: who is trusted may have changed."""
        self._per_source.clear()
        for session in self._sessions:
            peer = session.peer
            source = self._source(peer.host) if peer.host else self._user(peer.uid)
            self._sessions[session] = source
            if source is not None:
                self._per_source[source] = self._per_source.get(source, 0) + 1

    # connections

    def refusal(self, peer: Peer) -> Reason | None:
        """Why this peer may not connect now; None if it may. Counts the attempt."""
        if len(self._sessions) >= self.limits.max_connections:
            return self._full
        host = peer.host
        reason = self.host_refusal(host) if host else self.user_refusal(peer.uid)
        if reason is not None:
            return reason
        source = self._source(host) if host else self._user(peer.uid)
        if source is not None:
            if self._per_source.get(source, 0) >= self.limits.max_connections_per_source:
                return self._source_full
            if not self._connects.take(source, self.clock.seconds()):
                return self._too_fast
        # at last: who is refused anyway takes nothing from the others
        if self._is_rated and not self._connects_in_all.take("", self.clock.seconds()):
            return self._too_many
        return None

    def host_refusal(self, host: str) -> Reason | None:
        """Why nobody may come from this address: a ban, or a rule; None if somebody may."""
        return (self._banned and self._ban_of(host)) or self._rule_against(host)

    def _ban_of(self, host: str) -> Reason | None:
        ban = self.state.bans.find(host, self.clock.seconds())
        return None if ban is None else ban.reason

    def user_refusal(self, uid: int | None) -> Reason | None:
        """Why a process of this user may not use a Unix socket; None if it may."""
        users = self.limits.allow_users
        return None if not users or uid in users else because("allow_users", uid=uid)

    def admit(self, session: Session) -> None:
        """Count an admitted connection until it has left."""
        peer = session.peer
        source = self._source(peer.host) if peer.host else self._user(peer.uid)
        if source is not None:
            self._per_source[source] = self._per_source.get(source, 0) + 1
        self._sessions[session] = source
        session.number = self.state.next_session()
        if self._sweep_call is None:
            self._sweep_call = self.clock.callLater(SWEEP_SECONDS, self._sweep)

    def leave(self, session: Session) -> None:
        """A connection has ended."""
        source = self._sessions.pop(session, None)
        if source is not None:
            left = self._per_source[source] - 1
            if left:
                self._per_source[source] = left
            else:
                del self._per_source[source]
        if self._endings:
            self._ended(session)

    def _look_at_host(self, host: str) -> str | None:
        """What a host's connections are counted under; None if they are not."""
        return None if self._is_trusted(host) else source_key(host, *CONNECTION_SOURCE_BITS)

    def _user(self, uid: int | None) -> str | None:
        """What the connections of a user over Unix sockets are counted under; None if not at all.

        The user is the kernel's word; those that it does not tell apart are one source.
        """
        return None if uid in self.limits.trusted_users else f"user {uid}"

    def when_ended(self, sessions: Iterable[Session]) -> Deferred[None]:
        """Fires when none of these connections is open any more."""
        if not (open_ones := self._sessions.keys() & set(sessions)):
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._endings.append((open_ones, ended))
        return ended

    def _ended(self, session: Session) -> None:
        for sessions, _ in self._endings:
            sessions.discard(session)
        over = [ended for sessions, ended in self._endings if not sessions]
        self._endings = [ending for ending in self._endings if ending[0]]
        for ended in over:
            ended.callback(None)

    def stop_sessions(self, reason: Reason) -> Deferred[None]:
        """End every connection; those that are open after `drain` are cut off. Fires at the end."""
        sessions = self.sessions
        for session in sessions:
            session.stop(reason)
        ended = self.when_ended(sessions)
        if not ended.called:
            cut = self.clock.callLater(self.limits.drain, self.abort_all, reason)
            ended.addCallback(lambda _: cut.cancel() if cut.active() else None)
        return ended

    def abort_all(self, reason: Reason = _DAEMON_STOPS) -> None:
        """End every connection now: it was waited for, or cannot be."""
        for session in self.sessions:
            session.abort(reason)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The connections that are open now."""
        return tuple(self._sessions)

    def has(self, session: Session) -> bool:
        """Whether this connection is open."""
        return session in self._sessions

    def stop(self) -> None:
        """Sweep no more: the connections have ended."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def _sweep(self) -> None:
        self._sweep_call = None
        if not self._sessions:
            return  # not when the last one ends: the next may come at once
        self._sweep_some(self.sessions)

    def _sweep_some(self, sessions: tuple[Session, ...]) -> None:
        if rest := sessions[SWEEP_AT_ONCE:]:
            self._sweep_call = self.clock.callLater(0, self._sweep_some, rest)
        else:
            self._sweep_call = self.clock.callLater(SWEEP_SECONDS, self._sweep)
        now = self.clock.seconds()
        for session in sessions[:SWEEP_AT_ONCE]:
            if session in self._sessions:  # it may have left since the sweep began
                session.sweep(now)

    def trusts(self, host: str) -> bool:
        """Whether the limits that count per source are not for this host."""
        return self._is_trusted(host)

    # datagrams

    def datagram_refusal(self, host: str, port: int) -> Reason | None:
        """Why a datagram from this source is not to be looked at; None if it is."""
        # these come and go, so they are not remembered with the rest
        if port in self._own_ports and self.state.may_send_from(host, port):
            return unanswerable(host, port, self._own_ports)
        if self._banned and (reason := self._ban_of(host)) is not None:
            return reason
        return self._rule_against_source(host, port)

    def _look_at_source(self, host: str, port: int) -> Reason | None:
        return unanswerable(host, port, ()) or self._rule_against(host)

    def reply_refusal(self, host: str) -> Reason | None:
        """Why this source may not have one more answer that can be longer than its question."""
        if self._is_trusted(host):
            return None
        source = source_key(host, *DATAGRAM_SOURCE_BITS)
        return None if self._answers.take(source, self.clock.seconds()) else self._over_budget

    def local_reply_refusal(self, name: str, uid: int | None) -> Reason | None:
        """Why a user's Unix socket of this name may not have one more answer.

        By name: two services that were set on each other answer to one name each, whoever began
        with it. By user too: several can have the same name, one after the other, and nobody is to
        spend another's budget.
        """
        is_left = self._local_answers.take(f"{uid} {name}", self.clock.seconds())
        return None if is_left else self._over_local_budget

    # what was refused

    def refuse(self, peer: Peer, reason: Reason, entrance: Entrance | None = None) -> None:
        """Count and report a refusal; a flood of them is reported a few times a second."""
        self.counts.traffic(entrance).refused[reason.name] += 1
        now, transport = self.clock.seconds(), "" if entrance is None else entrance.transport
        self.state.refusals.note(self.name, peer, reason, transport, now)
        if not self._reports.take("", now):
            self._unreported += 1
            self.counts.suppressed += 1
            return
        suppressed, self._unreported = Suppressed(self._unreported), 0
        fields: dict[str, Any] = {} if entrance is None else {"local": entrance}
        events.emit(
            "refused",
            service=self.name,
            carrier="datagram" if entrance is None else entrance.carrier,
            peer=peer,
            reason=reason,
            suppressed=suppressed,
            **fields,
        )


def _refitted(buckets: Buckets, rate: float, burst: float) -> Buckets:
    """The same buckets where they have this rate already, else new ones."""
    if (buckets.rate, buckets.burst) == (rate, burst):
        return buckets
    return Buckets(rate, burst, buckets.size)
