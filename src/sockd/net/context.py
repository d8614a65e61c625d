"""What one service instance is made of; its protocols get it and need nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Generic, TypeVar

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, succeed

from sockd.access.guard import Guard
from sockd.access.limits import Limits
from sockd.access.peer import Peer
from sockd.access.state import DaemonState
from sockd.formats.clock import local_ctime
from sockd.formats.template import Template
from sockd.listen.inherited import Inheritance
from sockd.net.children import Children, children_of
from sockd.net.names import Names
from sockd.net.turns import Turns
from sockd.net.urgent import UrgentWatch

NO_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The type of what a world tells of itself that nobody looks after: nothing."""


@define
class World:
    """The world that all instances share, passed in so that a test can make another one."""

    reactor: Any
    """Twisted's reactor: timers (monotonic), processes, descriptors, threads."""
    wall: Callable[[], float]
    """Unix time now, in seconds: what time services tell, and nothing else."""
    random: Random
    names: Names
    """World names of addresses, without blocking."""
    hostname: str
    certificate_check: float = 10.0
    """Seconds between two looks at certificate files."""
    gives_up_root: bool = False
    """True where the daemon changes to another user once it has bound its addresses."""
    loaded: Mapping[Any, Any] = Factory(dict)
    """TLS files that were read in a thread, by their terms, while what needs them is prepared."""
    inherited: Inheritance = Factory(Inheritance)
    """Sockets that were there before this process."""
    state: DaemonState = Factory(DaemonState)
    """What is true of the daemon and not of a process."""
    turns: Turns = Factory(lambda self: Turns(self.reactor), takes_self=True)
    """Who may work in this pass of the reactor's loop: there is one loop for all instances."""
    children: Children = Factory(lambda self: children_of(self.reactor), takes_self=True)
    """What starts child processes, and ends what they have started."""
    urgent: UrgentWatch = Factory(lambda self: UrgentWatch(self.reactor), takes_self=True)
    """What wakes connections for urgent data."""
    metrics: Callable[[str], Deferred[tuple[str, bytes]]] = field(
        default=lambda _: succeed((NO_METRICS, b"# EOF\n"))
    )
    """The type and the text of all metrics, for a client that accepts this type (HTTP)."""


OptionsT = TypeVar("OptionsT")
"""The kind's own options."""
SharedT = TypeVar("SharedT")
"""What an instance's connections share."""


@define
class Context(Generic[OptionsT, SharedT]):
    """A service instance's options and the world it may touch.

    A connection keeps the context that it began with. Where options change, new connections get
    another one with the same guard, which holds the limits of both.
    """

    name: str
    """The instance's name in the configuration."""
    options: OptionsT
    """The kind's own options, an instance of its options class."""
    guard: Guard
    world: World
    shared: SharedT = None  # type: ignore[assignment]  # until it is made, before anybody is served
    """What the instance's connections share: the result of the kind's `shared`."""
    clock: Any = field(
        init=False, default=Factory(lambda self: self.world.reactor, takes_self=True)
    )
    """Timers and monotonic seconds (IReactorTime); never the time of day."""

    @property
    def limits(self) -> Limits:
        """The instance's limits, as they are now."""
        return self.guard.limits

    def greeting(self, template: Template, peer: Peer) -> Deferred[bytes]:
        """The line of a template for a peer, CRLF at its end; within a second, name or not."""
        known = peer.host or self.world.hostname
        wants = template.wants_name and bool(peer.host)
        found = self.world.names.name(known) if wants else succeed(known)

        def fill(name: str) -> bytes:
            time = local_ctime(self.world.wall())
            text = template.fill(name=name, address=known, port=peer.port, time=time)
            return text + b"\r\n"

        return found.addCallback(fill)
