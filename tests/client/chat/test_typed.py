"""What a user types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.typed import ALIASES, COMMANDS, Typed, help_lines, read


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hello there", Typed("public", "hello there")),
        ("  indented", Typed("public", "  indented")),
        ("hello\n", Typed("public", "hello")),
        ("/join Weather", Typed("join", "Weather")),
        ("/JOIN Weather", Typed("join", "Weather")),
        ("/j Weather", Typed("join", "Weather")),
        ("/part", Typed("part", "")),
        ("/leave Pets", Typed("part", "Pets")),
        ("/private bert how are you", Typed("private", "bert how are you")),
        ("/msg bert hi", Typed("private", "bert hi")),
        ("/nick anna", Typed("login", "anna")),
        ("/public /etc is a folder", Typed("public", "/etc is a folder")),
        ("/quit", Typed("quit", "")),
        ("/ignore", Typed("ignore", "")),
    ],
)
def test_what_a_line_means(line: str, expected: Typed) -> None:
    assert read(line) == expected


@pytest.mark.parametrize("line", ["", "\n", "   ", "\t\r\n"])
def test_an_empty_line_means_nothing(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/dance", "there is no command /dance: /help lists them"),
        ("/", "there is no command /: /help lists them"),
        ("/p", "there is no command /p: /help lists them"),
        ("/join", "/join needs CHANNEL"),
        ("/private bert", "/private needs USER TEXT"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(line: str, why: str) -> None:
    assert read(line) == why


def test_help_has_all_commands_with_what_they_take() -> None:
    lines = help_lines()
    assert len(lines) == len(COMMANDS)
    assert "/private USER TEXT" in "\n".join(lines)
    assert set(ALIASES.values()) <= COMMANDS.keys()


@given(st.text())
def test_any_line_means_something(line: str) -> None:
    assert isinstance(read(line), Typed | str | None)
