"""A channel with urgent data: TCP without TLS, on Linux."""

from __future__ import annotations

import socket
from collections.abc import Callable

from attrs import define, field

from sockd.client.net.channels import MOST_READ, NO_SIGNAL, SocketChannel
from sockd.client.net.streams import Stream
from sockd.formats.urgent import UrgentByte
from sockd.net.urgent import BYTE, IS_HERE, UrgentSocket, UrgentWatch

__all__ = ["BYTE", "IS_HERE", "UrgentChannel", "write_urgent"]

MOST_AHEAD = 128 * 1024
"""Bytes that the kernel takes and cannot send yet. An urgent byte is told of when it has it: behind
megabytes, as it else takes, that comes too late on a slow way."""


def _nobody(_: bytes) -> None:
    """Nobody wants to be told of urgent bytes."""


@define(eq=False)
class UrgentChannel(SocketChannel):
    """A channel whose urgent bytes are noticed ahead of what was sent before them.

    They are no part of what its receiver is told, and are noticed while it is paused, too.
    """

    on_urgent: Callable[[bytes], object] = field(default=_nobody, init=False)
    """Gets each urgent byte. In it, what was sent before that can be dropped: `discard`."""
    descriptor: int = field(init=False)
    _urgent: UrgentSocket = field(init=False)
    _watch: UrgentWatch = field(init=False)
    _places: list[int] = field(factory=list, init=False)
    """Where in what waits to be sent the urgent bytes are."""

    def __attrs_post_init__(self) -> None:
        self.descriptor = self.socket.fileno()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_AHEAD)
        self._urgent = UrgentSocket(self.socket, self._told)
        self._watch = UrgentWatch(self.reactor)
        self._watch.add(self)

    # urgent data

    def send_urgent(self, byte: bytes = BYTE) -> None:
        """Send an urgent byte behind all that was written."""
        if self._is_closed or self._is_finishing or self.write_error is not None:
            return
        self._places.append(len(self._unsent))
        self.write(byte)

    def discard(self) -> int:
        """Drop what was sent before the urgent byte that is told of, and has not been received.
        How many bytes that were.
        """
        return self._urgent.discard()

    def look(self) -> None:
        """From the watch: an urgent byte may have come."""
        if not self._is_closed:
            self._urgent.look()

    # in place of a channel's own

    def close(self) -> None:
        """End it now; what waits is not sent."""
        if not self._is_closed:
            self._watch.remove(self)
        super().close()

    def _told(self, byte: bytes) -> None:
        self.on_urgent(byte)

    def _receive(self) -> bytes | None:
        return self._urgent.read(MOST_READ)

    def _send_some(self) -> int:
        place = self._places[0] if self._places else None
        if place == 0:
            if not self._urgent.send(bytes(self._unsent[:1])):
                raise BlockingIOError
            sent = 1
        elif place is None:
            return super()._send_some()
        else:
            sent = self.socket.send(self._unsent[:place], NO_SIGNAL)
        self._places = [place - sent for place in self._places if place >= sent]
        return sent


def write_urgent(stream: Stream) -> None:
    """Send an urgent byte on a stream that has an `UrgentChannel`, behind all that was written."""
    assert isinstance(stream.channel, UrgentChannel)
    stream.bytes_sent += 1
    if stream.on_write is not None:
        stream.on_write(UrgentByte(BYTE))
    stream.channel.send_urgent()
