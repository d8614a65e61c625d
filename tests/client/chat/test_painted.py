"""What is shown on a terminal, with its colours."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.lines import shown
from sockd.client.chat.painted import COLOURS, DIM, colour, painted, rule
from sockd.client.chat.told import (
    Ended,
    Joined,
    Level,
    Lost,
    Message,
    Notice,
    NotSent,
    Presence,
    Refused,
    Shown,
)

NOW = datetime(2026, 1, 2, 3, 4)


def text(event: Shown, is_marked: bool = False) -> str:
    """It without its colours."""
    return "".join(part for _, part in painted(event, is_marked, NOW))


@given(st.text(), st.text(), st.text(), st.booleans())
def test_it_says_the_same_as_the_plain_line(
    user: str, said: str, channel: str, is_marked: bool
) -> None:
    for event in (
        Message(user, said, channel),
        Message("me", said, "", is_own=True, to=user or "x"),
        Presence(channel, user, True),
        NotSent(said),
        Notice(said),
    ):
        assert text(event, is_marked) == f"03:04 {shown(event)}\n"


@pytest.mark.parametrize(
    ("event", "style"),
    [
        (Notice("x", Level.ERROR), "ansired"),
        (NotSent("x"), "ansired"),
        (Refused("x"), "ansired"),
        (Notice("x", Level.WARNING), "ansiyellow"),
        (Lost("x", 1), "ansiyellow"),
        (Notice("x"), DIM),
        (Joined("x", 1, True), DIM),
        (Ended(), DIM),
    ],
)
def test_how_much_it_matters_is_seen(event: Shown, style: str) -> None:
    assert painted(event, False, NOW)[1][0] == style


def test_what_is_for_us_stands_out() -> None:
    for event in (Message("bert", "anna", "Pets"), Presence("Pets", "bert", True)):
        assert not any("bold" in style for style, _ in painted(event, False, NOW))
        assert any("bold" in style for style, _ in painted(event, True, NOW))


def test_a_nickname_always_has_the_same_colour_in_whatever_case() -> None:
    assert colour("Anna") == colour("aNNA")
    assert {colour(f"user{number}") for number in range(500)} == set(COLOURS)
    colour("\udcff")


@pytest.mark.parametrize("columns", [1, 9, 80, 81])
def test_the_rule_is_as_wide_as_the_terminal_and_no_wider(columns: int) -> None:
    [(_, line)] = rule(columns)
    assert line.strip("-\n") == " unread "
    assert len(line) == max(columns, len(" unread ") + 1)
