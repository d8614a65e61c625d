"""What is shown, as plain lines."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.lines import clock_time, shown
from sockd.client.chat.told import (
    ChannelRow,
    Ended,
    Joined,
    Level,
    LoggedIn,
    Lost,
    Message,
    Notice,
    NotSent,
    Parted,
    Presence,
    Refused,
    Shown,
    UserRow,
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Message("bert", "hi", "Pets"), "[Pets] bert: hi"),
        (Message("bert", "hi"), "[private] bert: hi"),
        (Message("anna", "hi", is_own=True, to="bert"), "[private] to bert: hi"),
        (Presence("Pets", "bert", True), "-- bert has come to Pets"),
        (Presence("Pets", "bert", False), "-- bert has left Pets"),
        (Joined("Pets", 1, True), "-- you are in Pets (1 user)"),
        (Joined("Pets", 2, False), "-- you are in Pets (2 users)"),
        (Parted("Pets"), "-- you have left Pets"),
        (ChannelRow("Pets", 3, "all of them"), "   Pets                   3 users  all of them"),
        (UserRow("bert", 3661, ["Pets"]), "   bert                   1:01:01  Pets"),
        (Lost("Pets", 1), "!! 1 message or notice of Pets did not arrive"),
        (Lost("Pets", 2), "!! 2 messages or notices of Pets did not arrive"),
        (Lost("", 1), "!! 1 private message or answer did not arrive"),
        (Lost("", 2), "!! 2 private messages or answers did not arrive"),
        (NotSent("hi"), "!! not sent: hi"),
        (LoggedIn("anna", "", False), "-- logged in as anna"),
        (
            LoggedIn("anna", "srv", True, True),
            "-- logged in again at srv as anna; what was said last may be lost",
        ),
        (Refused("taken"), "** taken"),
        (Notice("so", Level.WARNING), "!! so"),
        (Ended("be gone"), "-- be gone"),
        (Ended(), "-- logged off"),
    ],
)
def test_each_has_its_line(event: Shown, line: str) -> None:
    assert shown(event) == line


@given(st.text(), st.text(), st.text())
def test_nothing_that_acts_on_a_terminal_is_in_a_line(user: str, text: str, channel: str) -> None:
    for event in (
        Message(user, text, channel),
        Message(user, text, is_own=True, to=channel),
        Presence(channel, user, True),
        ChannelRow(channel, 1, text),
        UserRow(user, 1, [channel, text]),
        Lost(channel or "x", 1),
        NotSent(text),
        LoggedIn(user, channel, True),
        Refused(text),
        Ended(text),
    ):
        line = shown(event)
        assert all(one.isprintable() or one == "\t" or one.isspace() for one in line)
        assert not {"\n", "\r", "\x1b", "\x85", "\u2028"} & set(line)


def test_the_time_is_the_server_s_where_it_tells_one() -> None:
    now = datetime(2026, 1, 2, 3, 4)
    assert clock_time(None, now) == "03:04"
    moment = datetime(2026, 1, 2, 5, 6)
    assert clock_time(int(moment.timestamp() * 1000), now) == "05:06"
