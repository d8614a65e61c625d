"""Line ends: LF and CRLF in, CRLF out."""

from __future__ import annotations


class CrlfEnds:
    """Turns the line ends of a stream into CRLF, wherever its pieces are cut."""

    def __init__(self) -> None:
        self._held = b""

    def convert(self, data: bytes) -> bytes:
        """The next piece, converted; a CR at its end is held back until what follows is known."""
        data = self._held + data
        self._held = b"\r" if data.endswith(b"\r") else b""
        if self._held:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def rest(self) -> bytes:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held
