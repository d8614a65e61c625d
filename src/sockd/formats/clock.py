"""Times of day as text, in a named zone or the local one."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sockd.formats.text import ctime

MAX_ZONE = 128
"""Characters of the longest zone name looked at; real ones have at most 32."""
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_CTIME = re.compile(rb"[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)

_NO_ZONE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Errors that say something of the name; others say something of the moment."""


class Zone(str):
    """The name of a time zone that exists, or nothing for the local one."""

    __slots__ = ("_held",)
    _held: ZoneInfo | None
    """Kept, so that it need not be read again: descriptors may be out by then."""

    @classmethod
    def parse(cls, value: object) -> Zone:
        """The zone of this name. Raises ValueError where there is none."""
        try:
            if not isinstance(value, str) or (value and not is_zone(value)):
                wanted = "expected one such as 'Europe/Warsaw'"
                raise ValueError(f"unknown time zone {value!r}, {wanted}")
            zone = cls(value)
            zone._held = _zone(value) if value else None
        except OSError as error:
            raise ValueError(f"time zone {value!r} cannot be read: {error.strerror}") from None
        return zone


def is_zone(name: str) -> bool:
    """Whether the zone database has a zone of this name. Raises OSError where that cannot be told,
    as while there are no descriptors left."""
    return _zone(name) is not None


@lru_cache(maxsize=64)  # which remembers no exception
def _zone(name: str) -> ZoneInfo | None:
    if len(name) > MAX_ZONE or not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, *_NO_ZONE):
        return None


def read_ctime(text: bytes) -> datetime:
    """The moment, in a zone that it does not say, of C's ctime without a newline.

    Raises ValueError where it is no such text, or names a day that never was.
    """
    found = _CTIME.fullmatch(text)
    if found is None or found[1] not in _MONTHS:
        raise ValueError("no time as C writes it")
    day, hour, minute, second, year = (int(part) for part in found.groups()[1:])
    moment = datetime(year, _MONTHS.index(found[1]) // 3 + 1, day, hour, minute, second)
    if ctime(moment).encode() != text:
        raise ValueError("another day of the week")
    return moment


def local_ctime(unix_seconds: float, zone: str = "") -> str:
    """C's ctime, without a newline, of a Unix time in seconds: in a zone, or the local one."""
    second = int(unix_seconds // 1)
    # without a zone, a moment in local time
    return ctime(datetime.fromtimestamp(second, _zone(zone) if zone else None))
