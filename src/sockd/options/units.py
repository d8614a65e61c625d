"""Durations, sizes and rates as a person writes them: "2m", "64k", "50/s".

One grammar for all three. A number, with a fraction or without one, and behind it a unit, with a
space between them or without one; upper or lower case is the same.

- A duration: `ms`, `s`, `m`, `h`, `d`, or words for them (`sec`, `seconds`, `min`, `hours` ...);
  without a unit, seconds. From the largest to the smallest several may follow each other: "1h30m",
  "1 hour 30 minutes".
- A size: `k`, `m`, `g`, each also with `B` or `iB` behind it, all of them powers of 1024: "4MB" is
  "4 MiB" is "4m"; without a unit, or with `B`, bytes.
- A rate: a count, `/` or `per`, and a unit of time or a duration: "50/s", "10 per minute", "3/30s".
- A pace, as a rate: a size for each span of time: "1k/m".

`m` is minutes in a duration and 1024² in a size. Where an option may have no limit it takes "off".

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
OFF = "off"
_LONGEST_TEXT = 400  # characters: room for the smallest float, no room for abuse

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_WORDS = {
    "d": "d|days?",
    "h": "h|hrs?|hours?",
    "m": "m|mins?|minutes?",
    "s": "s|secs?|seconds?",
    "ms": "ms|msecs?|milliseconds?",
}
_BYTES = {"g": 1 << 30, "m": 1 << 20, "k": 1 << 10, "": 1}

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_FLAGS = re.IGNORECASE | re.ASCII
_DURATION = re.compile(
    # a unit ends where the next number begins, or the text
    " ?".join(rf"(?:({_NUMBER}) ?(?:{words})(?![a-z]))?" for words in _WORDS.values()),
    _FLAGS,
)
_SIZE = re.compile(rf"({_NUMBER}) ?(?:(?:([kmg])(?:i?b)?)|b|bytes?)?", _FLAGS)
_PACE = re.compile(r"([^/]+?)(?: ?/ ?| per )(.+)", _FLAGS)
_RATE = re.compile(rf"({_NUMBER})(?: ?/ ?| per )(.+)", _FLAGS)


def _unexpected(what: str, value: object) -> ValueError:
    shown = repr(value)
    return ValueError(f"expected {what}, got {shown if len(shown) <= 60 else shown[:57] + '...'}")


def _decimal(number: float) -> str:
    """The shortest plain decimal that reads back as this number: no exponent, no ".0"."""
    return format(Decimal(repr(float(number))), "f").removesuffix(".0")


def _seconds(text: str) -> float | None:
    """The seconds that a text says; None where it says none."""
    if not 0 < len(text) <= _LONGEST_TEXT or text != text.strip():
        return None
    if re.fullmatch(_NUMBER, text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    # Fractions, because sums of rounded floats would not read back as written.
    parts = zip(found.groups("0"), _MILLISECONDS.values(), strict=True)
    return float(sum(Fraction(number) * scale for number, scale in parts) / 1000)


class Duration(float):
    """A length of time in seconds, at most a century."""

    _most = LONGEST_DURATION

    def __new__(cls, seconds: float) -> Self:
        if not (0 <= seconds <= LONGEST_DURATION or seconds == cls._most):
            raise ValueError(f"a duration is 0 s to {LONGEST_DURATION:.0f} s, not {seconds!r}")
        return super().__new__(cls, seconds)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read "500ms", "5s", "2m", "1h30m", "1 day", or a number of seconds."""
        wrong = _unexpected('a duration such as "30s", "2m" or "1d"', value)
        found = _seconds(value) if isinstance(value, str) else value
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise wrong
        if LONGEST_DURATION < found != math.inf:
            raise _unexpected('a duration of at most "36500d"', value)
        if not 0 <= found <= LONGEST_DURATION:
            raise wrong
        return cls(found)

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


