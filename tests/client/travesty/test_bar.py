"""The bar of an upload."""

from __future__ import annotations

from io import StringIO

import pytest

from sockd.client.outputs.screen import Screen
from sockd.client.travesty.bar import Bar, Silent, progress


class Terminal(StringIO):
    """A terminal of eighty columns, and what is written there."""

    def isatty(self) -> bool:
        return True


def screen(err: StringIO, term: str = "xterm") -> Screen:
    """What writes to it."""
    return Screen(err, "never", {"TERM": term, "COLUMNS": "80"})


def test_it_is_drawn_now_and_then_and_gone_at_the_end() -> None:
    terminal, time = Terminal(), [0.0]
    bar = Bar(screen(terminal), "a text", 1000, lambda: time[0])
    bar.sent(100)
    assert "0.1/1.0 kB" not in terminal.getvalue()
    time[0] = 1.0
    bar.sent(400)
    assert "a text" in terminal.getvalue()
    assert "0.5/1.0 kB" in terminal.getvalue()
    assert bar.count == 500
    bar.close()
    bar.close()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_a_file_without_size_has_one_too() -> None:
    terminal, time = Terminal(), [0.0]
    bar = Bar(screen(terminal), "pipe", None, lambda: time[0])
    time[0] = 1.0
    bar.sent(100)
    bar.close()
    assert "100/? bytes" in terminal.getvalue()


def test_the_name_of_a_file_is_escaped_cut_and_no_markup() -> None:
    terminal = Terminal()
    Bar(screen(terminal), "[bold]\x1b[31m", 1).close()
    assert "[bold]\\x1b[31m" in terminal.getvalue()
    terminal = Terminal()
    Bar(screen(terminal), "x" * 100 + "end", 1).close()
    assert "x" * 24 + "end" in terminal.getvalue()
    assert "x" * 28 not in terminal.getvalue()


@pytest.mark.parametrize(
    ("err", "term", "is_quiet"),
    [(StringIO(), "xterm", False), (Terminal(), "dumb", False), (Terminal(), "xterm", True)],
)
def test_without_a_terminal_there_is_none(err: StringIO, term: str, is_quiet: bool) -> None:
    found = progress(screen(err, term), "a text", 10, is_quiet=is_quiet)
    found.sent(5)
    found.sent(5)
    found.close()
    assert isinstance(found, Silent)
    assert (found.count, err.getvalue()) == (10, "")
