"""Probes: what is sent to be echoed, so that an answer tells which probe it answers.

A probe is a session's token, 8 bytes; a sequence number, 64 bits; the number of the try, 16 bits,
from 1 on; then a pattern up to the size that is wanted. Numbers are big-endian. Which part of the
pattern stands there depends on the sequence number and the try, so that a bit that is changed in
either is seen as well as one in the pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import cache, lru_cache
from hashlib import shake_128
from struct import Struct

TOKEN_BYTES = 8
"""Of a session's token: another session has the same by a chance of 1 in 2^64."""
SEQUENCES = 1 << 64
"""Sequence numbers: after the last comes 0."""
LAST_ATTEMPT = 0xFFFF
"""The greatest number of a try."""
_HEAD = Struct("!8sQH")
_PATTERN_LEAST = 2
"""Bytes of the pattern at least: no two of the places where it may begin have the same two."""
SMALLEST = _HEAD.size + _PATTERN_LEAST
"""Bytes of the smallest probe."""
LARGEST = 65_535
"""Bytes of the largest: more than any datagram carries."""
_LAST_SEQ = SEQUENCES - 1
_PLACES = 251
"""Where the pattern may begin: a prime, so that one changed bit leads to another place."""


class Verdict(IntEnum):
    """What bytes that came turn out to be."""

    OURS = 0
    """Of this session, byte for byte as a probe of that number is sent."""
    FOREIGN = 1
    """Of another session, or of none: another token, or too short to have one."""
    CORRUPT = 2
    """Of this session, but not what it sends: changed, cut or longer."""


OURS = Verdict.OURS
_FOREIGN = (Verdict.FOREIGN, 0, 0)
_CORRUPT = (Verdict.CORRUPT, 0, 0)


@cache
def _pattern() -> bytes:
    """Bytes that no link compresses, which are the same in every session."""
    return shake_128(b"sockd probe").digest(LARGEST + _PLACES)


@lru_cache(maxsize=2)  # a run has one size; the longest take 16 MB, cut beforehand
def _tails(size: int) -> Sequence[bytes]:
    """What stands behind the head of a probe, by the place where the pattern begins."""
    pattern = _pattern()
    return [pattern[place : place + size] for place in range(_PLACES)]


class ProbeFormat:
    """The probes of one session, all of one size: writes and reads them.

    Raises ValueError for a token or a size that cannot be. Whether a number was sent yet is for
    the reader to know.
    """

    __slots__ = ("_tails", "size", "token")

    def __init__(self, token: bytes, size: int = SMALLEST) -> None:
        if len(token) != TOKEN_BYTES:
            raise ValueError(f"a token has {TOKEN_BYTES} bytes, not {len(token)}")
        if not SMALLEST <= size <= LARGEST:
            raise ValueError(f"a probe has {SMALLEST} to {LARGEST} bytes, not {size}")
        self.token = token
        self.size = size
        self._tails = _tails(size - _HEAD.size)

    def encode(self, seq: int, attempt: int = 1) -> bytes:
        """The payload of a probe; `seq` is below `SEQUENCES`."""
        return _HEAD.pack(self.token, seq, attempt) + self._tails[(seq + attempt) % _PLACES]

    def encode_many(self, first: int, count: int) -> list[bytes]:
        """The payloads of `count` probes from number `first` on, of their first try."""
        pack, token, tails = _HEAD.pack, self.token, self._tails
        numbers = [number & _LAST_SEQ for number in range(first, first + count)]
        return [pack(token, seq, 1) + tails[(seq + 1) % _PLACES] for seq in numbers]

    def read(self, data: bytes) -> tuple[Verdict, int, int]:
        """What came: the verdict, and of our own the sequence number and the try (else 0)."""
        if len(data) != self.size:
            return _CORRUPT if data[:TOKEN_BYTES] == self.token else _FOREIGN
        token, seq, attempt = _HEAD.unpack_from(data)
        if token != self.token:
            return _FOREIGN
        if not data.endswith(self._tails[(seq + attempt) % _PLACES]):
            return _CORRUPT
        return (OURS, seq, attempt)

    def head(self, data: bytes) -> tuple[int, int] | None:
        """The sequence number and the try that the beginning of a probe of this session tells.

        For errors of the network, which quote the beginning of what was sent: nothing else is
        looked at. None where the quotation is too short, or of another session.
        """
        if len(data) < _HEAD.size or data[:TOKEN_BYTES] != self.token:
            return None
        _, seq, attempt = _HEAD.unpack_from(data)
        return seq, attempt


class ProbeStream:
    """Probes of one size out of a stream of bytes that come in any pieces.

    It holds less than a probe between two calls. What a server adds or leaves out shifts all that
    follows: that reads as foreign.
    """

    __slots__ = ("_rest", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest = b""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bytes that have come; the probes that they complete, in order."""
        data = self._rest + data
        size = self.size
        end = len(data) - len(data) % size
        self._rest = data[end:]
        return (data[start : start + size] for start in range(0, end, size))
