"""Which connections a command is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from sockd.access.guard import Guard, Session
from sockd.access.peer import Peer
from sockd.access.prefixes import Prefix, matches, parse_prefix
from sockd.daemon.daemon import Daemon
from sockd.formats.nearest import near_miss
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.frames import ControlError

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

AT_ONCE = 100
"""Connections that are looked at in one turn of the loop: some milliseconds where all are told."""


@frozen
class Selection:
    """Those that all of this is true of. What says nothing is true of all."""

    services: frozenset[str] = frozenset()
    sources: tuple[Prefix, ...] = ()
    """Networks that the peer may be in."""
    ids: frozenset[int] = frozenset()
    age: float = 0.0
    """Least seconds since it began."""
    idle: float = 0.0
    """Least seconds without a byte."""

    @classmethod
    def taken(cls, operations: Operations, arguments: Arguments) -> Selection:
        """What a request says: `services`, `from`, `ids`, `age`, `idle`. Raises ControlError."""
        services = arguments.texts("services")
        known = list(dict.fromkeys(name for name, _ in guards(operations.daemon)))
        for name in services:
            if name not in known:
                raise no_service(operations, name, known)
        try:
            sources = tuple(map(parse_prefix, arguments.texts("from")))
        except ValueError as error:
            raise ControlError(f"`from`: {error}", "usage") from None
        ids = arguments.take("ids", list, ())
        if not all(type(one) is int for one in ids):
            raise ControlError("`ids` is a list of whole numbers", "usage")
        return cls(
            frozenset(services),
            sources,
            frozenset(ids),
            arguments.seconds("age"),
            arguments.seconds("idle"),
        )

    def picks(self, service: str, session: Session, now: float) -> bool:
        """Whether it is one of those."""
        return (
            (not self.ids or session.number in self.ids)
            and now - session.since >= self.age
            and (not self.idle or session.idle(now) >= self.idle)
            and self.is_of(service, session.peer)
        )

    def is_of(self, service: str, peer: Peer) -> bool:
        """Whether the service and the peer are among those."""
        if self.services and service not in self.services:
            return False
        return not self.sources or (bool(peer.host) and matches(self.sources, peer.host))

    def within(self, daemon: Daemon) -> Iterator[list[tuple[str, Session]]]:
        """Those that are open, with their services: some in each turn of the loop, at least once.

        Who has left meanwhile is left out.
        """
        some: list[tuple[str, Session]] = []
        looked_at = 0
        for name, guard in guards(daemon):
            sessions = guard.sessions
            for start in range(0, len(sessions), AT_ONCE):
                part = sessions[start : start + AT_ONCE]
                now = daemon.world.reactor.seconds()
                some += [
                    (name, one) for one in part if guard.has(one) and self.picks(name, one, now)
                ]
                looked_at += len(part)
                if looked_at >= AT_ONCE:
                    yield some
                    some, looked_at = [], 0
        yield some


def no_service(operations: Operations, name: str, known: Iterable[str]) -> ControlError:
    """Why there is no service of this name among those that are known: it may be disabled."""
    if name in {settings.name for settings in operations.switches.off}:
        return ControlError(f"{name} is disabled: `sockd enable {name}` has it run", "refused")
    miss = near_miss(name, known, or_all=True)
    return ControlError(f"there is no service {name!r:.100}{miss}", "usage")


def guards(daemon: Daemon) -> Iterable[tuple[str, Guard]]:
    """The guard of every service, with its name: those that drain as well."""
    every = [*(running for _, running in daemon.instances), *daemon.draining]
    return [(running.guard.name, running.guard) for running in every]
