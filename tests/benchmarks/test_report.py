"""Ratios, medians and targets, and the tables that show them."""

from __future__ import annotations

from attrs import evolve

from benchmarks.report import cells, page, text
from benchmarks.run import Plan
from tests.benchmarks.made_up import ABSENT, FAST, OURS, SLOW, result


def column(table: list[list[str]], name: str) -> dict[str, str]:
    """One column of a table, by peer."""
    number = table[0].index(name)
    return {row[0]: row[number] for row in table[1:]}


def test_a_ratio_is_taken_within_a_round() -> None:
    found = result({OURS: [100, 10, 60], SLOW: [50, 5, 20]})
    assert found.ratios(found.rows[1]) == [2, 2, 3]


def test_a_row_shows_the_median_ratio_with_the_least_and_the_greatest() -> None:
    table = cells(result({OURS: [100, 100, 100], SLOW: [50, 25, 40]}))
    assert column(table, "sockd / peer")[SLOW.name] == "2.50 [2.00..4.00]"


def test_a_rate_is_the_median_of_its_rounds() -> None:
    table = cells(result({OURS: [1, 3000, 2000000]}))
    assert column(table, "rate")[OURS.name] == "3,000"


def test_bytes_are_shown_as_megabytes() -> None:
    shown = text(result({OURS: [2_345_000_000.0]}, unit="bytes/s"))
    assert "(MB/s)" in shown
    assert "2,345 " in shown


def test_a_target_is_reached_by_the_median() -> None:
    rates = {OURS: [90.0, 80, 10], FAST: [100.0, 100, 100], SLOW: [50.0, 50, 50]}
    reached = column(cells(result(rates, {FAST: 0.8, SLOW: 1.7})), "reached")
    assert reached == {OURS.name: "", FAST.name: "yes", SLOW.name: "NO"}


def test_where_less_is_better_a_target_is_the_greatest_ratio() -> None:
    rates = {OURS: [100.0], FAST: [90.0], SLOW: [110.0]}
    table = cells(result(rates, {FAST: 1.0, SLOW: 1.0}, less_is_better=True))
    assert column(table, "reached") == {OURS.name: "", FAST.name: "NO", SLOW.name: "yes"}
    assert column(table, "target")[SLOW.name] == "<= 1"


def test_a_peer_that_did_not_run_is_named_with_the_reason() -> None:
    found = result({OURS: [100], ABSENT: []}, {ABSENT: 2.0})
    assert column(cells(found), "rate")[ABSENT.name] == "not run"
    assert "absent did not run: why" in text(found)
    assert "- absent did not run: why" in page([found], [], Plan(1, 1, 1.0, 0.1))


def test_without_our_own_figure_there_are_no_ratios() -> None:
    found = result({OURS: [], SLOW: [50]}, {SLOW: 1.0})
    assert column(cells(found), "rate")[SLOW.name] == "50"
    assert "sockd / peer" not in cells(found)[0]


def test_a_column_in_which_nothing_stands_is_left_out() -> None:
    assert "lost" not in cells(result({OURS: [100]}))[0]


def test_every_row_of_a_page_has_as_many_cells_as_its_heading() -> None:
    shown = page(
        [result({OURS: [1], FAST: [2], ABSENT: []})], [("cores", "a|b")], Plan(3, 2, 1.0, 0.1)
    )
    for block in shown.split("\n\n"):
        if block.startswith("|"):
            rows = [line.replace("\\|", "").count("|") for line in block.splitlines()]
            assert len(set(rows)) == 1, block


def test_a_bound_of_our_own_is_told_with_what_was_found() -> None:
    found = result({OURS: [100, 100, 100]})
    bounded = evolve(found, work=evolve(found.work, bounds={"p99": 150, "memory": 60e6}))
    assert "p99 [0.2..0.2] ms, to be <= 0.15 ms: NO" in text(bounded)
    assert "memory [0.0..0.0] MB, to be <= 60 MB: yes" in text(bounded)
    assert "- memory" in page([bounded], [], Plan(1, 1, 1.0, 0.1))


def test_what_each_takes_of_the_processor_is_shown_where_the_load_has_looked() -> None:
    found = result({OURS: [100]})
    assert "CPU µs each" not in cells(found)[0]
    found.rows[0].samples[0] = evolve(found.rows[0].samples[0], cost=2.345, memory=43e6)
    assert column(cells(found), "CPU µs each")[OURS.name] == "2.35"
    assert column(cells(found), "memory MB")[OURS.name] == "43"
