"""Figures in the words of tables."""

from __future__ import annotations

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """About how long, in two units at most: `3s`, `12m`, `2h 5m`; nothing is ever negative."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size}{unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts) or "0s"


def times(count: int, one: str, many: str) -> str:
    """`1 connection`, `2 connections`."""
    return f"{count} {one if count == 1 else many}"


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
