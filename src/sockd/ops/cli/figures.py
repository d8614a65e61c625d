"""Figures as a person reads them."""

from __future__ import annotations

from itertools import pairwise

_SPANS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def span(seconds: float) -> str:
    """As `5s`, `3m20s`, `4h12m`, `12d3h`: the two largest units that say something."""
    whole = max(0, int(seconds))
    for (unit, size), (below, part) in pairwise(_SPANS):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + f"{rest}{below}" * bool(rest)
    return f"{whole}s"


def amount(size: float, unit: str = "B") -> str:
    """As `512 B`, `1.23 kB`, `45.6 MB`: decimal, three digits that say something."""
    for prefix in ("", "k", "M", "G"):
        if size < 999.5:
            return f"{_significant(size)} {prefix}{unit}"
        size /= 1000
    return f"{_significant(size)} T{unit}"


def rate(count: float) -> str:
    """As `0.2`, `12.3`, `45.6k`: how many a second; nothing is `0`, and a little is not."""
    if 0 < count < 0.05:
        return "<0.1"
    return amount(count, "").replace(" ", "")


def milliseconds(seconds: float) -> str:
    """As `0.4 ms`, `12 ms`."""
    value = 1000 * seconds
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def _significant(value: float) -> str:
    if value == int(value):
        return str(int(value))
    places = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{places}f}".rstrip("0").rstrip(".") if places else f"{value:.0f}"
