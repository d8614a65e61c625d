"""What can be typed at the prompt of `sock travesty`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.travesty.typed import (
    MOST_WORDS,
    NAMES,
    Analyze,
    Generate,
    Help,
    Leave,
    Reset,
    Typed,
    help_lines,
    read,
)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("analyze a.txt", Analyze("a.txt")),
        ("  ANALYZE   /tmp/a.txt ", Analyze("/tmp/a.txt")),
        ("analyze my book.txt", Analyze("my book.txt")),
        ("analyze 'my book.txt'", Analyze("my book.txt")),
        ('analyze "my book.txt"', Analyze("my book.txt")),
        ("analyze my\\ book.txt", Analyze("my book.txt")),
        ("analyze it's.txt", Analyze("it's.txt")),
        ("analyze 'a' and 'b'", Analyze("'a' and 'b'")),
        ("analyze ./-", Analyze("./-")),
        ("generate\t1", Generate(1)),
        ("analyze\ta b", Analyze("a b")),
        ("generate 1", Generate(1)),
        (f"generate {MOST_WORDS}", Generate(MOST_WORDS)),
        ("Generate 1000000000", Generate(1_000_000_000)),
        ("reset", Reset()),
        ("bye", Leave()),
        ("goodbye", Leave()),
        ("quit", Leave()),
        ("help", Help()),
        ("?", Help()),
        ("", None),
        (" \t", None),
    ],
)
def test_a_line_is_a_command(line: str, typed: Typed | None) -> None:
    assert read(line) == typed


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("analyze", "analyze needs the name of a FILE"),
        ("analyze ''", "analyze needs the name of a FILE"),
        ("analyze -", "what is typed here are commands"),
        ("analyze '-'", "what is typed here are commands"),
        ("generate", "generate needs a number of words from 1 on, got ''"),
        ("generate 0", "generate needs a number of words from 1 on, got '0'"),
        ("generate -5", "generate needs a number of words from 1 on, got '-5'"),
        ("generate 1.5", "generate needs a number of words from 1 on, got '1.5'"),
        ("generate ٣", "generate needs a number of words from 1 on, got '٣'"),
        (f"generate {MOST_WORDS + 1}", f"generate: {MOST_WORDS} words are more than come"),
        ("generate " + "9" * 5_000, f"generate: {MOST_WORDS} words are more than come"),
        ("generate " + "0" * 5_000, "generate needs a number"),
        ("generate 5 6", "generate needs a number of words from 1 on, got '5 6'"),
        ("reset now", "reset takes nothing, got 'now'"),
        ("analyse x", "there is no command 'analyse'; did you mean 'analyze'?"),
        ("x", "there is no command 'x'; help lists them"),
    ],
)
def test_a_line_that_is_none_is_told_why(line: str, why: str) -> None:
    found = read(line)
    assert isinstance(found, str)
    assert found.startswith(why)


@given(st.text())
def test_whatever_is_typed_is_understood_or_told(line: str) -> None:
    found = read(line)
    assert found is not None or not line.strip()
    assert isinstance(found, Typed | str | None)


def test_help_has_every_command() -> None:
    text = "\n".join(help_lines())
    assert all(name in text for name in (*NAMES, "^C"))
