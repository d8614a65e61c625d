"""What is measured: one entry a work, with the ratios that sockd is to reach."""

from __future__ import annotations

from typing import Literal

from attrs import evolve, field, frozen

from benchmarks import roster

GUARDED = 0.9
"""With every guard, counter and timeout on, sockd keeps this share of what it does without."""

LOGGED = 0.85
"""With each connection in its log, sockd keeps this share of what it does without."""

IDLE = 10_000
"""Connections that are opened and then do nothing."""

TLS_IDLE = 2_000
"""The same in TLS."""

CHATTERS = 20_000
"""Users of a chat, of whom a thousand are in one channel."""


Figure = Literal["p99", "memory", "rate"]
"""Microseconds; bytes; bytes of each, where memory is measured."""


@frozen
class Work:
    """One thing that servers are asked to do, and who is asked."""

    name: str
    title: str
    kind: str
    """What the peers are started as."""
    load: tuple[str, ...]
    """Mode and options of the load generator."""
    unit: str
    targets: dict[roster.Peer, float | None]
    """Who is compared, and the least ratio sockd / peer (the greatest where less is better)."""
    measure: Literal["load", "processor", "fan-out", "memory", "users"] = "load"
    """`processor` is what a load comes to for each second that the server was on its core: for what
    keeps the load so busy that the server has to wait for it."""
    is_watched: bool = False
    """Whether the load looks itself what the server takes of its core while it measures."""
    idle: int = IDLE
    """Connections that do nothing, where their memory is measured."""
    bounds: dict[Figure, float] = field(factory=dict)
    """The most that our own figures are to be, whatever others' are."""

    @property
    def less_is_better(self) -> bool:
        """True for what is used up instead of done."""
        return self.measure == "memory"

    @property
    def peers(self) -> tuple[roster.Peer, ...]:
        """Who takes part, ours first."""
        return (roster.SOCKD, *self.targets)

    def by_processor(self) -> Work:
        """The same by what a server takes of its core: what else runs on a machine counts less."""
        if self.measure != "load":
            return self
        seen = {peer: target for peer, target in self.targets.items() if not peer.forks}
        return evolve(self, measure="processor", targets=seen)

    def is_reached(self, peer: roster.Peer, ratio: float) -> bool | None:
        """Whether a ratio is what is wanted; None where nothing is."""
        target = self.targets.get(peer)
        if target is None:
            return None
        return ratio <= target if self.less_is_better else ratio >= target


def _chat(members: int, targets: dict[roster.Peer, float | None]) -> Work:
    """One member of a channel speaks as fast as all are sent it."""
    return Work(
        f"chat-{members}",
        f"chat: what one says goes to {members:,} members of a channel",
        "chat",
        # with many, few messages keep a server busy
        ("chat", "--members", str(members), "--window", "2" if members > 1_000 else "8"),
        "datagrams/s",
        targets,
        is_watched=True,
    )


