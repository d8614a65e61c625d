"""Listening for connections, over TCP, TLS or a Unix socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import LogLevel

from sockd import events
from sockd.access.reasons import Reason
from sockd.listen.listen import Listen
from sockd.listen.socket_terms import Taken
from sockd.listen.sockets import ListenError, sharing_ports
from sockd.net.certificate import Certificate
from sockd.net.context import Context
from sockd.net.entry import ConnectionFactory, Wrap
from sockd.net.listener import Listener
from sockd.net.stream import Stream
from sockd.reactor.local import adopt_local_port


class StreamListener(Listener):
    """Connections over TCP, TLS or a Unix socket."""

    def __init__(
        self,
        context: Context[Any, Any],
        listen: Listen,
        is_required: bool,
        stream: type[Stream],
    ) -> None:
        super().__init__(context, listen, is_required)
        self.certificate: Certificate | None = None
        self._stream = stream
        self._factory: ConnectionFactory | None = None
        self._last_moment: IDelayedCall | None = None
        """When an address that is drained is entered no more."""

    def prepare(
        self, taken_over: Taken | None = None, beside: Sequence[socket.socket] = ()
    ) -> None:
        super().prepare(taken_over, beside)
        if self._problem is None:
            try:
                self.certificate = self._load(self.listen)
            except ListenError as error:
                self.close()
                if error.is_fatal(is_required=self._is_required):
                    raise
                self._problem = error

    def adopt(self, sock: socket.socket) -> Any:
        if self.certificate is None:
            self.certificate = self._load(self.listen)
        self._factory = factory = ConnectionFactory(
            self.context, self._stream, self.entrance, proxies=self.listen.proxies
        )
        self._stream.prepare(self.context, sock, self.entrance)
        reactor, terms = self.context.world.reactor, self.listen.terms
        if sock.family == socket.AF_UNIX:
            port = adopt_local_port(reactor, sock, factory, terms.backlog)
        else:
            with sharing_ports(sock, self._beside):  # to listen is to ask for the port once more
                sock.listen(terms.backlog)  # one that was taken over has another queue
            port = reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
        sock.close()  # the port has a duplicate
        factory.wrap = self._wrap(port)
        if self.certificate is not None:
            self.certificate.watch()
        return port

    def released(self) -> None:
        if self.certificate is not None:
            self.certificate.stop()
            self.certificate = None
        self._stay_no_longer()
        self._factory = None

    def leaves(self) -> None:
        clock, drain = self.context.clock, self.context.limits.drain
        self._last_moment = clock.callLater(drain, self._stay_no_longer)

    def hasten(self) -> None:
        self._stay_no_longer()
        super().hasten()

    def when_entered(self) -> Deferred[None]:
        return succeed(None) if self._factory is None else self._factory.when_entered()

    def _stay_no_longer(self) -> None:
        """Let nobody in any more who has yet to say, in a proxy's header, who he is."""
        call, self._last_moment = self._last_moment, None
        if call is not None and call.active():
            call.cancel()
        if self._factory is not None:
            self._factory.turn_away()

    def empty(self) -> None:
        for _ in range(self.listen.terms.backlog):  # at least one is let in each time
            if self.is_empty:
                break
            self.port.doRead()

    def shut(self) -> None:
        self.port.stopReading()
        # it would go on listening until it is closed, in the next turn, and reset who comes; where
        # another has the same socket, who comes from now on waits there
        if not (self.is_managers or self.is_handed_over):
            self.port.socket.shutdown(socket.SHUT_RDWR)

    def change(self, listen: Listen) -> Callable[[], None]:
        certificate = self.certificate
        if self.is_listening and listen.terms.tls != self.listen.terms.tls:
            certificate = self._load(listen)
        return partial(self._change, super().change(listen), certificate)

    def use(self, context: Context[Any, Any]) -> None:
        super().use(context)
        if self._factory is not None:
            self._factory.context = context

    def _change(self, rest: Callable[[], None], certificate: Certificate | None) -> None:
        rest()
        old, self.certificate = self.certificate, certificate
        transport, proxies = self.listen.transport, self.listen.proxies
        self.entrance = evolve(self.entrance, transport=transport, is_proxied=bool(proxies))
        if self._factory is None:
            return
        if old is not certificate and old is not None:
            old.stop()
        if old is not certificate and certificate is not None:
            certificate.watch()
        self._factory.entrance = self.entrance
        self._factory.wrap = self._wrap(self.port)
        self._factory.believe(self.listen.proxies)

    def _wrap(self, port: Any) -> Wrap | None:
        """What puts a service's protocol into TLS here."""
        if self.certificate is None:
            return None
        # bytes that came behind a proxy's header were read already: OpenSSL cannot read them
        on_socket = getattr(port, "may_secure", False) and not self.listen.proxies
        return self.certificate.wrap_on_socket if on_socket else self.certificate.wrap

    def _load(self, listen: Listen) -> Certificate | None:
        if not listen.terms.key:
            return None
        try:
            return Certificate(listen.terms, self.context.world, self._tell_certificate)
        except ValueError as error:
            raise ListenError(listen, str(error)) from None

    def _tell_certificate(self, reason: Reason, level: LogLevel) -> None:
        name, local = self.context.name, self.entrance
        events.emit("certificate", level=level, service=name, local=local, reason=reason)
