"""The base of services that speak unasked, by datagrams, to one multicast group or address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.protocol import DatagramProtocol

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import because
from sockd.net.context import Context
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.sockaddr import Address


class Sender(DatagramProtocol):
    """Speaks unasked, to one multicast group or address; what it hears it drops."""

    noisy = False

    context: Context[Any, Any]

    def __init__(
        self,
        context: Context[Any, Any],
        target: Address,
        aim: Callable[[DatagramPort], None],
        role: str = "",
    ) -> None:
        self.context = context
        self.target = target
        self._aim = aim
        self._is_silent = False
        self.traffic = context.guard.counts.traffic(Entrance("multicast", role=role))

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        self.traffic.datagrams_in += 1
        self.traffic.bytes_in += len(datagram)

    def send(self, data: bytes) -> None:
        """Send one datagram. A network that is away is reported once, and once when it is back."""
        why = ""
        try:
            self._aim(self.port)
        except OSError as error:
            why = error.strerror or str(error)
        if not why and not self.port.write(data, self.target):
            why = self.port.last_error
        if not why:
            self.traffic.datagrams_out += 1
            self.traffic.bytes_out += len(data)
        if bool(why) != self._is_silent:
            self._is_silent = bool(why)
            reason = because("cannot_send", detail=why) if why else because("sends_again")
            name, peer = self.context.name, Peer(*self.target)
            events.warn("failed", service=name, peer=peer, reason=reason)
