"""A session on a terminal, recorded and looked at, on 80 and on 120 columns."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sockd.client.outputs.figures import cells
from tests.client.outputs.terminals import STYLE, on_terminal, seen

ROOT = Path(__file__).parents[3]
SESSION = """
import sys, time
sys.path.insert(0, {root!r})
from attrs import evolve
from sockd.client.asking import Asking
from sockd.client.outputs.human import Human
from sockd.client.report import Counts, Data, Interval
from tests.client.outputs.runs import MEASURED, SILENT, error, probe, start, summary

now = [0]
human = Human(
    "echo", Asking({asking}), {is_alone}, sys.stdout.buffer, sys.stderr, sys.stdout.isatty(),
    now_ns=lambda: now[0],
)
hosts = [MEASURED, evolve(MEASURED, target="router.example.net"), SILENT][:{hosts}]
human(start(*(host.target for host in hosts)))
for second in range(5):
    now[0] += 10**9
    for host in hosts:
        counts = Counts(sent=200, received=199, lost=1)
        human(Interval(target=host.target, from_ns=0, to_ns=1, counts=counts, rtt=host.rtt))
    human(Data(target="localhost", data=b"answer \\x1b[2J \\xe2\\x80\\xae %d\\r\\n" % second))
human(probe())
human(error(SILENT.target, "no answer\\x1b]0;title\\x07 in 3 s"))
human(summary(hosts, is_final=False))
human(summary(hosts, interrupted=True))
"""
WIDTHS = pytest.mark.parametrize("columns", [80, 120])


def session(columns: int, *, hosts: int, asking: str = "", **environment: str) -> str:
    """What a run of this kind writes on a terminal."""
    script = SESSION.format(root=str(ROOT), asking=asking, is_alone=hosts == 1, hosts=hosts)
    return on_terminal([sys.executable, "-c", script], columns, environment)


@WIDTHS
@pytest.mark.parametrize("hosts", [1, 3])
def test_nothing_is_wider_than_the_terminal_and_no_escape_of_a_server_is_left(
    columns: int, hosts: int
) -> None:
    written = session(columns, hosts=hosts, asking="interval=0.001, tells_timing=True")
    assert "\x1b[1;31msock:" in written
    lines = seen(written)
    assert max(map(cells, lines)) <= columns
    assert all(line.isprintable() for line in lines)
    assert sum("\\x1b[2J" in line for line in lines) == 5
    for drawn in STYLE.sub("", written).split("\r\x1b[K"):
        assert max(map(cells, drawn.split("\n"))) <= columns


@WIDTHS
def test_the_live_line_is_there_while_it_runs_and_gone_at_the_end(columns: int) -> None:
    written = session(columns, hosts=1, asking="interval=0.001")
    drawn = "\r\x1b[Klocalhost: 5 s, 1000 sent, 995 received, 0.5 % loss, round trip 55.0 µs"
    assert drawn + "\r\x1b[K" in written
    assert not any("1000 sent, 995" in line for line in seen(written))


def test_below_100_columns_a_row_has_two_lines_and_above_one() -> None:
    asking = "interval=0.001"
    narrow = seen(session(80, hosts=3, asking=asking))
    wide = seen(session(120, hosts=3, asking=asking))
    at = narrow.index("Round trips")
    assert narrow[at + 3 : at + 5] == [
        "localhost",
        "    41.2 µs  55.0 µs  1.20 ms  20.1 µs  3.10 µs  98.8 µs  kernel",
    ]
    at = wide.index("Round trips")
    assert wide[at + 2].split("  ")[0] == "localhost"
    assert wide[at + 2].endswith("98.8 µs  kernel")


def test_without_colour_the_text_is_the_same() -> None:
    colored = session(80, hosts=3, asking="tells_timing=True")
    plain = session(80, hosts=3, asking="tells_timing=True", NO_COLOR="1")
    assert colored != plain
    assert not STYLE.search(plain)
    assert seen(colored) == seen(plain)


def test_on_a_dumb_terminal_nothing_is_erased_or_coloured() -> None:
    written = session(80, hosts=3, asking="interval=0.001, tells_timing=True", TERM="dumb")
    assert "\x1b" not in written
    assert "\r" not in written


def test_on_a_terminal_without_utf_8_all_is_ascii() -> None:
    written = session(80, hosts=1, PYTHONIOENCODING="ascii")
    assert written.isascii()
    assert "55.0 us" in written
    assert "####" in written
