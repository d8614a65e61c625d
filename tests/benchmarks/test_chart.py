"""The chart: well-formed, within its page, nothing over anything else."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from xml.etree import ElementTree

from attrs import evolve

from benchmarks.chart import BAR, GREATEST, WIDTH, chart
from benchmarks.run import Result
from tests.benchmarks.made_up import ABSENT, FAST, OURS, SLOW, result

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*results: Result) -> ElementTree.Element:
    """The chart of some results."""
    return ElementTree.fromstring(chart(results))


def texts(tree: ElementTree.Element, kind: str) -> list[str]:
    """The texts of a class, in order."""
    found = [one for one in tree.iter(f"{SVG}text") if kind in one.attrib["class"].split()]
    return ["".join(one.itertext()) for one in found]


def bars(tree: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of each bar."""
    found = list(tree.iter(f"{SVG}rect"))[1:]
    return [
        (float(one.attrib["x"]), float(one.attrib["y"]), float(one.attrib["width"]), BAR)
        for one in found
    ]


def test_names_of_any_characters_are_shown_as_they_are() -> None:
    tree = drawn(result({OURS: [100], FAST: [200]}))
    assert texts(tree, "name") == [FAST.name, OURS.name]
    assert texts(tree, "work") == ["a work of <some> kind"]


def test_it_has_a_title_and_tells_its_figures_to_who_cannot_see_it() -> None:
    tree = drawn(result({OURS: [100], SLOW: [25]}))
    assert tree.attrib["role"] == "img"
    assert tree.findtext(f"{SVG}title")
    assert "slow 0.25" in (tree.findtext(f"{SVG}desc") or "")


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    tree = drawn(result({OURS: [100], FAST: [150], SLOW: [50]}))
    long, middle, short = (width for _, _, width, _ in bars(tree))
    assert round(long / middle, 2) == 1.5
    assert round(short / middle, 2) == 0.5


def test_a_share_is_the_ratio_of_the_table_and_no_ratio_of_medians() -> None:
    tree = drawn(result({OURS: [10, 80, 100], SLOW: [5, 40, 10]}))
    assert texts(tree, "figure") == ["1.00", "0.50"]


def test_a_giant_makes_no_dwarfs() -> None:
    tree = drawn(result({OURS: [100], FAST: [10_000]}))
    giant, ours = (width for _, _, width, _ in bars(tree))
    assert round(giant / ours, 2) == GREATEST
    assert texts(tree, "figure") == ["100.00", "1.00"]


def test_no_bar_lies_over_another_and_all_are_on_the_page() -> None:
    rates = {OURS: [100.0], FAST: [180.0], SLOW: [3.0]}
    tree = drawn(*[result(rates) for _ in range(7)])
    height = float(tree.attrib["height"])
    columns = defaultdict(list)
    for left, top, width, thickness in bars(tree):
        assert left > 0
        assert left + width < WIDTH
        assert top + thickness < height
        columns[left].append(top)
    assert len(columns) == 2
    for tops in columns.values():
        assert all(later - earlier > BAR for earlier, later in pairwise(tops))


def test_who_did_not_run_has_no_bar() -> None:
    assert len(bars(drawn(result({OURS: [100], ABSENT: []})))) == 1


def test_without_our_own_figure_a_work_is_left_out() -> None:
    assert bars(drawn(result({OURS: [], SLOW: [100]}))) == []


def test_rates_are_short() -> None:
    tree = drawn(
        result({OURS: [101_234]}), result({OURS: [2.345e9]}, unit="bytes/s"), result({OURS: [627]})
    )
    assert texts(tree, "rate") == ["101 k/s", "2.35 GB/s", "627/s"]


def test_what_users_wait_is_no_rate_to_be_drawn() -> None:
    found = result({OURS: [100]})
    tree = drawn(evolve(found, work=evolve(found.work, measure="users")))
    assert texts(tree, "work") == []
