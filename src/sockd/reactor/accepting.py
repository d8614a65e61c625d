"""Ports that accept connections in fewer steps than Twisted's."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.logger import Logger

from sockd.reactor.stream import Connection, LocalConnection

MORE_ACCEPTS = 20
"""How many connections more are accepted in the next pass, if as many as were expected came."""
MOST_ACCEPTS = 100
"""Connections accepted in one pass: some 3 ms, after which others have theirs."""
_log = Logger()


class _Accepts:
    """What a port of Twisted's does differently here: it accepts in fewer steps."""

    socket: socket.socket
    numberAccepts: int

    def doRead(self) -> None:
        """Accept those that wait: as many as came the last time, and more if there are more."""
        port: Any = self
        listening: Any = self.socket
        family, kind = int(listening.family), int(listening.type)
        for accepted in range(self.numberAccepts):
            try:
                # as `accept` does, without its look at each new socket
                descriptor, client = listening._accept()
            except BlockingIOError:
                self.numberAccepts = max(1, accepted)
                return
            except OSError:
                break
            serve(port, socket.socket(family, kind, 0, descriptor), client)
        else:
            self.numberAccepts = min(self.numberAccepts + MORE_ACCEPTS, MOST_ACCEPTS)
            return
        # Twisted knows what to do, above all where descriptors have run out
        with tcp._BuffersLogs(port._logger.namespace, port._logger.observer) as logger:
            clients = range(self.numberAccepts), self.socket, tcp._reservedFD
            for sock, client in tcp._accept(logger, *clients):
                serve(port, sock, client)


def serve(port: Any, sock: socket.socket, client: Any) -> None:
    """Begin to serve a connection that a port has accepted. Raises nothing: the port goes on."""
    try:
        if isinstance(client, tuple) and len(client) == 4:  # a name of IPv6 does not tell the scope
            host = socket.getnameinfo(client, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            client = (host, *client[1:])
        protocol = port.factory.buildProtocol(port._buildAddr(client))
        if protocol is not None:
            number = port.sessionno
            port.sessionno = number + 1
            made = port.transport(sock, protocol, client, port, number, port.reactor)
    except BaseException:  # noqa: BLE001 - as Twisted: a factory's fault costs the connection
        _log.failure("error in {factory}", factory=type(port.factory).__name__)
        protocol = None
    if protocol is None:
        sock.close()
    else:
        start(made, protocol)


def start(connection: Any, protocol: Any) -> None:
    """Tell a protocol of its connection, and go on with it."""
    try:
        protocol.makeConnection(connection)
    except BaseException:  # noqa: BLE001 - as Twisted: it is logged, and the connection goes on
        _log.failure("error in {protocol}", protocol=type(protocol).__name__)
    try:
        connection.begin()
    except BaseException:  # noqa: BLE001 - it is over already, and its protocol was told
        _log.failure("error in {protocol}", protocol=type(protocol).__name__)


class Port(_Accepts, tcp.Port):
    """Twisted's own TCP port, with quicker connections."""

    transport = Connection
    may_secure = True
    """Whether its connections can speak TLS themselves."""


class LocalPort(_Accepts, unix.Port):
    """Twisted's own Unix port, with quicker connections."""

    transport = LocalConnection
