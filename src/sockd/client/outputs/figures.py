"""Figures as a person reads them: three digits that say something, and a unit."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from attrs import frozen

from sockd.client.report import Value
from sockd.formats.text import readable

ABSENT = "-"
"""What stands where a figure is not known."""
_BLOCKS = "▏▎▍▌▋▊▉█"
"""Bars of one eighth of a column to the whole of it."""


@frozen
class Signs:
    """The characters that a terminal's encoding has."""

    micro: str = "µ"
    bars: str = _BLOCKS
    """From the shortest bar that fits into a column to the longest."""


ASCII = Signs("u", "#")


def signs_for(encoding: str | None) -> Signs:
    """The characters that can be written in an encoding; None: text that is not encoded."""
    try:
        f"µ{_BLOCKS}".encode(encoding or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return Signs()


def significant(value: float) -> str:
    """Three significant digits, but no more than three behind the point; no exponents."""
    size = abs(value)
    places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    return f"{value:.{places}f}" if value else "0"


def duration(ns: int | None, signs: Signs = Signs()) -> str:
    """As `41.2 µs`, `1.20 ms`, `3.00 s`."""
    if ns is None:
        return ABSENT
    for unit, size in ((f"{signs.micro}s", 1_000), ("ms", 1_000_000)):
        if abs(ns) < 999.5 * size:
            return f"{significant(ns / size)} {unit}"
    return f"{significant(ns / 1e9)} s"


def milliseconds(ns: int) -> str:
    """As `0.123 ms`: one unit for lines that stand below each other."""
    return f"{significant(ns / 1e6)} ms"


def percent(part: float | None) -> str:
    """As `0.2 %`. Some is never told as none, nor as all."""
    if part is None:
        return ABSENT
    value = 100 * part
    if value in (0, 100):
        return f"{value:.0f} %"
    for digits in range(3, 16):
        text = f"{value:.{digits}g}"
        if text != "100":
            break
    return f"{float(text):.12f}".rstrip("0").rstrip(".") + " %"


def _scaled(value: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if not prefix else f"{significant(value)} {prefix}{unit}"
        value /= 1000
    return f"{significant(value)} T{unit}"


def rate(bps: int) -> str:
    """As `1.23 Gbit/s`."""
    return _scaled(bps, "bit/s")


def frequency(datagrams: float) -> str:
    """As `12.3 datagrams/s`."""
    return f"{significant(datagrams)} datagrams/s"


def amount(size: int) -> str:
    """As `1.23 MB`, decimal; `1 byte`."""
    return f"{size} byte{'s' * (size != 1)}" if size < 1000 else _scaled(size, "B")


def named(name: str, value: Value, signs: Signs = Signs()) -> str:
    """What stands beside an answer, as `kernel rtt 41.2 µs`. It may be of the network."""
    label = readable(name.removesuffix("_ns").replace("_", " "))
    if name.endswith("_ns") and isinstance(value, int):
        return f"{label} {duration(value, signs)}"
    if isinstance(value, bool):
        return f"{label} {'yes' if value else 'no'}"
    return f"{label} {readable(str(value))}"


def whom(target: str, address: str | None) -> str:
    """A target, and its address where it does not say that itself. It is escaped."""
    if not address or target == address or target.endswith(f" ({address})"):
        return readable(target)
    return f"{readable(target)} ({readable(address)})"


def cells(text: str) -> int:
    """How many columns of a terminal a text takes that has been escaped."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """As much of a text as fits; `...` at its end where that is not all of it."""
    text = text.replace("\t", " ")
    if cells(text) <= width:
        return text
    kept, room = "", width - 3
    for character in text:
        room -= _cells(character)
        if room < 0:
            break
        kept += character
    return (kept + "...")[: max(width, 0)]


def fill(pieces: Iterable[str], width: int, gap: str = " ") -> list[str]:
    """Lines of pieces. A piece is broken only where it is longer than a line alone."""
    lines: list[str] = []
    line = ""
    for piece in pieces:
        longer = f"{line}{gap}{piece}" if line else piece
        if cells(longer) <= width:
            line = longer
            continue
        if line:
            lines.append((line + gap).rstrip())
        line = piece
        while cells(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line else lines


def _head(text: str, width: int) -> str:
    """As many characters as fit; one at least."""
    room = width
    for number, character in enumerate(text):
        room -= _cells(character)
        if room < 0:
            return text[: max(number, 1)]
    return text


def labelled(label: str, pieces: Sequence[str], width: int, gap: str = " ") -> list[str]:
    """Pieces behind a label, each line of them below the first."""
    indent = " " * INDENT
    lines = fill(pieces, max(width - INDENT, 1), gap)
    heads = [f"  {label}".ljust(INDENT), *[indent] * len(lines)]
    return [f"{head}{line}" for head, line in zip(heads, lines, strict=False)]


INDENT = 15
"""Columns before what stands behind a label: the longest, `percentiles`, and room."""
