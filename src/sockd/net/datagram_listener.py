"""Listening for datagrams, and sending them to a multicast group."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed

from sockd import events
from sockd.access.reasons import because
from sockd.listen.listen import Listen
from sockd.listen.sockets import aim, widen
from sockd.net.context import Context
from sockd.net.datagram import Datagrams
from sockd.net.listener import Listener
from sockd.net.queues import dropped
from sockd.net.sender import Sender
from sockd.net.waiting import within
from sockd.reactor.datagram import DatagramPort


class DatagramListener(Listener):
    """Datagrams over UDP or a Unix socket, or what is sent to a multicast group."""

    def __init__(
        self,
        context: Context[Any, Any],
        listen: Listen,
        is_required: bool,
        protocol: type[Datagrams] | type[Sender],
    ) -> None:
        super().__init__(context, listen, is_required)
        self._protocol = protocol
        self._own_port: int | None = None
        self._own_name = ""
        self._families: dict[str, bool] = {}
        self._counted: DatagramPort | None = None
        """The port whose losses are counted, and how many were."""
        self._dropped = 0
        self._errors = (0, 0)

    def adopt(self, sock: socket.socket) -> Any:
        host = self.context.world
        self._widen(sock)
        port = DatagramPort(sock, self._make_protocol(), host.reactor)
        if self.listen.transport in ("udp", "multicast"):
            self._own_port = sock.getsockname()[1]
            self._families = _families(sock)
            host.state.open_udp_port(self._own_port, **self._families)
        else:
            self._own_name = os.fsdecode(self.entrance.path)
            host.state.open_local_name(self._own_name)
        # who had the socket before has counted what was dropped there
        self._counted, self._dropped, self._errors = port, dropped(sock), (0, 0)
        port.startListening()
        return port

    def count_losses(self) -> None:
        """Count what was lost at the socket since it was counted last."""
        if (port := self._counted) is None:
            return
        traffic = self.context.guard.counts.traffic(self.entrance)
        drops, before = dropped(port.socket), self._dropped
        traffic.lost += (drops - before) % 2**32
        unreceived = unsent = 0
        for name, count in port.counts.items():
            if name == "dropped" or name.startswith("send "):
                unsent += count
            elif name != "overflow":  # these the kernel has told already
                unreceived += count
        traffic.unreceived += unreceived - self._errors[0]
        traffic.unsent += unsent - self._errors[1]
        self._dropped, self._errors = drops, (unreceived, unsent)

    def released(self) -> None:
        self.count_losses()
        self._counted = None
        if self._own_port is not None:
            self.context.world.state.close_udp_port(self._own_port, **self._families)
            self._own_port = None
        if self._own_name:
            self.context.world.state.close_local_name(self._own_name)
            self._own_name = ""

    def close(self) -> Deferred[Any] | None:
        if self.port is not None:
            self.port.take_rest()  # it is read from the socket, and nobody else has it
        return super().close()

    def use(self, context: Context[Any, Any]) -> None:
        super().use(context)
        if self.port is None:
            return
        protocol = self.port.protocol
        if isinstance(protocol, Sender):  # it has its own timers, and begins again
            protocol.doStop()
            protocol.context = context
            protocol.makeConnection(self.port)
        else:
            protocol.context = context

    def when_answered(self) -> Deferred[None]:
        if self.port is None or isinstance(self.port.protocol, Sender):
            return succeed(None)
        answered: Deferred[None] = self.port.protocol.when_answered()
        if answered.called:
            return answered
        return within(self.context.limits.drain, answered, self.context.clock)

    def leaves(self) -> None:
        # a service that knows who has come by its address can have them go on by another
        if (leaves := getattr(self.port.protocol, "leaves", None)) is not None:
            leaves()

    @property
    def is_empty(self) -> bool:
        return super().is_empty and not self.port.has_rest

    def shut(self) -> None:
        self.port.take_rest()
        super().shut()

    def limits_changed(self) -> None:
        if (sock := self.bound_socket) is not None:
            self._widen(sock)

    def _make_protocol(self) -> Datagrams | Sender:
        if issubclass(self._protocol, Sender):
            target = (self.listen.host, self.listen.port)
            return self._protocol(self.context, target, self._aim, self.listen.role)
        return self._protocol(self.context, self.entrance)

    def _aim(self, port: DatagramPort) -> None:
        aim(port.socket, self.listen.interface, self.listen.terms.ttl)

    def _widen(self, sock: socket.socket) -> None:
        wanted = self.context.limits.receive_buffer
        given = widen(sock, wanted)
        if given < wanted and self.context.world.state.warns_first("receive_buffer"):
            reason = because("receive_buffer", given=given, wanted=int(wanted))
            events.warn("warning", service=self.context.name, reason=reason)


def _families(sock: socket.socket) -> dict[str, bool]:
    """Which families it sends datagrams of."""
    ipv6 = sock.family == socket.AF_INET6
    # one that was handed over may have both
    only = ipv6 and sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return {"ipv4": not only, "ipv6": ipv6}
