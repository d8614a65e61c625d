"""What of a chat is kept, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define
from twisted.internet.task import Clock

from sockd.client.chat.conversation import Phase
from sockd.client.chat.login import Kept
from sockd.client.chat.servers import Server
from sockd.client.chat.sessions import KEEP_SECONDS, Keeper
from sockd.client.chat.state import NUMBERS_AHEAD, Last, State
from sockd.formats.chat.hello import Welcome

SERVER = b"\x01" * 8


@define
class Conversation:
    """As much of one as is kept."""

    phase: Phase = Phase.HELLO
    nickname: bytes = b"anna"
    kept: Kept | None = None
    welcome: Welcome | None = None


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    found = State(tmp_path / "state")
    yield found
    found.close()


def number(state: State) -> int | None:
    """The one that is kept."""
    found = state.recall(SERVER, b"anna")
    return found.number if found is not None else None


def test_nothing_is_kept_before_we_are_in(state: State) -> None:
    keeper = Keeper(state, Conversation(), Clock().seconds, Server("192.0.2.1", 2027))
    keeper.look()
    assert state.last() == Last()


def test_the_server_is_kept_with_what_it_says_of_itself(state: State) -> None:
    conversation = Conversation()
    keeper = Keeper(state, conversation, Clock().seconds, Server("192.0.2.1", 2027))
    conversation.phase = Phase.IN
    keeper.look()
    assert state.last() == Last(Server("192.0.2.1", 2027), "anna")
    conversation.welcome = Welcome(b"n" * 8, SERVER, 1, b"c" * 16, (), "mail")
    keeper.look()
    assert state.last() == Last(Server("192.0.2.1", 2027, "mail", True, SERVER), "anna")
    keeper.nickname = "user"
    keeper.look()
    assert state.last().nickname == "user"


def test_a_session_is_kept_anew_before_its_numbers_were_all_used(state: State) -> None:
    conversation, clock = Conversation(Phase.IN), Clock()
    keeper = Keeper(state, conversation, clock.seconds, None)
    for used, is_kept in (
        (0, NUMBERS_AHEAD),
        (NUMBERS_AHEAD - 1, NUMBERS_AHEAD),
        (NUMBERS_AHEAD, 2 * NUMBERS_AHEAD),
    ):
        conversation.kept = Kept(SERVER, b"s" * 8, b"k" * 16, used)
        keeper.look()
        assert number(state) == is_kept
    clock.advance(KEEP_SECONDS)
    keeper.look()
    assert number(state) == 2 * NUMBERS_AHEAD


def test_another_session_is_kept_at_once(state: State) -> None:
    conversation, clock = Conversation(Phase.IN), Clock()
    keeper = Keeper(state, conversation, clock.seconds, None)
    for session in (b"s" * 8, b"t" * 8):
        conversation.kept = Kept(SERVER, session, b"k" * 16, 0)
        keeper.look()
        found = state.recall(SERVER, b"anna")
        assert found is not None
        assert found.session == session


def test_channels_are_kept_until_we_leave(state: State) -> None:
    conversation, clock = Conversation(Phase.IN), Clock()
    keeper = Keeper(state, conversation, clock.seconds, None)
    kept = []
    for channels, phase in (
        ((), Phase.IN),
        ((b"Pets", b"Weather"), Phase.IN),
        ((b"Pets", b"Weather"), Phase.AWAY),
        ((b"Pets", b"Weather"), Phase.LEAVING),
    ):
        conversation.phase = phase
        conversation.kept = Kept(SERVER, b"s" * 8, b"k" * 16, 0, channels)
        keeper.look()
        found = state.recall(SERVER, b"anna")
        assert found is not None
        kept.append(found.channels)
    assert kept == [(), (b"Pets", b"Weather"), (b"Pets", b"Weather"), ()]


def test_who_goes_on_by_another_name_has_left_the_channels_of_the_first(state: State) -> None:
    conversation, clock = Conversation(Phase.IN), Clock()
    keeper = Keeper(state, conversation, clock.seconds, None)
    for session, nickname in ((b"s" * 8, b"anna"), (b"t" * 8, b"carl")):
        conversation.nickname = nickname
        conversation.kept = Kept(SERVER, session, b"k" * 16, 0, (b"Pets",))
        keeper.look()
    found = [state.recall(SERVER, nickname) for nickname in (b"anna", b"carl")]
    assert [one.channels for one in found if one is not None] == [(), (b"Pets",)]


def test_a_session_that_goes_on_does_not_get_old(state: State) -> None:
    now = [1_800_000_000.0]
    state.wall = lambda: now[0]
    conversation, clock = Conversation(Phase.IN), Clock()
    keeper = Keeper(state, conversation, clock.seconds, None)
    conversation.kept = Kept(SERVER, b"s" * 8, b"k" * 16, 0)
    for _ in range(20):
        keeper.look()
        now[0] += KEEP_SECONDS
        clock.advance(KEEP_SECONDS)
    assert number(state) is not None
