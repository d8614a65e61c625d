"""One text: everything that a stream brings, to its end."""

from __future__ import annotations


class TextBuffer:
    """One whole text out of bytes that come in any pieces.

    `limit` is the most bytes of the text. A longer one is a fault, after which nothing is heard.
    """

    __slots__ = ("_has_ended", "_text", "fault", "limit")

    is_partial = False
    """A text is not a line: `text_timeout` holds for it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fault = ""
        """`max_text` after a text that was too long."""
        # not a list of pieces: a peer can send them a byte at a time
        self._text = bytearray()
        self._has_ended = False

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._text)

    @property
    def has_request(self) -> bool:
        """Whether the text is whole."""
        return self._has_ended

    @property
    def text(self) -> int:
        """1 while the text has begun and is not whole, else 0."""
        return int(bool(self._text) and not self._has_ended)

    def feed(self, data: bytes) -> None:
        """Bytes that have come."""
        if self.fault:
            return
        if len(self._text) + len(data) > self.limit:
            self.fault = "max_text"
            self.clear()
        else:
            self._text += data

    def end(self) -> None:
        """No more bytes come: the text is whole, an empty one too."""
        self._has_ended = not self.fault

    def take(self) -> bytes:
        """The text."""
        text = bytes(self._text)
        self.clear()
        return text

    def clear(self) -> None:
        """Forget what is held."""
        self._text.clear()
        self._has_ended = False
