"""Listen strings become Twisted services: one for each address of an instance.

Each binds in `privilegedStartService`, before root is given up, and fails there, loudly. An
instance (`InstanceService`) is the parent of its listeners and of what its connections share.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.limits import Limits
from sockd.access.peer import Peer, peer_of
from sockd.access.prefixes import matches, parse_prefix
from sockd.access.reasons import Reason, because
from sockd.listen.sockets import ListenError, bound, file_identity, unlink_own, widen
from sockd.listen.strings import Listen
from sockd.net import tls
from sockd.net.context import Context
from sockd.net.proxy import ProxyHeader
from sockd.net.stream import Stream
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.local import adopt_local_port

RETRY_SECONDS = 30.0
"""Between two tries to bind an address that may be missing."""


def is_fatal(error: ListenError, limits: Limits) -> bool:
    """Whether a start fails with it; else the address is skipped, or tried again later."""
    if error.listen.transport == "multicast" or not limits.required:
        return False
    return not (error.listen.optional and error.no_such_address)


class Listener(Service):
    """An address of an instance: binds when the daemon starts, lets go when it stops."""

    def __init__(self, context: Context[Any, Any], listen: Listen) -> None:
        self.context = context
        self.listen = listen
        self.address = listen.address
        path = listen.address if listen.systemd else listen.path
        self._local = Entrance(listen.transport, listen.host, listen.port, path)
        self.port: Any = None
        self._retry: IDelayedCall | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether the address is bound."""
        return self.port is not None

    def privilegedStartService(self) -> None:
        """Bind. Raises ListenError where the address is required and cannot be had."""
        super().privilegedStartService()
        try:
            self._bind()
        except ListenError as error:
            if is_fatal(error, self.context.limits):
                raise
            if self.listen.optional and error.no_such_address:
                self._report("skipped", reason=because("listen_error", detail=error.why))
            else:
                self._try_later(error)

    def stopService(self) -> Deferred[Any] | None:
        """Let go of the address. Returns a Deferred where the port closes later."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        port, self.port = self.port, None
        if port is None:
            return None
        self.released()
        try:
            unlink_own(self.listen.path, self._identity)
        except OSError as error:  # the user that was changed to may not write in the directory
            self._report("skipped", reason=because("file_left", detail=error.strerror))
        return maybeDeferred(port.stopListening)

    def adopt(self, sock: socket.socket) -> Any:
        """Listen on a bound socket; returns the port."""
        raise NotImplementedError

    def released(self) -> None:
        """The port is about to close."""

    def entrance(self, sock: socket.socket) -> Entrance:
        """What a bound socket is to those who come in by it."""
        transport = self.listen.transport
        if sock.family == socket.AF_UNIX:
            return Entrance(transport, path=self.listen.path)
        host, port = sock.getsockname()[:2]
        return Entrance(transport, host, port, is_wildcard=host in ("0.0.0.0", "::"))

    def _bind(self) -> None:
        sock = bound(self.listen)
        if self.listen.path:
            self._identity = file_identity(self.listen.path)
        if (
            not self.listen.path
            and self.listen.transport != "multicast"
            and not self.listen.systemd
        ):
            host, number = sock.getsockname()[:2]
            self.address = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        try:
            self.port = self.adopt(sock)
        except OSError as error:  # descriptors have run out
            sock.close()
            self.released()
            unlink_own(self.listen.path, self._identity)
            raise ListenError(self.listen, error.strerror or str(error)) from None
        if self.listen.transport != "multicast":
            self._local = self.entrance(sock)
        events.emit("listening", service=self.context.name, local=self._local)

    def _try_later(self, error: ListenError) -> None:
        reason = because("listen_error", detail=error.why)
        self._report("retry", reason=reason, seconds=RETRY_SECONDS)
        self._retry = self.context.clock.callLater(RETRY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        try:
            self._bind()
        except ListenError as error:
            self._try_later(error)

    def _report(self, event: str, **fields: Any) -> None:
        events.warn(event, service=self.context.name, local=self._local, **fields)


NOWHERE = Entrance("tcp")
"""Where a test has no address."""


class Door(Factory):
    """Lets peers in: the guard first, then the proxy's header, then TLS, then the service."""

    noisy = False

    def __init__(
        self,
        context: Context[Any, Any],
        stream: Callable[[Context[Any, Any], Peer, Entrance], Stream],
        wrap: Callable[[IProtocol], IProtocol] | None = None,
        proxies: tuple[str, ...] = (),
        entrance: Entrance = NOWHERE,
    ) -> None:
        self.context = context
        self._entrance = entrance
        self._stream = stream
        self._wrap = wrap
        self._waiting = 0
        self._proxies = tuple(parse_prefix(prefix) for prefix in proxies)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Twisted: the protocol for a peer, or None, which closes the connection."""
        peer = peer_of(addr)
        if not self._proxies:
            return self.admit(peer)
        if not matches(self._proxies, peer.host):
            self.context.guard.refuse(peer, because("unlisted_proxy"))
            return None
        if self._waiting >= self.context.limits.max_connections:
            self.context.guard.refuse(peer, because("proxy_queue", limit=self._waiting))
            return None
        self._waiting += 1
        return ProxyHeader(
            peer,
            self.admit,
            self.context.guard.refuse,
            self.context.clock,
            self.context.limits.handshake_timeout,
            self._waited,
        )

    def _waited(self) -> None:
        self._waiting -= 1

    def admit(self, peer: Peer) -> IProtocol | None:
        """The protocol for a peer that the guard lets in."""
        guard = self.context.guard
        # a local peer's user is known only once it is connected: its protocol asks the guard
        if peer.host and (rule := guard.refusal(peer)) is not None:
            guard.refuse(peer, rule)
            return None
        protocol: Any = self._stream(self.context, peer, self._entrance)
        return protocol if self._wrap is None else self._wrap(protocol)


class StreamListener(Listener):
    """Connections over TCP, TLS or a Unix socket."""

    def __init__(self, context: Context[Any, Any], listen: Listen, stream: type[Stream]) -> None:
        super().__init__(context, listen)
        self._stream = stream
        self._connections: tls.Connections | None = None
        self._files: tls.Files | None = None
        self._check: LoopingCall | None = None
        self._complaint = ""

    def adopt(self, sock: socket.socket) -> Any:
        wrap = None
        if self.listen.transport == "tls":
            try:
                wrap = self._start_tls()
            except (ValueError, OSError) as error:
                sock.close()
                raise ListenError(self.listen, str(error)) from None
        door = Door(self.context, self._stream, wrap, self.listen.proxies, self.entrance(sock))
        with sock:  # the port has a duplicate
            reactor, listen = self.context.host.reactor, self.listen
            if sock.family == socket.AF_UNIX:
                return adopt_local_port(reactor, sock, door, listen.mode, listen.backlog)
            return reactor.adoptStreamPort(sock.fileno(), sock.family, door)

    def released(self) -> None:
        if self._check is not None:
            self._check.stop()
            self._check = None

    def _start_tls(self) -> Callable[[IProtocol], IProtocol]:
        self._files = tls.stamps(self.listen)
        self._connections = tls.Connections(tls.load(self.listen))
        self._check = LoopingCall(self.check_certificate)
        self._check.clock = self.context.clock
        self._check.start(self.context.host.certificate_check, now=False)
        return tls.TLSFactory(self._connections, self.context.clock).wrap

    def check_certificate(self) -> Deferred[None]:
        """Look whether the certificate's files have changed; bad ones leave the old in use."""
        pool = self.context.host.reactor.getThreadPool()
        known = self._files

        def look() -> tuple[tls.Files, Any] | None:
            found = tls.stamps(self.listen)
            return None if found == known else (found, tls.load(self.listen))

        done = deferToThreadPool(self.context.host.reactor, pool, look)
        return done.addCallbacks(self._use_certificate, self._keep_certificate)

    def _use_certificate(self, found: tuple[tls.Files, Any] | None) -> None:
        if found is not None and self._connections is not None:
            self._files, self._connections.context = found
            self._complaint = ""
            self._certificate(because("certificate_changed"))

    def _keep_certificate(self, failure: Failure) -> None:
        failure.trap(ValueError, OSError)
        why = failure.getErrorMessage()
        if why != self._complaint:
            self._complaint = why
            self._certificate(because("certificate_kept", detail=why), LogLevel.warn)

    def _certificate(self, reason: Reason, level: LogLevel = LogLevel.info) -> None:
        name, local = self.context.name, self._local
        events.emit("certificate", level=level, service=name, local=local, reason=reason)


class DatagramListener(Listener):
    """Datagrams over UDP or a Unix socket, or what is sent to a multicast group."""

    def __init__(
        self,
        context: Context[Any, Any],
        listen: Listen,
        protocol: Callable[[Entrance], DatagramProtocol],
    ) -> None:
        super().__init__(context, listen)
        self._protocol = protocol
        self._own_port: int | None = None

    def adopt(self, sock: socket.socket) -> Any:
        host = self.context.host
        wanted = self.context.limits.receive_buffer
        given = widen(sock, wanted)
        if given < wanted and "receive_buffer" not in host.warned:
            host.warned.add("receive_buffer")
            reason = because("receive_buffer", given=given, wanted=int(wanted))
            events.warn("warning", service=self.context.name, reason=reason)
        port = DatagramPort(sock, self._protocol(self.entrance(sock)), host.reactor)
        if self.listen.transport in ("udp", "multicast"):
            self._own_port = sock.getsockname()[1]
            host.udp_ports[self._own_port] += 1
        port.startListening()
        return port

    def released(self) -> None:
        if self._own_port is not None:
            ports = self.context.host.udp_ports
            ports[self._own_port] -= 1
            if not ports[self._own_port]:
                del ports[self._own_port]
            self._own_port = None
