"""Frames: messages in a stream, each behind its length, 16 bits, big-endian."""

from __future__ import annotations

LENGTH_BYTES = 2
LONGEST = 0xFFFF
"""Bytes of the longest message that the length can tell."""


def frame(message: bytes) -> bytes:
    """A message behind its length. Raises ValueError where the length cannot tell it."""
    if len(message) > LONGEST:
        raise ValueError(f"a frame holds {LONGEST} bytes, not {len(message)}")
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


class FrameBuffer:
    """Whole messages out of bytes that come in any pieces.

    `limit` is the most bytes of a message. A length above it is a fault: what came before it can
    still be taken, and nothing after it is heard. A message that the end cuts off is dropped.
    """

    __slots__ = ("_data", "_start", "fault", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault = ""
        """`max_frame` after a length that was too great."""
        self._data = b""
        self._start = 0
        """How much is taken: to cut that off each time would copy the rest."""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._data) - self._start

    @property
    def has_request(self) -> bool:
        """Whether there is a whole message to take."""
        size = self._size()
        return size is not None and len(self) >= LENGTH_BYTES + size

    @property
    def is_partial(self) -> bool:
        """Whether a message has begun whose end has not come."""
        return bool(self) and not self.has_request

    def feed(self, data: bytes) -> None:
        """Bytes that have come. Whoever takes slower than they come must not feed for a while."""
        if self.fault:
            return
        self._data = self._data[self._start :] + data
        self._start = 0
        self._look()

    def end(self) -> None:
        """No more bytes come."""
        if not self.has_request:
            self.clear()

    def take(self) -> bytes:
        """The next message."""
        begin = self._start + LENGTH_BYTES
        end = begin + (self._size() or 0)
        message = self._data[begin:end]
        self._start = end
        self._look()
        return message

    def clear(self) -> None:
        """Forget what is held."""
        self._data = b""
        self._start = 0

    def _size(self) -> int | None:
        """Bytes of the next message, once its length is here."""
        if len(self) < LENGTH_BYTES:
            return None
        return int.from_bytes(self._data[self._start : self._start + LENGTH_BYTES], "big")

    def _look(self) -> None:
        """Whether the next length is one that is taken."""
        size = self._size()
        if size is not None and size > self.limit:
            self.fault = "max_frame"
            self.clear()
