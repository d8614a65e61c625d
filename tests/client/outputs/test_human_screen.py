"""Colour by the rules, and the width that lines have."""

from __future__ import annotations

import io

import pytest

from sockd.client.outputs.screen import NO_TERMINAL_WIDTH, Screen, has_color


@pytest.mark.parametrize(
    ("choice", "is_terminal", "environment", "wanted"),
    [
        ("auto", True, {"TERM": "xterm"}, True),
        ("auto", False, {"TERM": "xterm"}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("always", False, {"TERM": "dumb", "NO_COLOR": "1"}, True),
        ("never", True, {"TERM": "xterm"}, False),
    ],
)
def test_there_is_colour_on_a_terminal_that_can_unless_it_is_unwanted(
    choice: str, is_terminal: bool, environment: dict[str, str], wanted: bool
) -> None:
    assert has_color(choice, is_terminal=is_terminal, environment=environment) is wanted


@pytest.mark.parametrize(
    ("columns", "width"),
    [
        ("", NO_TERMINAL_WIDTH),
        ("72", 72),
        ("0", NO_TERMINAL_WIDTH),
        ("x", NO_TERMINAL_WIDTH),
        ("3", 20),
        ("99999999", 99999),
    ],
)
def test_without_a_terminal_the_width_is_that_of_the_environment(columns: str, width: int) -> None:
    assert Screen(io.StringIO(), environment={"COLUMNS": columns}).width == width


def test_a_mark_takes_its_part_of_the_width() -> None:
    screen = Screen(io.StringIO(), environment={"COLUMNS": "80"}, mark="# ")
    assert screen.width == 78
    screen.say("one", "two")
    assert screen.err.getvalue() == "# one\n# two\n"  # type: ignore[attr-defined]


def test_a_line_in_a_style_ends_it_on_the_same_line() -> None:
    screen = Screen(io.StringIO(), "always", {})
    screen.say("one", "two", style="bad")
    text = screen.err.getvalue()  # type: ignore[attr-defined]
    assert text == "\x1b[1;31mone\x1b[0m\n\x1b[1;31mtwo\x1b[0m\n"
