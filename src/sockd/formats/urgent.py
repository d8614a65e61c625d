"""What the service `urgent` reports, a line a read; and what its client sends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, product
from string import ascii_lowercase

from sockd.formats.text import escape


class UrgentByte(bytes):
    """One that is urgent, where ordinary ones are told of too."""

    __slots__ = ()


def normal_data(data: bytes) -> str:
    """What is said of a read: how many bytes there were, and which.

    Programs match `bytes`, which stands behind a 1 as well. A line end that is the last of the
    data is counted, and not shown.
    """
    return f"got {len(data)} bytes of normal data: {escape(without_line_end(data))}"


def urgent_data(byte: bytes) -> str:
    """What is said of an urgent byte."""
    return f"got 1 byte of urgent data: {escape(byte)}"


def without_line_end(data: bytes) -> bytes:
    """The data without an LF or CRLF that is the last of it."""
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data


def short_lines() -> Iterator[bytes]:
    """Lines that differ, without end: aa, ab, and so on to zz, then aaa."""
    for size in count(2):
        for letters in product(ascii_lowercase, repeat=size):
            yield "".join(letters).encode() + b"\n"
