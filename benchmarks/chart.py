"""A chart of the results: what each peer does where sockd does 1.

SVG by hand, fit for light and dark pages. All groups share one scale, so sockd's bars all end on
one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log10
from statistics import median
from xml.sax.saxutils import escape

from attrs import frozen

from benchmarks.roster import BARE, SOCKD, SOCKD_EPOLL, SOCKD_WILDCARD
from benchmarks.run import Result, Row

WIDTH = 960
MARGIN = 28
GUTTER = 36
"""Between the columns."""
TOP = 92
LABEL = 130
"""Room for the names, left of the bars."""
RATIO = 46
RATE = 76
"""Room for the figures, right of the bars."""
BAR = 13
PITCH = 19
"""From one bar to the next."""
HEAD = 30
"""From a group's top to its first bar: its title stands there."""
GAP = 20
"""Below a group."""
OWN = (BARE, SOCKD_EPOLL, SOCKD_WILDCARD)
"""sockd too, but otherwise."""
COLUMN = (WIDTH - 2 * MARGIN - GUTTER) / 2
BARS = COLUMN - LABEL - RATIO - RATE
GREATEST = 2.0
"""Where bars end that would be longer: one giant does not make dwarfs of the others."""

STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
    .page { fill: #ffffff; } .title { fill: #1c2128; font-size: 20px; font-weight: 600; }
    .note { fill: #57606a; font-size: 12.5px; }
    .work { fill: #1c2128; font-size: 13px; font-weight: 600; }
    .name { fill: #424a53; font-size: 12px; text-anchor: end; }
    .figure { fill: #1c2128; font-size: 11.5px; font-weight: 600; text-anchor: end; }
    .rate { fill: #6e7781; font-size: 11.5px; font-weight: 400; text-anchor: end; }
    .less { fill: #6e7781; font-weight: 400; }
    .ours { font-weight: 600; fill: #0b57b0; }
    .bar { fill: #b6bfc9; } .own { fill: #8fbcf0; } .sockd { fill: #1f6fd6; }
    .one { stroke: #1f6fd6; stroke-width: 1; stroke-dasharray: 2 3; opacity: 0.65; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0f141a; } .title, .work, .figure { fill: #e6edf3; }
      .note { fill: #9aa5b1; } .name { fill: #c3ccd5; } .rate, .less { fill: #8b96a2; }
      .ours { fill: #79b4ff; }
      .bar { fill: #4a5563; } .own { fill: #2f5f9b; } .sockd { fill: #4a97f5; }
      .one { stroke: #4a97f5; }
    }
"""


@frozen
class Group:
    """One work: its rows with their share of sockd's figure, the greatest first."""

    result: Result
    rows: Sequence[tuple[Row, float]]

    @property
    def height(self) -> float:
        """Of the whole group, the space below it too."""
        return HEAD + PITCH * len(self.rows) + GAP


def chart(results: Iterable[Result]) -> str:
    """The whole picture."""
    groups = [group for result in results if (group := _group(result)).rows]
    columns = _columns(groups)
    shares = [share for group in groups for _, share in group.rows]
    scale = BARS / min(max(shares, default=1.0), GREATEST)
    height = TOP + max((sum(group.height for group in column) for column in columns), default=0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}"'
        f' width="{WIDTH}" height="{height:g}" role="img" aria-labelledby="title desc">',
        '<title id="title">sockd beside others</title>',
        f'<desc id="desc">{escape(_words(groups))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height:g}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="42">sockd beside others, where sockd is 1</text>',
        f'<text class="note" x="{MARGIN}" y="64">One core for the server, another for the load; '
        "medians of several rounds. sockd has every guard on.</text>",
    ]
    for number, column in enumerate(columns):
        y: float = TOP
        for group in column:
            lines += _draw(group, MARGIN + number * (COLUMN + GUTTER), y, scale)
            y += group.height
    return "\n".join([*lines, "</svg>"]) + "\n"


def _group(result: Result) -> Group:
    ours, *others = result.rows
    if ours.trouble or result.work.measure == "users":  # whose figures are not rates
        return Group(result, ())
    rows = [(row, 1 / median(ratios)) for row in others if (ratios := result.ratios(row))]
    rows.append((ours, 1.0))
    less = result.work.less_is_better
    return Group(result, sorted(rows, key=lambda pair: pair[1], reverse=not less))


def _columns(groups: Sequence[Group]) -> tuple[Sequence[Group], Sequence[Group]]:
    """The groups in their order, split where the two columns are nearest in height."""

    def taller(cut: int) -> float:
        return max(sum(one.height for one in part) for part in (groups[:cut], groups[cut:]))

    cut = min(range(len(groups) + 1), key=taller)
    return groups[:cut], groups[cut:]


def _draw(group: Group, left: float, top: float, scale: float) -> Iterable[str]:
    work = group.result.work
    less = '<tspan class="less" dx="8">less is better</tspan>' if work.less_is_better else ""
    yield f'<text class="work" x="{left:g}" y="{top + 16:g}">{escape(work.title)}{less}</text>'
    start, end = left + LABEL, left + LABEL + BARS
    one = start + scale
    bottom = top + HEAD + PITCH * len(group.rows) - (PITCH - BAR) + 3
    yield f'<path class="one" d="M{one:.1f} {top + HEAD - 4:g}V{bottom:g}"/>'
    for number, (row, share) in enumerate(group.rows):
        y = top + HEAD + PITCH * number
        base = y + BAR - 3
        width = max(share * scale, 1)
        bar = {SOCKD: "sockd", **dict.fromkeys(OWN, "own")}.get(row.peer, "bar")
        name = "name ours" if row.peer is SOCKD else "name"
        yield (
            f'<text class="{name}" x="{start - 8:g}" y="{base:g}">{escape(row.peer.name)}</text>'
            f'<rect class="{bar}" x="{start:g}" y="{y:g}" width="{min(width, BARS):.1f}"'
            f' height="{BAR}" rx="2"/>'
            f'<text class="figure" x="{end + RATIO - 4:g}" y="{base:g}">{share:.2f}</text>'
            f'<text class="rate" x="{end + RATIO + RATE:g}" y="{base:g}">{_short(row, work.unit)}'
            "</text>"
        )
        if width > BARS:  # a break in the bar: it goes on
            yield f'<path class="page" d="M{end - 14:g} {y + BAR:g}l5 -{BAR}h4l-5 {BAR}z"/>'


def _short(row: Row, unit: str) -> str:
    """A rate in few characters: 101 k/s, 3.20 GB/s."""
    value = row.typical("rate")
    what = {"bytes/s": "B/s", "bytes/connection": "B"}.get(unit, "/s")
    space = "" if what == "/s" else " "
    for step, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= step:
            digits = max(0, 2 - int(log10(value / step)))
            return f"{value / step:.{digits}f} {prefix}{what}"
    return f"{value:.0f}{space}{what}"


def _words(groups: Iterable[Group]) -> str:
    """The chart for those who cannot see it."""
    return " ".join(
        f"{group.result.work.title}: "
        + ", ".join(f"{row.peer.name} {share:.2f}" for row, share in group.rows)
        + "."
        for group in groups
    )
