"""The ways to a server: datagrams, groups, a connection. Each hands on whole events."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.client.asking import Asking
from sockd.client.errors import ClientError
from sockd.client.net.arrivals import Came
from sockd.client.net.datagrams import Datagrams, open_group, open_host, open_path
from sockd.client.net.dial import dial
from sockd.client.net.icmp import NetworkError
from sockd.client.net.resolve import look_up
from sockd.client.net.streams import Stream
from sockd.client.targets import Target, Transport
from sockd.formats.chat.events import MAX_EVENT
from sockd.formats.chat.texts import Group
from sockd.formats.frames import FrameBuffer, frame
from sockd.reactor.clocks import ClockReading
from sockd.reactor.sockaddr import Address

Heard = Callable[[bytes], None]
Told = Callable[[str], None]
HeardInGroup = Callable[[bytes, str], None]
"""An event, and the host that it is from."""


class Link(Protocol):
    """A way to the server."""

    host: str
    """The server's address; empty where no groups are heard beside it."""

    def send(self, data: bytes) -> None:
        """One event. It may be lost."""

    def close(self) -> None:
        """Nothing is sent or heard any more."""


class DatagramLink:
    """By datagrams, to one address: what others send to our port is not heard."""

    def __init__(
        self,
        reactor: Any,
        address: Address,
        interface: str,
        heard: Heard,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refused` is called where the network says that nothing arrives."""
        self._heard = heard
        self._refused = refused
        self.host = address[0]
        self._datagrams = open_host(
            reactor, address, interface=interface, on_batch=self._came, on_error=self._failed
        )

    def send(self, data: bytes) -> None:
        """One event; what the kernel does not take is lost as if on the way."""
        self._datagrams.send_batch((data,))

    def close(self) -> None:
        """Close the socket."""
        self._datagrams.close()

    def _came(self, batch: list[Came], _: ClockReading) -> None:
        server = self._datagrams.address
        for data, sender, *_rest in batch:
            if sender == server:
                self._heard(data)

    def _failed(self, error: NetworkError) -> None:
        if error.means_undelivered:
            self._refused(str(error))


class LocalLink:
    """By a Unix datagram socket. `lost` is called once, when the server's has gone."""

    host = ""

    def __init__(self, reactor: Any, path: str, heard: Heard, lost: Told) -> None:
        """Raises as `open_path`."""
        self._reactor = reactor
        self._heard = heard
        self._lost: Told | None = lost
        self._path = path
        self._datagrams = open_path(reactor, path, on_batch=self._came)
        self._file = _file(path)

    def send(self, data: bytes) -> None:
        """One event; it is lost where the server's queue is full."""
        if self._lost is None:
            return
        is_other = _file(self._path) != self._file  # whose answers would not reach us
        if is_other or (self._datagrams.send_batch((data,)).refused and self._is_gone):
            lost = self._lost
            self.close()
            self._reactor.callLater(0, lost, "the server has closed its socket")

    @property
    def _is_gone(self) -> bool:
        return self._datagrams.last_errno not in (errno.EAGAIN, errno.ENOBUFS)

    def close(self) -> None:
        """Close the socket, and remove its file."""
        self._lost = None
        self._datagrams.close()

    def _came(self, batch: list[Came], _: ClockReading) -> None:
        for data, *_rest in batch:  # it is connected: nobody else can send to it
            self._heard(data)


def _file(path: str) -> tuple[int, int] | None:
    """What tells a file from another that has its name later."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Groups:
    """The groups of the channels that we are in, a socket each: one socket may join few, and what
    comes to a socket is then of its own group alone."""

    def __init__(self, reactor: Any, interface: str, heard: HeardInGroup) -> None:
        self._reactor = reactor
        self._interface = interface
        self._heard = heard
        self._port: int | None = None
        self._open: dict[Group, Datagrams] = {}
        self._wanted: dict[Group, None] = {}

    def listen(self, port: int) -> None:
        """Where all groups are heard from now on."""
        if port != self._port:
            for datagrams in self._open.values():
                datagrams.close()
            self._open.clear()
            self._port = port
            for group in tuple(self._wanted):
                self.join(group)

    def join(self, group: Group) -> None:
        """Hear one more. Raises ClientError."""
        self._wanted[group] = None
        if self._port is None or group in self._open:
            return
        self._open[group] = open_group(
            self._reactor, (str(group), self._port), interface=self._interface, on_batch=self._came
        )

    def leave(self, group: Group) -> None:
        """Hear one fewer."""
        self._wanted.pop(group, None)
        if (datagrams := self._open.pop(group, None)) is not None:
            datagrams.close()

    def close(self) -> None:
        """Hear none."""
        for datagrams in self._open.values():
            datagrams.close()
        self._open.clear()
        self._wanted.clear()

    def _came(self, batch: list[Came], _: ClockReading) -> None:
        for data, sender, *_rest in batch:
            self._heard(data, str(sender[0]))


class StreamLink:
    """By a connection. `lost` is called once, when it has ended and not by us."""

    host = ""

    def __init__(self, stream: Stream, heard: Heard, lost: Callable[[str], None]) -> None:
        self._stream = stream
        self._heard = heard
        self._lost = lost
        self._buffer = FrameBuffer(MAX_EVENT)
        self._reading = Deferred.fromCoroutine(self._read())
        self._reading.addErrback(self._failed)

    @classmethod
    async def open(
        cls, reactor: Any, target: Target, asking: Asking, heard: Heard, lost: Callable[[str], None]
    ) -> StreamLink:
        """Connect. Raises as `dial`."""
        return cls(await dial(reactor, target, asking), heard, lost)

    def send(self, data: bytes) -> None:
        """One event."""
        self._stream.write(frame(data))

    def close(self) -> None:
        """End the connection, once what was written is sent."""
        self._lost = lambda _: None
        self._stream.finish()
        self._reading.cancel()
        self._stream.close()

    async def _read(self) -> None:
        forever = 10.0**9
        while data := await self._stream.read(forever):
            self._buffer.feed(data)
            while self._buffer.has_request:
                self._heard(self._buffer.take())
            if self._buffer.fault:
                break
        self._stream.close()
        self._lost("the server has closed the connection")

    def _failed(self, failure: Failure) -> None:
        if isinstance(failure.value, ClientError):
            self._lost(str(failure.value))


async def open_link(
    reactor: Any, target: Target, asking: Asking, heard: Heard, refused: Told, lost: Told
) -> Link:
    """The way to a target. `refused`: the network says that datagrams do not arrive; `lost`: the
    connection has ended. Raises ClientError."""
    if target.transport.is_stream:
        return await StreamLink.open(reactor, target, asking, heard, lost)
    if target.transport is Transport.UNIXGRAM:
        return LocalLink(reactor, target.path, heard, lost)
    found = await look_up(reactor, target, asking)
    address = found.addresses[0].host, target.port
    return DatagramLink(reactor, address, asking.interface, heard, refused)
