"""Where the records of TLS end in what a peer sends: their headers are readable without the key."""

from __future__ import annotations

HEADER_BYTES = 5
"""A record's type, its version, and in two bytes how long it is (RFC 8446, 5.1)."""


class Records:
    """Follows a stream of records, piece by piece. Nothing is judged: that is OpenSSL's."""

    __slots__ = ("_header", "_missing")

    def __init__(self) -> None:
        self._missing = 0  # bytes of the present record that have not come yet
        self._header = b""  # what has come of a header that is not whole

    @property
    def are_whole(self) -> bool:
        """Whether what has been passed ends with a record."""
        return not (self._missing or self._header)

    def advance(self, data: bytes, start: int, stop: int, most: int) -> tuple[int, int]:
        """Pass over `data` from `start` until `stop`, or until so many records have ended.

        Returns where that is, and how many have ended.
        """
        ended = 0
        while start < stop and ended < most:
            if self._missing:
                length = self._missing
            elif not self._header and start + HEADER_BYTES <= stop:
                length = data[start + 3] << 8 | data[start + 4]
                start += HEADER_BYTES
            else:
                lacking = HEADER_BYTES - len(self._header)
                more = data[start : min(start + lacking, stop)]
                self._header += more
                start += len(more)
                if len(more) < lacking:
                    break
                length = self._header[3] << 8 | self._header[4]
                self._header = b""
            passed = min(length, stop - start)
            start += passed
            self._missing = length - passed
            ended += not self._missing
        return start, ended
