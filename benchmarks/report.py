"""What was found, as text for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.run import Plan, Result, Row

HEADING = (
    "peer",
    "rate",
    "p50 µs",
    "p99 µs",
    "lost",
    "load",
    "CPU µs each",
    "memory MB",
    "sockd / peer",
    "target",
    "reached",
)
METHOD = """\
Server and load generator are processes on a core each, on one machine, over loopback.
The peers of a work take turns in each of {rounds} rounds: {warmup:g} s of warm-up, then \
{seconds:g} s. Starts of all servers, so many rounds each: {starts}.
Rates and latencies are medians. A ratio is taken within a round; its median stands with the least \
and the greatest.
sockd is the command as a user types it, with every guard, limit, counter and timeout. It does not \
log connections, as no peer does (`log_connections = false`), save where the work says so; it may \
have 20,000 of them.
A log is a file. xinetd writes a line for each connection, sockd one for its beginning and one for \
its end. openbsd-inetd can log programs only: it starts `date`, and its log passes through /dev/log.
In TLS all peers have one certificate and are asked for the same version, cipher and key exchange; \
all else is as their libraries have it.
In a chat the load has logged in the members of a channel, one of whom speaks, with 8 messages \
outstanding (2 among 10,000 members), and waits to hear what was said; what the others are sent is \
dropped by the kernel, after a first message that all of them have to hear. sockd signs each, with \
sequence number and time, and its limit of events of one user is lifted; C and Perl send as many \
bytes. Of 20,000 users each gives a sign of life every 30 s, and all that is said is read by all \
who are to hear it; memory is what sockd has grown by in the end.
`CPU µs each` is what the server takes of its core for each of what is counted.
`load` is how busy the load generator kept its core: near 100 % the server could do more. \
Every answer is checked.
"""


def cells(result: Result) -> list[list[str]]:
    """A heading and a row for each peer; columns in which nothing stands are left out."""
    table = [list(HEADING), *(_cells(result, row) for row in result.rows)]
    kept = [number for number in range(len(HEADING)) if any(row[number] for row in table[1:])]
    return [[row[number] for number in kept] for row in table]


def text(result: Result) -> str:
    """One work, aligned for a terminal."""
    table = cells(result)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([_title(result), "", *lines, *_notes(result)]) + "\n"


def page(results: Iterable[Result], machine: Sequence[tuple[str, str]], plan: Plan) -> str:
    """The page of a whole run."""
    parts = [
        "# sockd beside others",
        "Written by `make bench`. A figure of another machine says little here; ratios travel.",
        "![How much each peer does where sockd does 1](results.svg)",
        "## How it was measured",
        METHOD.format(
            rounds=plan.rounds, seconds=plan.seconds, warmup=plan.warmup, starts=plan.starts
        ).strip(),
        _markdown([["", ""], *map(list, machine)], right=False),
    ]
    for result in results:
        parts += [f"## {_title(result)}", _markdown(cells(result), right=True)]
        if notes := _notes(result):
            parts.append("\n".join(f"- {one}" for one in notes))
    return "\n\n".join(parts) + "\n"


def rate(value: float, unit: str) -> str:
    """A rate as people read it: of bytes, megabytes."""
    return f"{value / 1e6:,.0f}" if unit == "bytes/s" else f"{value:,.0f}"


def unit_name(unit: str) -> str:
    """The unit in which `rate` speaks."""
    return "MB/s" if unit == "bytes/s" else unit


def _title(result: Result) -> str:
    less = ", less is better" if result.work.less_is_better else ""
    how = ", for each second on its core" if result.work.measure == "processor" else ""
    return f"{result.work.title}{how} ({unit_name(result.work.unit)}{less})"


def _cells(result: Result, row: Row) -> list[str]:
    work = result.work
    target = work.targets.get(row.peer)
    wanted = "" if target is None else f"{'<=' if work.less_is_better else '>='} {target:g}"
    if row.trouble:
        return [row.peer.name, "not run", *[""] * (len(HEADING) - 4), wanted, ""]
    p50, p99, loss, load, cost, memory = map(
        row.typical, ("p50", "p99", "loss", "cpu", "cost", "memory")
    )
    found = [
        row.peer.name,
        rate(row.typical("rate"), work.unit),
        f"{p50:,.0f}" if p50 else "",
        f"{p99:,.0f}" if p99 else "",
        f"{loss:.2%}" if loss else "",
        f"{load:.0%}" if load else "",
        f"{cost:.2f}" if cost else "",
        f"{memory / 1e6:.0f}" if memory else "",
    ]
    ratios = result.ratios(row)
    if not ratios:
        return [*found, "", wanted, ""]
    middle = median(ratios)
    reached = work.is_reached(row.peer, middle)
    spread = f"{middle:.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
    return [*found, spread, wanted, "" if reached is None else "yes" if reached else "NO"]


def _notes(result: Result) -> list[str]:
    return [*_bounds(result), *_troubles(result)]


def _bounds(result: Result) -> list[str]:
    """What our own figures are to be, and whether they are."""
    if not (ours := result.rows[0]).samples:
        return []
    words = {
        "p99": ("p99", 1e3, "ms"),
        "memory": ("memory", 1e6, "MB"),
        "rate": ("each", 1e3, "kB"),
    }
    lines = []
    for name, most in result.work.bounds.items():
        what, unit, symbol = words[name]
        values = sorted(getattr(sample, name) / unit for sample in ours.samples)
        reached = "yes" if ours.typical(name) <= most else "NO"
        lines.append(
            f"{what} [{values[0]:.1f}..{values[-1]:.1f}] {symbol}, "
            f"to be <= {most / unit:g} {symbol}: {reached}"
        )
    return lines


def _troubles(result: Result) -> list[str]:
    return [
        f"{row.peer.name} did not run: {' '.join(row.trouble.split())}"
        for row in result.rows
        if row.trouble
    ]


def _markdown(table: Sequence[Sequence[str]], *, right: bool) -> str:
    heading, *rows = [[cell.replace("|", "\\|") for cell in row] for row in table]
    rule = ["---", *["---:" if right else "---"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *rows))
