"""Where the unread mark goes."""

from __future__ import annotations

from sockd.client.chat.unread import AWAY_SECONDS, Unread


def test_it_stands_above_the_first_that_comes_without_focus() -> None:
    unread = Unread()
    unread.focus(True, 0.0)
    assert not unread.message(1000.0)
    unread.focus(False, 1000.0)
    assert [unread.message(1001.0) for _ in range(3)] == [True, False, False]
    unread.focus(True, 1002.0)
    assert not unread.message(1003.0)
    unread.focus(False, 1004.0)
    assert unread.message(1005.0)


def test_where_the_terminal_says_nothing_of_focus_who_types_looks() -> None:
    unread = Unread()
    unread.touch(100.0)
    assert not unread.message(100.0 + AWAY_SECONDS - 1)
    assert [unread.message(100.0 + AWAY_SECONDS) for _ in range(2)] == [True, False]
    unread.touch(300.0)
    assert not unread.message(301.0)
    assert unread.message(300.0 + AWAY_SECONDS)


def test_a_key_without_focus_begins_anew() -> None:
    unread = Unread()
    unread.focus(False, 0.0)
    assert unread.message(1.0)
    unread.touch(2.0)
    assert unread.message(3.0)
