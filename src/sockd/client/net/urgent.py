"""A connection that urgent bytes are sent on: TCP without TLS.

`sockd.net.urgent` says what urgent data is.
"""

from __future__ import annotations

from attrs import define, field

from sockd.client.net.channels import NO_SIGNAL, SocketChannel
from sockd.client.net.streams import Stream
from sockd.net.urgent import BYTE, OUT_OF_BAND


@define(eq=False)
class UrgentChannel(SocketChannel):
    """A channel that knows which of the bytes that wait are urgent."""

    _marks: list[int] = field(factory=list, init=False)
    """Bytes that wait up to each urgent byte that waits, that one included."""

    def send_urgent(self, byte: bytes = BYTE) -> None:
        """Send an urgent byte behind all that was written."""
        if not (self._is_closed or self._is_finishing or self.write_error):
            self._marks.append(len(self._unsent) + 1)
            self.write(byte)

    def _send_some(self, data: memoryview) -> int:
        if not self._marks:
            return SocketChannel._send_some(self, data)
        before = self._marks[0] - 1
        if before:
            sent = SocketChannel._send_some(self, data[:before])
        else:
            sent = self.socket.send(data[:1], NO_SIGNAL | OUT_OF_BAND)
        self._marks = [mark - sent for mark in self._marks if mark > sent]
        return sent


def send_urgent(stream: Stream, byte: bytes = BYTE) -> None:
    """Send an urgent byte on a connection that was dialled with an `UrgentChannel`."""
    channel = stream.channel
    assert isinstance(channel, UrgentChannel)
    stream.bytes_sent += len(byte)
    if stream.on_write is not None:
        stream.on_write(byte)
    channel.send_urgent(byte)
