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
