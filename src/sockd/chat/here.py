"""Who of a channel came by one door, and what is on its way to them."""

from __future__ import annotations

from attrs import define, field

from sockd.chat.members import User
from sockd.reactor.audience import Audience
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Destination


@define(eq=False)
class Here:
    """Who of a channel came by one door."""

    audience: Audience
    """New clients: sent to in one go."""
    old: dict[Address, User] = field(factory=dict)
    """Old ones: each is counted."""
    is_sent_to: bool = False
    """While something is on its way to the audience, who comes and goes waits: each is sent it
    once."""
    _waiting: list[tuple[Address, Destination | None, bool]] = field(factory=list)

    def add(self, address: Address, source: Destination | None) -> None:
        """One more new client."""
        self._change(address, source, True)

    def discard(self, address: Address) -> None:
        """One fewer, of either kind."""
        self.old.pop(address, None)
        self._change(address, None, False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost where it is forgotten."""
        return not (self.old or self.audience or self.is_sent_to)

    def go_on(self) -> None:
        """What was on its way has gone."""
        self.is_sent_to = False
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            self._change(*change)

    def _change(self, address: Address, source: Destination | None, is_here: bool) -> None:
        if self.is_sent_to:
            self._waiting.append((address, source, is_here))
        elif is_here:
            self.audience.add(address, source)
        else:
            self.audience.discard(address)


@define
class Sending:
    """Something on its way to an audience."""

    here: Here
    data: bytes
    at: int = 0
    """How many were sent it."""
