"""The time as a 32-bit number of seconds since 1900, big-endian (RFC 868)."""

from __future__ import annotations

import struct

SECONDS_1900_TO_1970 = 2_208_988_800
"""The 70 years from the protocol's epoch to Unix's (RFC 868)."""
_WRAPS_AFTER = 2**32
_NUMBER = struct.Struct("!I")
SIZE = _NUMBER.size
"""Bytes of a time."""


def time_since_1900(unix_seconds: float) -> bytes:
    """The four bytes for a Unix time in seconds, modulo 2^32."""
    return _NUMBER.pack(int(unix_seconds // 1 + SECONDS_1900_TO_1970) % _WRAPS_AFTER)


def unix_time(number: bytes, near: float) -> int:
    """The Unix time in seconds that four bytes mean: of those possible, the one nearest to `near`.

    The number begins anew each 136 years, next in 2036. Raises ValueError for another length.
    """
    if len(number) != SIZE:
        raise ValueError(f"a time has {SIZE} bytes, not {len(number)}")
    seconds = int(_NUMBER.unpack(number)[0]) - SECONDS_1900_TO_1970
    return seconds + round((near - seconds) / _WRAPS_AFTER) * _WRAPS_AFTER
