"""One instance of a service: its listeners, and what its connections share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred

from sockd.access.entrance import Entrance
from sockd.access.guard import Guard
from sockd.config.settings import InstanceSettings
from sockd.listen.sockets import ListenError, aim
from sockd.listen.strings import Listen
from sockd.net.context import Context, Host
from sockd.net.datagram import Datagrams, Sender
from sockd.net.listener import DatagramListener, Listener, StreamListener
from sockd.net.stream import Stream
from sockd.reactor.datagram import DatagramPort

STOP_SECONDS = 3.0
"""How long a stopping instance waits for its connections before it cuts them off."""


class InstanceService(MultiService):
    """One `[service.NAME]`: its listeners and what its connections share."""

    def __init__(
        self, context: Context[Any, Any], shared: Callable[[Context[Any, Any]], Any] | None
    ) -> None:
        super().__init__()
        self.context = context
        self._make_shared = shared
        self.setName(context.name)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Its addresses."""
        return tuple(child for child in self if isinstance(child, Listener))

    def privilegedStartService(self) -> None:
        """Make what is shared, then bind.

        Raises OSError or ValueError, or an ExceptionGroup of a ListenError for each address.
        """
        if self._make_shared is not None:
            self.context.shared = self._make_shared(self.context)
        failures = []
        for child in self:
            try:
                child.privilegedStartService()
            except ListenError as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("addresses that cannot be listened on", failures)

    def stopService(self) -> Deferred[Any]:
        """Stop listening, let connections end, cut off those that do not within 3 s."""
        stopped = [maybeDeferred(MultiService.stopService, self)]
        for session in self.context.guard.sessions:
            session.stop()
        stopped.append(self.context.guard.when_empty(STOP_SECONDS))
        return DeferredList(stopped).addCallback(self._let_go)

    def _let_go(self, _: Any) -> None:
        self.context.guard.stop()
        if self.context.shared is not None:
            self.context.shared.stop()


def add_listeners(
    instance: InstanceService,
    listens: tuple[Listen, ...],
    stream: type[Stream] | None,
    datagram: type[Datagrams] | None,
    sender: type[Sender] | None,
) -> None:
    """Give an instance its addresses. The configuration has checked that the kind serves them."""
    context = instance.context
    for listen in listens:
        listener: Listener
        if listen.transport == "multicast" and sender is not None:
            make = _sender(sender, context, listen)
            listener = DatagramListener(context, listen, make)
        elif listen.transport in ("udp", "unixgram") and datagram is not None:
            listener = DatagramListener(context, listen, partial(datagram, context))
        elif stream is not None:
            listener = StreamListener(context, listen, stream)
        else:
            raise ValueError(f"{context.name} does not work over {listen.transport}")
        listener.setServiceParent(instance)


def _sender(
    sender: type[Sender], context: Context[Any, Any], listen: Listen
) -> Callable[[Entrance], Sender]:
    def make(_: Entrance) -> Sender:
        return sender(context, (listen.host, listen.port), partial(_aim, listen))

    return make


def _aim(listen: Listen, port: DatagramPort) -> None:
    aim(port.socket, listen)


def make_instance(settings: InstanceSettings, host: Host) -> InstanceService:
    """The service of one instance, its listeners in it, nothing bound yet."""
    guard = Guard(settings.name, settings.limits, host.reactor, host.udp_ports)
    context: Context[Any, Any] = Context(
        settings.name, settings.options, settings.limits, guard, host
    )
    kind = settings.kind
    instance = InstanceService(context, kind.shared)
    add_listeners(instance, settings.listen, kind.stream, kind.datagram, kind.sender)
    return instance
