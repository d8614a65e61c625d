"""Tables and histograms fit the terminal."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.outputs.figures import ASCII, Signs, cells
from sockd.client.outputs.histogram import MOST_BARS, Bin, bar, histogram, merged
from sockd.client.outputs.summary import probes_sheet, ranks_sheet, timing_sheet, trips_sheet
from sockd.client.outputs.tables import WIDE, Sheet, table
from sockd.client.report import Counts, Summary
from tests.client.outputs.runs import HISTOGRAM, MEASURED, SILENT, SPREAD, error, summary
from tests.client.outputs.told import Told, answer
from tests.processes import succeed

ODD = Counts(
    sent=10**6,
    received=10**6,
    lost=1,
    in_flight=1,
    late=10**5,
    duplicates=10**5,
    corrupt=10**5,
    foreign=10**5,
    reordered=10**5,
    failed=10**5,
)
HOSTS = [
    MEASURED,
    SILENT,
    evolve(MEASURED, target="router.example.net", counts=ODD, rate_bps=1_234_567_890),
]


def sheets(told: Summary) -> list[Sheet]:
    signs = Signs()
    return [
        probes_sheet(told),
        trips_sheet(told, signs),
        ranks_sheet(told, signs),
        timing_sheet(told, signs),
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 99, 100, 120, 200])
@pytest.mark.parametrize("number", range(4))
def test_no_table_is_wider_than_the_terminal_and_no_figure_is_broken(
    width: int, number: int
) -> None:
    sheet = sheets(summary(HOSTS))[number]
    lines = table(sheet, width)
    assert max(map(cells, lines)) <= width
    text = "\n".join(lines)
    for cell in (*sheet.heads, *(cell for row in sheet.rows for cell in row[1:])):
        assert cell in text, cell


@pytest.mark.parametrize("width", [WIDE, 120])
@pytest.mark.parametrize("number", range(4))
def test_from_100_columns_on_a_row_of_a_table_is_one_line(width: int, number: int) -> None:
    sheet = sheets(summary(HOSTS))[number]
    for line in table(sheet, width)[1:]:
        assert line.startswith(tuple(row[0] for row in (sheet.heads, *sheet.rows)))
        assert len(line.split()) > 1


def test_below_100_columns_a_row_has_two_lines_where_one_is_not_enough() -> None:
    assert table(trips_sheet(summary(HOSTS[:2]), Signs()), 80) == [
        "Round trips",
        "host",
        "        min      avg      max   stddev   jitter  PDV p99   stamp",
        "localhost",
        "    41.2 µs  55.0 µs  1.20 ms  20.1 µs  3.10 µs  98.8 µs  kernel",
        SILENT.target,
        "          -        -        -        -        -        -       -",
    ]


def test_a_row_has_one_line_wherever_it_fits() -> None:
    assert table(trips_sheet(summary(), Signs()), 80) == [
        "Round trips",
        "host           min      avg      max   stddev   jitter  PDV p99   stamp",
        "localhost  41.2 µs  55.0 µs  1.20 ms  20.1 µs  3.10 µs  98.8 µs  kernel",
    ]


def test_columns_that_do_not_fit_a_wide_terminal_have_a_table_of_their_own() -> None:
    lines = table(probes_sheet(summary(HOSTS)), 100)
    assert [line.split()[0] for line in lines].count("host") == 2


def test_counters_that_are_zero_for_all_have_no_column() -> None:
    quiet = evolve(MEASURED, counts=Counts(sent=3, received=3))
    assert probes_sheet(summary([quiet, quiet])).heads == ("host", "sent", "received", "loss")


def test_percentiles_stand_in_order_also_where_hosts_have_other_ones() -> None:
    fewer = evolve(MEASURED, rtt=evolve(SPREAD, percentiles={"p50": 1, "p75": 2}))
    heads = ranks_sheet(summary([fewer, MEASURED, SILENT]), Signs()).heads
    assert heads == ("host", "p50", "p75", "p90", "p99", "p99.9")


def test_a_table_has_colour_where_it_is_told_to() -> None:
    sheet = Sheet("Title", ("host", "figure"), (("one", "1"),))
    assert "\x1b[1m" in "".join(table(sheet, 80, has_color=True))
    assert "\x1b" not in "".join(table(sheet, 80))


def test_a_table_is_the_same_whatever_the_environment_says() -> None:
    """rich looks at it; the options have been read already."""
    script = (
        "from sockd.client.outputs.tables import Sheet, table\n"
        "print(table(Sheet('T', ('host', 'f'), (('one', '1'),)), 80))"
    )
    odd = {"FORCE_COLOR": "1", "COLUMNS": "7", "TTY_COMPATIBLE": "1", "TERM": "dumb"}
    assert succeed(sys.executable, "-c", script, environment=odd) == (
        "['T', 'host  f', 'one   1']\n"
    )


def test_rich_is_imported_for_a_table_only() -> None:
    script = (
        "import sys, sockd.client.outputs.human, sockd.client.outputs.summary\n"
        "print([name for name in sys.modules if name.startswith('rich')])"
    )
    assert succeed(sys.executable, "-c", script) == "[]\n"


# histograms


def test_a_histogram_has_a_bar_a_bin_and_dots_where_there_is_nothing() -> None:
    assert histogram(HISTOGRAM, 60, Signs()) == [
        "  40.0 µs - 44.0 µs   12   1.2 % ▋",
        "  44.0 µs - 48.0 µs  300  30.1 % ████████████████▉",
        "  48.0 µs - 52.0 µs  480  48.1 % ███████████████████████████",
        "  52.0 µs - 60.0 µs  201  20.1 % ███████████▎",
        "      ...",
        "   120 µs -  160 µs    4   0.4 % ▎",
        "      ...",
        "  1.20 ms - 1.30 ms    1   0.1 % ▏",
    ]


def test_where_the_encoding_has_no_blocks_a_bar_is_of_ascii() -> None:
    lines = histogram(HISTOGRAM, 60, ASCII)
    assert all(line.isascii() for line in lines)
    assert lines[2].endswith("% " + "#" * 27)


BINS = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**6)), min_size=1, max_size=200
).map(lambda pairs: [(low, low + 1, count) for low, count in sorted(dict(pairs).items())])


@given(BINS, st.integers(60, 200))
def test_a_histogram_fits_and_loses_nothing(bins: list[Bin], width: int) -> None:
    lines = histogram(bins, width, Signs())
    assert all(cells(line) <= width for line in lines)
    rows = merged(bins)
    assert len(rows) <= MOST_BARS
    assert sum(row[2] for row in rows) == sum(one[2] for one in bins)
    assert all(before[1] <= after[0] for before, after in pairwise(rows))


def test_few_samples_fill_few_bars() -> None:
    bins = [(low, low + 1000, 1) for low in range(40_000, 60_000, 1000)]
    assert len(merged(bins)) == 5


def test_one_slow_answer_does_not_make_one_bar_of_all_others() -> None:
    bins = [(low, low + 1000, 10) for low in range(40_000, 80_000, 1000)]
    assert len(merged([*bins, (900_000, 901_000, 1)])) > 3


@given(st.floats(0, 1), st.integers(0, 100))
def test_a_bar_is_never_nothing_and_never_too_long(part: float, width: int) -> None:
    for signs in (Signs(), ASCII):
        assert 1 <= len(bar(part, width, signs)) <= max(width, 1)


def test_a_name_has_one_spelling_wherever_it_is_told() -> None:
    name = r"a\b"
    noted = evolve(MEASURED, target=name, notes=(rf"of {name}",))
    for hosts, asked in (([noted], (name,)), ([noted, noted], (name, name))):
        told = Told(answer(b"x\n", name), summary(hosts), command="echo", hosts=asked)
        told(error(name, f"{name} is silent"))
        shown = [*told.lines, told.out.decode()]
        assert sum(name in line for line in shown) >= 3
        assert not [line for line in shown if r"a\\b" in line]
