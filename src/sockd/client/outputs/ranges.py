"""Ranges and thresholds as monitoring plugins write them.

    10       below 0 or above 10 is an alert
    10:      below 10
    ~:10     above 10
    10:20    below 10 or above 20
    @10:20   10 to 20, both included

A bound may have a unit that fits its metric: `100ms`, `5%`, `64k`, `10M`. Without one it is in
seconds, percent, bytes, bits a second, times a second or days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

from attrs import field, frozen

from sockd.client.metrics import METRICS, Unit
from sockd.formats.nearest import near_miss
from sockd.formats.text import escape

MOST_RANGE = 100
"""Characters of a range: two numbers with their units have far fewer."""
PLACES = 9
"""Behind the point, where a bound is shown: nanoseconds of a second."""

_UNITS: dict[Unit, dict[str, Fraction]] = {
    Unit.COUNT: {},
    Unit.SECONDS: {
        "ns": Fraction(1, 10**9),
        "us": Fraction(1, 10**6),
        "µs": Fraction(1, 10**6),  # the sign that keyboards have
        "μs": Fraction(1, 10**6),  # and the Greek letter
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "m": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86_400),
    },
    Unit.PERCENT: {"%": Fraction(1)},
    Unit.BYTES: {
        "B": Fraction(1),
        **{
            prefix + end: Fraction(1024**power)
            for power, prefixes in enumerate(("kK", "M", "G"), 1)
            for prefix in prefixes
            for end in ("", "B", "iB")
        },
    },
    Unit.BITS_PER_SECOND: {
        "bit/s": Fraction(1),
        **{
            prefix + end: Fraction(1000**power)
            for power, prefixes in enumerate(("kK", "M", "G"), 1)
            for prefix in prefixes
            for end in ("", "bit/s")
        },
    },
    Unit.PER_SECOND: {"/s": Fraction(1)},
    Unit.DAYS: {"d": Fraction(1)},
}
"""What the units that a bound may have are worth. As elsewhere here, k of bytes is 1024."""

_NUMBER = re.compile(r"(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(.*)", re.DOTALL)


def _is_in_order(range: Range, _: object, end: Fraction | None) -> None:
    if range.start is not None and end is not None and range.start > end:
        raise ValueError(f"it begins at {decimal(range.start)}, after its end, {decimal(end)}")


@frozen
class Range:
    """Values from `start` to `end`, both included; None: without a bound."""

    start: Fraction | None
    end: Fraction | None = field(validator=_is_in_order)
    alerts_inside: bool = False
    """A value in it is an alert, and not one outside."""

    @classmethod
    def parse(cls, text: str, unit: Unit) -> Range:
        """Read a range. Raises ValueError."""
        if len(text) > MOST_RANGE:
            raise ValueError(f"a range has at most {MOST_RANGE} characters")
        alerts_inside = text.startswith("@")
        start, colon, end = text.removeprefix("@").rpartition(":")
        if ":" in start or not (start or end):
            raise ValueError("expected a range such as '10', '10:', '~:10', '10:20' or '@10:20'")
        return cls(
            None if start == "~" else _bound(start, unit) if start else Fraction(0),
            None if colon and not end else _bound(end, unit),
            alerts_inside,
        )

    def alerts(self, value: Fraction) -> bool:
        """Whether this value is an alert."""
        is_inside = (self.start is None or value >= self.start) and (
            self.end is None or value <= self.end
        )
        return is_inside is self.alerts_inside

    def __str__(self) -> str:
        """The shortest form of it, without units."""
        sign = "@" * self.alerts_inside
        end = "" if self.end is None else decimal(self.end)
        if self.start == 0 and end:
            return f"{sign}{end}"
        return f"{sign}{'~' if self.start is None else decimal(self.start)}:{end}"


def _bound(text: str, unit: Unit) -> Fraction:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a number, got {text!r}")
    number, suffix = found.groups()
    scales = {"": Fraction(1), **_UNITS[unit]}
    if suffix not in scales:
        known = ", ".join(name for name in scales if name) or "none"
        raise ValueError(f"{suffix!r} is no unit of it; there are: {known}")
    return Fraction(number) * scales[suffix]


def decimal(value: Fraction) -> str:
    """A number without exponent, of at most `PLACES` places behind the point."""
    whole, part = divmod(round(abs(value) * 10**PLACES), 10**PLACES)
    text = f"{whole}.{part:0{PLACES}d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 and text != "0" else text


def thresholds(texts: Iterable[str], option: str) -> Mapping[str, Range]:
    """What one option says, by metric: each text is `METRIC=RANGE`. Raises ValueError."""
    found: dict[str, Range] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        where = f"{option} {escape(text, MOST_RANGE)}"
        if not equals:
            raise ValueError(f"{where}: expected METRIC=RANGE, such as rtt_avg=100ms")
        if name not in METRICS:
            miss = near_miss(name, METRICS, or_all=True)
            raise ValueError(f"{where}: there is no metric {escape(name, MOST_RANGE)!r}{miss}")
        if name in found:
            raise ValueError(f"{where}: {name} has a range already")
        try:
            found[name] = Range.parse(rest, METRICS[name].unit)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return found


def say(value: Fraction, unit: Unit) -> str:
    """A value for a person: with the unit that suits its size, and four digits or so."""
    if unit is Unit.SECONDS:
        for name, scale in (("s", 1), ("ms", 1000), ("us", 10**6)):
            if abs(value) * scale >= 1 or not value:
                return f"{_short(value * scale)}{name}"
        return f"{_short(value * 10**9)}ns"
    if unit is Unit.BITS_PER_SECOND:
        for prefix, scale in (("G", 10**9), ("M", 10**6), ("k", 1000)):
            if abs(value) >= scale:
                return f"{_short(value / scale)} {prefix}bit/s"
        return f"{_short(value)} bit/s"
    return _short(value) + {Unit.DAYS: " days", Unit.BYTES: "B"}.get(unit, str(unit))


def _short(value: Fraction) -> str:
    places = 0 if value.denominator == 1 else max(0, 4 - len(str(abs(int(value)))))
    return decimal(round(value, places))
