"""One socket on its way to one address."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.client.net.addresses import canonical, full
from sockd.client.net.interfaces import Way, use_device
from sockd.client.net.loop import Reactor
from sockd.client.net.resolve import Address

RETRY = 0.01
"""Seconds until a Unix socket whose queue is full is tried again: the kernel tells nobody when
there is room."""


@implementer(IReadWriteDescriptor)
@define(eq=False)
class _Connecting:
    """Waits until a socket is connected, or is not."""

    reactor: Reactor
    socket: socket.socket
    done: Deferred[None] = field(init=False)
    _is_over: bool = field(default=False, init=False)

    def begin(self) -> Deferred[None]:
        self.done = Deferred(lambda _: self._stop())
        self.reactor.addWriter(self)
        return self.done

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "sock"

    def doRead(self) -> None:
        """It is not watched for that."""

    def doWrite(self) -> None:
        self._look()

    def connectionLost(self, reason: Failure) -> None:
        # a reactor may tell of an error so, instead of `doWrite`
        self._look(may_wait=False)

    def _look(self, may_wait: bool = True) -> None:
        if self._is_over:
            return
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            try:
                self.socket.getpeername()
            except OSError as error:
                if may_wait and error.errno == errno.ENOTCONN:
                    return  # not yet
                number = error.errno or errno.EIO
        self._stop()
        if number:
            self.done.errback(OSError(number, os.strerror(number)))
        else:
            self.done.callback(None)

    def _stop(self) -> None:
        self._is_over = True
        self.reactor.removeWriter(self)


async def connect_to(reactor: Reactor, address: Address, way: Way) -> socket.socket:
    """A TCP socket that is connected, from an interface or an address of ours.

    Small writes go out at once. Raises OSError, or UsageFault for the way.
    """
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if way.interface is not None:
            use_device(sock, way.interface)
        if way.source:
            sock.bind(full((canonical(way.source, way.interface), 0)))
        try:
            sock.connect(address.sockaddr)
        except BlockingIOError:
            await _Connecting(reactor, sock).begin()
    except BaseException:  # a cancellation too
        sock.close()
        raise
    return sock


async def connect_to_path(reactor: Reactor, path: str) -> socket.socket:
    """A Unix socket that is connected. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            with suppress(BlockingIOError):
                sock.connect(path)
                return sock
            await deferLater(reactor, RETRY)  # type: ignore[arg-type]  # all that it needs
    except BaseException:  # a cancellation too
        sock.close()
        raise
