"""Durations, sizes and rates as a person writes them: "2m", "64k", "50/s".

Each type checks itself when it is made, and its text reads back as the same value:
``parse(str(x)) == x``. What cannot be read raises ValueError with an example of what can.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Self

from attrs import field, frozen

LONGEST_DURATION = 36500 * 86400.0  # a century, in seconds: timers overflow above it
LARGEST_SIZE = 2**63 - 1  # what a file size or a socket option can hold
_LONGEST_TEXT = 400  # characters: room for the smallest float, no room for abuse

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_BYTES = {"g": 1 << 30, "m": 1 << 20, "k": 1 << 10, "": 1}

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in _MILLISECONDS))
_SIZE = re.compile(r"([0-9]{1,19})([kmg]?)", re.IGNORECASE)
_RATE = re.compile(rf"({_NUMBER})/(.+)")


def _unexpected(what: str, value: object) -> ValueError:
    shown = repr(value)
    return ValueError(f"expected {what}, got {shown if len(shown) <= 60 else shown[:57] + '...'}")


def _decimal(number: float) -> str:
    """The shortest plain decimal that reads back as this number: no exponent, no ".0"."""
    return format(Decimal(repr(float(number))), "f").removesuffix(".0")


class Duration(float):
    """A length of time in seconds, at most a century."""

    def __new__(cls, seconds: float) -> Self:
        if not 0 <= seconds <= LONGEST_DURATION:
            raise ValueError(f"a duration is 0 s to {LONGEST_DURATION:.0f} s, not {seconds!r}")
        return super().__new__(cls, seconds)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read "500ms", "5s", "2m", "1h30m", "1d", or a number of seconds."""
        wrong = _unexpected('a duration such as "30s" or "2m"', value)
        if isinstance(value, str):
            found = _DURATION.fullmatch(value) if 0 < len(value) <= _LONGEST_TEXT else None
            if found is None:
                raise wrong
            # Fractions, because sums of rounded floats would not read back as written.
            parts = zip(found.groups("0"), _MILLISECONDS.values(), strict=True)
            value = float(sum(Fraction(number) * scale for number, scale in parts) / 1000)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong
        if LONGEST_DURATION < value != math.inf:
            raise _unexpected('a duration of at most "36500d"', value)
        if not 0 <= value <= LONGEST_DURATION:
            raise wrong
        return cls(value)

    def __str__(self) -> str:
        milliseconds = round(Fraction(float(self)) * 1000)
        if milliseconds / 1000 != self:
            return f"{_decimal(self)}s"
        if not milliseconds:
            return "0s"
        texts, compound, rest = [], "", milliseconds
        for unit, scale in _MILLISECONDS.items():
            if milliseconds % scale == 0:
                texts.append(f"{milliseconds // scale}{unit}")
            count, rest = divmod(rest, scale)
            compound += f"{count}{unit}" if count else ""
        return min([*texts, compound], key=len)


class Size(int):
    """A number of bytes."""

    def __new__(cls, count: int) -> Self:
        if not 0 <= count <= LARGEST_SIZE:
            raise ValueError(f"a size is 0 to {LARGEST_SIZE} bytes, not {count!r}")
        return super().__new__(cls, count)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read "64k" (of 1024 bytes), "4m", "1g", "512", or a whole number of bytes."""
        wrong = _unexpected('a size such as "512", "64k" or "4m"', value)
        if isinstance(value, str):
            found = _SIZE.fullmatch(value)
            if found is None:
                raise wrong
            value = int(found[1]) * _BYTES[found[2].lower()]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SIZE:
            raise wrong
        return cls(value)

    def __str__(self) -> str:
        count = int(self)
        for unit, scale in _BYTES.items():
            if count and count % scale == 0:
                return f"{count // scale}{unit}"
        return "0"


def _is_count(_: object, __: object, count: float) -> None:
    if not (0 <= count < math.inf):
        raise ValueError(f"a rate counts 0 or more, not {count!r}")


def _is_span(_: object, __: object, span: float) -> None:
    if not (0 < span <= LONGEST_DURATION):
        raise ValueError(f"a rate is for a span above 0 s, not {span!r}")


@frozen
class Rate:
    """So many a span of time: `count` in `per` seconds."""

    count: float = field(converter=float, validator=_is_count)
    per: float = field(converter=float, validator=_is_span)

    @classmethod
    def parse(cls, value: object) -> "Rate":
        """Read "50/s", "10/m", "1/h", "2.5/s", "10/30s"."""
        if isinstance(value, Rate):
            return value
        wrong = _unexpected('a rate such as "50/s" or "10/m"', value)
        short = isinstance(value, str) and len(value) <= 2 * _LONGEST_TEXT
        found = _RATE.fullmatch(str(value)) if short else None
        if found is None:
            raise wrong
        count, span = found.groups()
        one = "1" if span in _MILLISECONDS else ""
        try:
            return cls(float(count), Duration.parse(one + span))
        except ValueError:
            raise wrong from None

    @property
    def per_second(self) -> float:
        return self.count / self.per

    def __str__(self) -> str:
        span = str(Duration(self.per))
        one = span.startswith("1") and span[1:] in _MILLISECONDS
        return f"{_decimal(self.count)}/{span[1:] if one else span}"
