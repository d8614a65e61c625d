"""What is kept from one chat to the next."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sockd.client.chat.login import Kept
from sockd.client.chat.servers import Server
from sockd.client.chat.state import (
    MOST_BYTES,
    MOST_HISTORY,
    MOST_NUMBER,
    NUMBERS_AHEAD,
    OLD_SECONDS,
    Last,
    State,
    folder_of,
)

SERVER = b"\x01" * 8
KEPT = Kept(SERVER, b"s" * 8, b"k" * 16, 7)
LAST = Last(Server("192.0.2.1", 2029, "mail", True, SERVER), "anna")


@define(eq=False)
class Kitchen:
    """A folder, and chats that use it."""

    folder: Path
    now: float = 1_800_000_000.0
    told: list[str] = field(factory=list)
    open: list[State] = field(factory=list)

    def state(self) -> State:
        """As another chat has it."""
        made = State(self.folder, self.told.append, lambda: self.now)
        self.open.append(made)
        return made

    @property
    def session(self) -> Path:
        """The file of anna's session."""
        return self.folder / f"session-{SERVER.hex()}-anna"


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    found = Kitchen(tmp_path / "deep" / "state")
    yield found
    for one in found.open:
        one.close()


def test_it_lies_where_xdg_says() -> None:
    home = {"HOME": "/users/anna"}
    assert folder_of(home) == Path("/users/anna/.local/state/sockd")
    assert folder_of({**home, "XDG_STATE_HOME": "/var/state"}) == Path("/var/state/sockd")
    assert folder_of({**home, "XDG_STATE_HOME": "state"}) == Path("/users/anna/.local/state/sockd")
    assert folder_of({}) is None


def test_the_last_server_and_nickname_are_known_the_next_time(kitchen: Kitchen) -> None:
    assert kitchen.state().last() == Last()
    for last in (LAST, Last(None, "bert"), Last(Server("::1", 1))):
        kitchen.state().keep_last(last)
        assert kitchen.state().last() == last
    assert kitchen.told == []


def test_a_session_is_taken_up_with_numbers_that_were_never_used(kitchen: Kitchen) -> None:
    state = kitchen.state()
    assert state.recall(SERVER, b"anna") is None
    assert state.keep(KEPT, b"Anna") == 7 + NUMBERS_AHEAD
    state.close()
    found = kitchen.state().recall(SERVER, b"ANNA")
    assert found == evolve(KEPT, number=7 + NUMBERS_AHEAD)


def test_a_session_is_one_server_s_and_one_nickname_s(kitchen: Kitchen) -> None:
    kitchen.state().keep(KEPT, b"anna")
    assert kitchen.state().recall(b"\x02" * 8, b"anna") is None
    assert kitchen.state().recall(SERVER, b"bert") is None


def test_a_session_is_one_chat_s_as_long_as_that_goes_on(kitchen: Kitchen) -> None:
    first, second = kitchen.state(), kitchen.state()
    first.keep(KEPT, b"anna")
    assert second.recall(SERVER, b"anna") is None
    second.keep(evolve(KEPT, session=b"t" * 8), b"anna")
    assert first.recall(SERVER, b"anna") is not None
    first.close()
    found = second.recall(SERVER, b"anna")
    assert found is not None
    assert found.session == KEPT.session


def test_by_another_nickname_the_session_before_is_free(kitchen: Kitchen) -> None:
    first, second = kitchen.state(), kitchen.state()
    first.keep(KEPT, b"anna")
    first.keep(KEPT, b"bert")
    assert second.recall(SERVER, b"anna") is not None


def test_a_session_that_is_too_old_is_not_taken_up(kitchen: Kitchen) -> None:
    kitchen.state().keep(KEPT, b"anna")
    kitchen.open[0].close()
    kitchen.now += OLD_SECONDS - 1
    assert kitchen.open[0].recall(SERVER, b"anna") is not None
    kitchen.now += 1
    assert kitchen.open[0].recall(SERVER, b"anna") is None
    kitchen.now -= 3 * OLD_SECONDS  # the clock was set
    assert kitchen.open[0].recall(SERVER, b"anna") is None


def test_a_session_whose_numbers_are_about_to_end_is_not_taken_up(kitchen: Kitchen) -> None:
    state = kitchen.state()
    state.keep(evolve(KEPT, number=MOST_NUMBER - NUMBERS_AHEAD), b"anna")
    assert state.recall(SERVER, b"anna") is not None
    state.keep(evolve(KEPT, number=MOST_NUMBER - NUMBERS_AHEAD + 1), b"anna")
    assert state.recall(SERVER, b"anna") is None


@pytest.mark.parametrize("nickname", [b"", b"../../etc", b"a/b", b"a\0b", b"\xff", b"a" * 33])
def test_a_name_that_is_no_part_of_a_file_s_is_not_kept(kitchen: Kitchen, nickname: bytes) -> None:
    kitchen.state().keep(KEPT, nickname)
    assert kitchen.state().recall(SERVER, nickname) is None
    assert not kitchen.folder.exists()


def test_all_is_for_its_user_alone_and_nothing_is_left_half(kitchen: Kitchen) -> None:
    state = kitchen.state()
    state.keep(KEPT, b"anna")
    state.keep_last(LAST)
    state.history()
    assert kitchen.folder.stat().st_mode & 0o777 == 0o700
    names = {one.name: one.stat().st_mode & 0o777 for one in kitchen.folder.iterdir()}
    assert names == dict.fromkeys(
        ("chat.json", "history", kitchen.session.name, f"{kitchen.session.name}.lock"), 0o600
    )


