"""An urgent byte that its peer is told of though it reads nothing.

An old client that was interrupted reads no more until it is told of the byte that comes back. Then
its buffer is full, and ours: the kernel takes no urgent byte before the peer reads, and it tells of
none that is more than 65,535 bytes ahead of what the peer has taken (the field of TCP's header has
16 bits). So little is given to the kernel that it has not sent, and what it was not given is not
sent at all: the peer drops all that comes before the byte.
"""

from __future__ import annotations

import socket
from typing import Any

from sockd.net.urgent import BYTE
from sockd.net.urgent_transport import Urgent

MOST_AT_ONCE = 16 * 1024
"""Bytes that the kernel is given with one call."""
MOST_UNSENT = 2 * MOST_AT_ONCE
"""Bytes that the kernel may have and not have sent when it is given more: with those, and what is
written without waiting, far fewer than 65,535. More is no faster."""
_TCP_NOTSENT_LOWAT = 25
"""linux/tcp.h; Python has a name for it since 3.12."""
_UNBOUNDED = 0


class UrgentAhead(Urgent):
    """Urgent data of a connection whose client drops what comes before an urgent byte."""

    def __init__(self, transport: Any, *arguments: Any) -> None:
        super().__init__(transport, *arguments)
        transport.SEND_LIMIT = MOST_AT_ONCE
        self._bound(MOST_UNSENT)

    def send_instead(self, byte: bytes = BYTE) -> int:
        """Send an urgent byte in place of what waits to be sent; how many bytes that were."""
        transport = self._transport
        dropped = 0 if self._marks else self._waiting  # not an urgent byte that waits
        if dropped:
            transport.dataBuffer, transport.offset = b"", 0
            transport._tempDataBuffer, transport._tempDataLen = [], 0
        self._bound(_UNBOUNDED)  # the bound is for urgent bytes, too
        self.send(byte)
        self._bound(MOST_UNSENT)
        return dropped

    def _bound(self, most: int) -> None:
        if not self._is_over:
            handle = self._transport.getHandle()
            handle.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, most)