class Timeout(Duration):
    """A duration after which something ends; `off`, an infinite one, where nothing does."""

    _most = math.inf

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what `Duration` reads, or "off"."""
        return cls(math.inf) if _is_off(value) else super().parse(value)

    def __str__(self) -> str:
        return OFF if self == math.inf else super().__str__()


def _is_off(value: object) -> bool:
    return isinstance(value, str) and value.lower() == OFF


class Size(int):
    """A number of bytes."""

    def __new__(cls, count: int) -> Self:
        if not 0 <= count <= LARGEST_SIZE:
            raise ValueError(f"a size is 0 to {LARGEST_SIZE} bytes, not {count!r}")
        return super().__new__(cls, count)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read "64k" (of 1024 bytes), "4 MB", "1.5g", "512", or a whole number of bytes."""
        wrong = _unexpected('a size such as "512", "64k" or "4m"', value)
        if isinstance(value, str):
            found = _SIZE.fullmatch(value) if len(value) <= _LONGEST_TEXT else None
            if found is None:
                raise wrong
            count = Fraction(found[1]) * _BYTES[(found[2] or "").lower()]
            value = int(count) if count.denominator == 1 else None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SIZE:
            raise wrong
        return cls(value)

    def __str__(self) -> str:
        count = int(self)
        for unit, scale in _BYTES.items():
            if count and count % scale == 0:
                return f"{count // scale}{unit}"
        return "0"


class SizeLimit(Size):
    """The most bytes that something may have; `off` where it may have any number."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what `Size` reads, or "off"."""
        return cls(LARGEST_SIZE) if _is_off(value) else super().parse(value)

    def __str__(self) -> str:
        return OFF if self == LARGEST_SIZE else super().__str__()


class Maximum(int):
    """The most that there may be of something; `off` where there may be any number."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a whole number, or "off"."""
        if _is_off(value):
            return cls(LARGEST_SIZE)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _unexpected('a whole number or "off"', value)
        return cls(min(value, LARGEST_SIZE))

    def __str__(self) -> str:
        return OFF if self == LARGEST_SIZE else str(int(self))


def _is_count(_: object, __: object, count: float) -> None:
    if not count >= 0:
        raise ValueError(f"a rate counts 0 or more, not {count!r}")


def _is_span(_: object, __: object, span: float) -> None:
    if not (0 < span <= LONGEST_DURATION):
        raise ValueError(f"a rate is for a span above 0 s, not {span!r}")


@frozen
class Rate:
    """So many a span of time: `count` in `per` seconds. `off`, an infinite count: any number."""

    count: float = field(converter=float, validator=_is_count)
    per: float = field(converter=float, validator=_is_span)

    @classmethod
    def parse(cls, value: object) -> "Rate":
        """Read "50/s", "10/min", "1 per hour", "2.5/s", "10/30s", or "off"."""
        if isinstance(value, Rate):
            return value
        if _is_off(value):
            return cls(math.inf, 1)
        wrong = _unexpected('a rate such as "50/s" or "10/m"', value)
        short = isinstance(value, str) and len(value) <= 2 * _LONGEST_TEXT
        found = _RATE.fullmatch(str(value)) if short else None
        if found is None:
            raise wrong
        count, span = found.groups()
        missing = "" if span[0].isdigit() else "1"
        try:
            return cls(float(count), Duration.parse(missing + span))
        except ValueError:
            raise wrong from None

    @property
    def per_second(self) -> float:
        return self.count / self.per

    @property
    def is_off(self) -> bool:
        """Whether there is no limit."""
        return self.count == math.inf

    def __str__(self) -> str:
        if self.is_off:
            return OFF
        return f"{_decimal(self.count)}/{_span(self.per)}"


@frozen
class Pace:
    """At least so many bytes in each span of time. `off`, no bytes: as slow as one likes."""

    size: Size = field(converter=Size)
    per: float = field(converter=float, validator=_is_span)

    @classmethod
    def parse(cls, value: object) -> "Pace":
        """Read "1k/m", "100 per 10s", or "off"."""
        if isinstance(value, Pace):
            return value
        if _is_off(value):
            return cls(0, 1)
        wrong = _unexpected('a pace such as "1k/m" or "100/s"', value)
        short = isinstance(value, str) and len(value) <= 2 * _LONGEST_TEXT
        found = _PACE.fullmatch(str(value)) if short else None
        if found is None:
            raise wrong
        size, span = found.groups()
        missing = "" if span[0].isdigit() else "1"
        try:
            pace = cls(Size.parse(size), Duration.parse(missing + span))
        except ValueError:
            raise wrong from None
        if pace.is_off:
            raise wrong
        return pace

    @property
    def is_off(self) -> bool:
        """Whether nothing is demanded."""
        return not self.size

    def __str__(self) -> str:
        return OFF if self.is_off else f"{self.size}/{_span(self.per)}"


def _span(seconds: float) -> str:
    """A span of time behind a `/`: one of a unit is the unit alone."""
    span = str(Duration(seconds))
    return span[1:] if span.startswith("1") and span[1:] in _MILLISECONDS else span