def test_old_sessions_are_removed_and_those_that_go_on_are_not(kitchen: Kitchen) -> None:
    state = kitchen.state()
    state.keep(KEPT, b"bert")
    state.keep(KEPT, b"anna")
    for one in kitchen.folder.iterdir():
        os.utime(one, (kitchen.now - OLD_SECONDS - 1,) * 2)
    state.keep(KEPT, b"anna")
    os.utime(kitchen.session, (kitchen.now,) * 2)
    state.clean()
    assert {one.name for one in kitchen.folder.iterdir()} == {
        kitchen.session.name,
        f"{kitchen.session.name}.lock",
    }


# what is broken, or somebody else's


BROKEN = {
    "empty": "",
    "no JSON": "{",
    "no object": "[]",
    "deep": "[" * 10_000,
    "no UTF-8": "\udcff",
    "long": '"' + "x" * MOST_BYTES + '"',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_as_good_as_none_and_told_once(kitchen: Kitchen, text: str) -> None:
    kitchen.state().keep(KEPT, b"anna")
    kitchen.open[0].close()
    for name in ("chat.json", kitchen.session.name):
        (kitchen.folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    state = kitchen.state()
    assert state.last() == state.last() == Last()
    assert state.recall(SERVER, b"anna") is None
    assert len(kitchen.told) == 2
    state.keep_last(LAST)
    assert state.last() == LAST


@pytest.mark.parametrize(
    "server",
    [
        [],
        {},
        {"host": 1, "port": 2},
        {"host": "h", "port": 0},
        {"host": "h", "port": 65_536},
        {"host": "h", "port": "2"},
        {"host": "h", "port": 2, "id": "xx"},
        {"host": "h", "port": 2, "id": 5},
    ],
)
def test_a_server_that_cannot_be_one_is_told(kitchen: Kitchen, server: object) -> None:
    kitchen.folder.mkdir(parents=True)
    (kitchen.folder / "chat.json").write_text(json.dumps({"server": server, "nickname": "anna"}))
    assert kitchen.state().last() == Last()
    assert len(kitchen.told) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["server", "nickname", "session", "key", "number", "at"]), JSON)
)
def test_whatever_stands_there_nothing_fails(tmp_path: Path, found: dict[str, object]) -> None:
    kitchen = Kitchen(tmp_path)
    for name in ("chat.json", kitchen.session.name):
        (kitchen.folder / name).write_text(json.dumps(found))
    state = kitchen.state()
    state.last()
    state.recall(SERVER, b"anna")
    state.close()


@pytest.mark.parametrize("wrong", ['"number": Infinity', '"at": 1' + "0" * 400])
def test_a_number_without_bounds_is_broken(kitchen: Kitchen, wrong: str) -> None:
    kitchen.state().keep(KEPT, b"anna")
    kept = kitchen.session.read_text().rstrip().removesuffix("}")
    kitchen.session.write_text(f"{kept}, {wrong}}}")
    kitchen.open[0].close()
    assert kitchen.state().recall(SERVER, b"anna") is None
    assert "is broken" in kitchen.told[0]


def test_channels_that_can_be_none_are_not_joined_again(kitchen: Kitchen) -> None:
    kitchen.state().keep(
        evolve(KEPT, channels=(b"Pets", b"a b", "Grün".encode(), b"\xff")), b"anna"
    )
    kitchen.open[0].close()
    found = kitchen.state().recall(SERVER, b"anna")
    assert found is not None
    assert found.channels == (b"Pets", "Grün".encode(), "\ufffd".encode())


def test_a_link_or_a_pipe_in_its_place_is_left_alone(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.folder.mkdir(parents=True)
    other = tmp_path / "other"
    other.write_text("secret")
    (kitchen.folder / "chat.json").symlink_to(other)
    (kitchen.folder / "history").symlink_to(other)
    os.mkfifo(kitchen.session)
    state = kitchen.state()
    assert state.last() == Last()
    assert state.recall(SERVER, b"anna") is None
    assert state.history() is None
    assert len(kitchen.told) == 3
    assert other.read_text() == "secret"


def test_a_file_of_somebody_else_is_left_alone(kitchen: Kitchen) -> None:
    kitchen.state().keep_last(LAST)
    os.chown(kitchen.folder / "chat.json", 65_534, -1)
    assert kitchen.state().last() == Last()
    assert "not a file of ours" in kitchen.told[0]


def test_where_nothing_can_be_written_that_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kitchen = Kitchen(tmp_path / "file" / "state")
    state = kitchen.state()
    for _ in range(2):
        state.keep_last(LAST)
        state.keep(KEPT, b"anna")
        assert state.history() is None
    assert len(kitchen.told) == 1


def test_where_no_file_can_be_made_that_is_told_once() -> None:
    kitchen = Kitchen(Path("/proc/self"))
    state = kitchen.state()
    for nickname in ("anna", "bert"):
        state.keep_last(Last(None, nickname))
    assert kitchen.told == ["nothing is kept for the next time: no such file or directory"]


def test_without_a_home_nothing_is_kept() -> None:
    state = State(None)
    state.keep_last(LAST)
    state.keep(KEPT, b"anna")
    state.clean()
    assert (state.last(), state.recall(SERVER, b"anna"), state.history()) == (Last(), None, None)


# what was typed


def test_of_a_long_history_the_older_half_is_forgotten(kitchen: Kitchen) -> None:
    path = kitchen.state().history()
    assert path is not None
    path.write_text("".join(f"\n# then\n+line {number:08}\n" for number in range(20_000)))
    assert path.stat().st_size > MOST_HISTORY
    kitchen.state().history()
    text = path.read_text()
    assert MOST_HISTORY // 2 - 100 < len(text) <= MOST_HISTORY // 2
    assert text.startswith("# then\n+line ")
    assert text.endswith("+line 00019999\n")
    kitchen.state().history()
    assert path.read_text() == text