WORKS = (
    Work(
        "echo",
        "TCP echo, 50 connections, 64 bytes, ping-pong",
        "echo",
        ("pingpong",),
        "messages/s",
        {
            roster.BARE: GUARDED,
            roster.C: 0.75,
            roster.GO: 0.95,
            roster.UVLOOP_PROTOCOLS: None,
            roster.UVLOOP_STREAMS: None,
            roster.ASYNCIO_PROTOCOLS: 1,
            roster.ASYNCIO_STREAMS: 1,
            roster.GEVENT: 1,
            roster.TWISTED: 3.3,
            roster.SOCKD_EPOLL: None,
            roster.XINETD: 1,
            roster.INETD: 1,
            roster.PERL_FORK: 1,
        },
    ),
    Work(
        "reverse",
        "reverse, 50 connections, lines of 64 bytes, ping-pong",
        "reverse",
        ("pingpong", "--reverse"),
        "lines/s",
        {
            roster.BARE: GUARDED,
            roster.C: 0.6,
            roster.GO: None,
            roster.UVLOOP_PROTOCOLS: None,
            roster.ASYNCIO_STREAMS: None,
            roster.GEVENT: None,
            roster.TWISTED: 2.8,
            roster.SOCKD_EPOLL: None,
            roster.PERL_FORK: None,
        },
    ),
    Work(
        "pipelined",
        "reverse, 50 connections, 32 lines of 64 bytes at a time",
        "reverse",
        ("pipelined", "--reverse"),
        "lines/s",
        {
            roster.BARE: GUARDED,
            roster.C: None,
            roster.GO: None,
            roster.UVLOOP_PROTOCOLS: None,
            roster.TWISTED: 5,
            roster.SOCKD_EPOLL: None,
        },
    ),
    Work(
        "daytime",
        "daytime: connect, read, close",
        "daytime",
        ("connect", "--expect-bytes", "26"),
        "connections/s",
        {
            roster.BARE: GUARDED,
            roster.C: None,
            roster.GO: 0.85,
            roster.UVLOOP_PROTOCOLS: None,
            roster.UVLOOP_STREAMS: None,
            roster.GEVENT: None,
            roster.TWISTED: 2,
            roster.SOCKD_EPOLL: None,
            roster.XINETD_DAYTIME: 1.3,
            roster.INETD_DAYTIME: None,
            roster.PERL_FORK: None,
        },
    ),
    Work(
        "daytime-log",
        "daytime with each connection in a log: connect, read, close",
        "daytime-log",
        ("connect", "--expect-bytes", "26"),
        "connections/s",
        {
            roster.SOCKD_NO_LOG: LOGGED,
            roster.XINETD_DAYTIME: None,
            roster.INETD_DATE: None,
        },
    ),
    Work(
        "bulk",
        "TCP echo, 50 connections, chunks of 64 kB",
        "echo",
        ("bulk",),
        "bytes/s",
        {
            roster.BARE: GUARDED,
            roster.C: 0.7,
            roster.GO: None,
            roster.UVLOOP_PROTOCOLS: None,
            roster.TWISTED: 1,
            roster.SOCKD_EPOLL: None,
        },
    ),
    Work(
        "udp",
        "UDP echo, 64 bytes, 8 sources, 8 outstanding each",
        "udp-echo",
        ("udp",),
        "datagrams/s",
        {
            roster.BARE: GUARDED,
            roster.C: 0.5,
            roster.GO: 0.7,
            roster.UVLOOP_PROTOCOLS: None,
            roster.ASYNCIO_PROTOCOLS: None,
            roster.GEVENT: None,
            roster.TWISTED: 4,
            roster.SOCKD_EPOLL: None,
            roster.PERL_UDP: 4,
        },
    ),
    Work(
        "fan-out",
        "one datagram of 64 bytes to 1000 addresses",
        "fanout",
        ("sink", "1000"),
        "datagrams/s",
        {roster.C: 0.75, roster.PERL_UDP: 2.5},
        "fan-out",
    ),
    Work(
        "tls-echo",
        "TLS echo, 50 connections, 64 bytes, ping-pong",
        "tls-echo",
        ("tls-echo",),
        "messages/s",
        {
            roster.C_TLS: None,
            roster.GO: 0.75,
            roster.UVLOOP_PROTOCOLS: None,
            roster.ASYNCIO_PROTOCOLS: None,
            roster.TWISTED: 2.5,
            roster.SOCKD_EPOLL: None,
        },
    ),
    Work(
        "tls-pipelined",
        "TLS echo, 50 connections, 32 records of 64 bytes at a time",
        "tls-echo",
        ("tls-pipelined",),
        "messages/s",
        {
            roster.C_TLS: None,
            roster.GO: None,
            roster.UVLOOP_PROTOCOLS: None,
            roster.TWISTED: 1,
            roster.SOCKD_EPOLL: None,
        },
    ),
    Work(
        "tls-handshake",
        "TLS handshakes: connect, full handshake, close",
        "tls-echo",
        ("tls-handshake",),
        "handshakes/s",
        {
            roster.C_TLS: None,
            roster.GO: 0.75,
            roster.UVLOOP_PROTOCOLS: 0.95,
            roster.ASYNCIO_PROTOCOLS: None,
            roster.TWISTED: 1,
            roster.SOCKD_EPOLL: None,
        },
        "processor",
    ),
    Work(
        "idle",
        f"{IDLE:,} idle connections: memory of each",
        "echo",
        ("idle", "--connections", str(IDLE)),
        "bytes/connection",
        {
            roster.TWISTED: 1,
            roster.BARE: None,
            roster.SOCKD_EPOLL: None,
            roster.C: None,
            roster.GO: None,
        },
        "memory",
    ),
    Work(
        "tls-idle",
        f"{TLS_IDLE:,} idle connections in TLS: memory of each",
        "tls-echo",
        ("tls-idle", "--connections", str(TLS_IDLE)),
        "bytes/connection",
        {
            roster.TWISTED: 1,
            roster.SOCKD_EPOLL: None,
            roster.UVLOOP_PROTOCOLS: None,
            roster.C_TLS: None,
            roster.GO: None,
        },
        "memory",
        idle=TLS_IDLE,
        bounds={"rate": 30e3},
    ),
    _chat(10, {roster.C: None, roster.PERL_CHAT: None}),
    _chat(100, {roster.C: None, roster.PERL_CHAT: None}),
    _chat(1_000, {roster.C: 0.8, roster.PERL_CHAT: 1.15, roster.SOCKD_WILDCARD: None}),
    _chat(10_000, {roster.C: None, roster.PERL_CHAT: None}),
    Work(
        "chat-load",
        f"chat: {CHATTERS:,} users, 1,000 in one channel, in which 20 messages a second are said",
        "chat",
        ("chat-load", "--users", str(CHATTERS), "--members", "1000", "--rate", "20"),
        "datagrams/s",
        {},
        "users",
        is_watched=True,
        bounds={"p99": 50_000, "memory": 60e6},
    ),
)
