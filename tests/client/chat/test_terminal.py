"""The chat on a terminal, as its screen shows it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sockd.formats.chat.events import Code
from tests.client.chat.screens import COLUMNS, Screen, on_screen
from tests.client.chat.served import Served, old_server

TIME = r"\d\d:\d\d "
FOCUS_IN, FOCUS_OUT = b"\x1b[I", b"\x1b[O"


@pytest.fixture
def server() -> Iterator[Served]:
    with old_server() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has never chatted."""
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def screen(tmp_path: Path, home: dict[str, str], server: Served) -> Iterator[Screen]:
    """One that is in a channel."""
    arguments = ("--nick", "anna", "--join", "weather", server.where)
    with on_screen(tmp_path / "screen", home, *arguments) as found:
        found.wait_for("you are in Weather")
        found.wait_for(r"^\[Weather\]$")
        yield found


def test_the_whole_screen(screen: Screen, server: Served) -> None:
    server.say(Code.PUBLIC_MSG, b"Weather bert hello there")
    screen.wait_for("hello there")
    screen.type("hello bert", "Enter")
    screen.wait_for("anna: hello bert")
    server.say(Code.PRIVATE_MSG, b"bert psst")
    screen.wait_for("psst")
    server.say(Code.USER_PARTS, b"Weather bert")
    screen.wait_for("has left")
    screen.type("being typed")
    screen.wait_for("being typed")
    rows = [re.sub(f"^{TIME}", "TIME ", row) for row in screen.rows() if row]
    assert rows == [
        "TIME -- logged in as anna",
        "TIME -- you are in Weather (1 user)",
        "TIME [Weather] bert: hello there",
        "TIME [Weather] anna: hello bert",
        "TIME [private] bert: psst",
        "TIME -- bert has left Weather",
        "[Weather] being typed",
        " anna",
    ]


def test_what_is_being_typed_stays_below_what_comes(screen: Screen, server: Served) -> None:
    screen.type("I was just")
    screen.wait_for("I was just")
    for number in range(20):
        server.say(Code.PUBLIC_MSG, b"Weather bert number %d" % number)
    screen.wait_for("number 19")
    screen.wait_for(r"^\[Weather\] I was just$")
    assert [row[-2:].strip() for row in screen.rows() if "number" in row] == [
        str(number) for number in range(20)
    ]
    screen.type(" about to", "Enter")
    server.wait_for(Code.SEND_PUBLIC, b"I was just about to")


def test_the_first_start_asks_for_a_nickname_and_the_next_knows_it(
    tmp_path: Path, home: dict[str, str], server: Served
) -> None:
    mine = {**home, "LOGNAME": "ru.fus"}
    with on_screen(tmp_path / "first", mine, server.where) as first:
        first.wait_for(r"^nickname \[rufus\]:")
        first.type("berta", "Enter")
        first.wait_for("as berta")
        first.wait_for("about Weather")  # what there is, as a new user needs it
        first.type("C-d")
        assert first.code() == 0
    with on_screen(tmp_path / "second", home, server.where) as second:
        second.wait_for("as berta")


def test_a_nickname_that_is_taken_is_asked_for_again(
    tmp_path: Path, home: dict[str, str], server: Served
) -> None:
    server.server.taken = {b"anna"}
    with on_screen(tmp_path / "screen", home, "--nick", "anna", server.where) as screen:
        screen.wait_for("nickname already in use")
        screen.wait_for("^nickname:")
        screen.type("Enter")
        screen.type("berta", "Enter")
        screen.wait_for("as berta")
        screen.wait_for(r"^\[no channel\]")


def test_commands_channels_and_nicknames_are_completed(screen: Screen, server: Served) -> None:
    server.say(Code.PUBLIC_MSG, b"Weather bertram hi")
    screen.wait_for("bertram")
    screen.type("/ch", "Tab")
    screen.wait_for(r"^\[Weather\] /channels$")
    screen.type("Enter")
    screen.wait_for("about Pets")
    screen.type("/jo", "Tab")
    screen.wait_for("/join")
    screen.type("pe", "Tab")
    screen.wait_for(r"^\[Weather\] /join Pets$")
    screen.type("Enter")
    screen.wait_for(r"^\[Pets\]$")
    screen.type("ber", "Tab")
    screen.wait_for("bertram:")
    screen.type("hello")
    screen.wait_for(r"^\[Pets\] bertram: hello$")
    screen.type("C-c")
    screen.type("/msg BE", "Tab")
    screen.wait_for("/msg bertram")
    screen.type("psst", "Enter")
    server.wait_for(Code.SEND_PRIVATE, b"bertram psst")


def test_what_was_typed_is_known_the_next_time(
    tmp_path: Path, screen: Screen, home: dict[str, str], server: Served
) -> None:
    screen.type("words of wisdom", "Enter")
    screen.wait_for("anna: words of wisdom")
    screen.type("C-d")
    assert screen.code() == 0
    history = Path(home["XDG_STATE_HOME"]) / "sockd" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    with on_screen(tmp_path / "next", home, server.where) as following:
        following.wait_for("as anna")
        following.type("Up")
        following.wait_for(r"^\[no channel\] words of wisdom$")


def test_what_cannot_be_kept_is_told_and_the_chat_goes_on(
    tmp_path: Path, home: dict[str, str], server: Served
) -> None:
    folder = Path(home["XDG_STATE_HOME"])
    folder.mkdir()
    (folder / "sockd").write_text("in the way")
    with on_screen(tmp_path / "screen", home, "--nick", "anna", server.where) as screen:
        screen.wait_for("nothing is kept for the next time")
        screen.wait_for("as anna")
        screen.type("C-d")
        assert screen.code() == 0
        assert screen.text().count("nothing is kept") == 1


def test_a_pasted_text_is_said_line_by_line(screen: Screen, server: Served) -> None:
    screen.paste("first\nsecond")
    screen.wait_for("^second")
    assert (Code.SEND_PUBLIC, b"first") not in server.server.had
    screen.type("Enter")
    server.wait_for(Code.SEND_PUBLIC, b"first")
    server.wait_for(Code.SEND_PUBLIC, b"second")


# what a stranger sends

EVIL = {
    "title": b"\x1b]0;owned\x07",
    "clear": b"\x1b[2J\x1b[H",
    "c1": b"\x9b2J \xc2\x9b2J \xc2\x90q",
    "bidi": "\u202egnp.exe \u2066x".encode(),
    "report": b"\x1b[6n\x05",
    "return": b"hidden\rshown\x08\x08",
    "bell": b"\x07\x0e\x7f",
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_nothing_that_acts_on_a_terminal_gets_there(
    screen: Screen, server: Served, evil: bytes
) -> None:
    begin = len(screen.written())
    for code, text in (
        (Code.PUBLIC_MSG, b"Weather %s <%s>"),
        (Code.PRIVATE_MSG, b"%s <%s>"),
        (Code.USER_ITEM, b"%s 5 <%s>"),
        (Code.CHANNEL_ITEM, b"Weather%s 5 <%s>"),
    ):
        server.say(code, text % (evil.replace(b" ", b""), evil))
    server.say(Code.ERROR, b"<%s>" % evil)
    server.say(Code.PUBLIC_MSG, b"Weather bert the last one")
    screen.wait_for("the last one")
    written = screen.written()[begin:]
    for part in evil.split(b" "):
        assert part not in written
    shown = written.decode()  # so it is UTF-8, and no byte stands alone
    assert not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert "owned" not in screen.text() or r"\x1b]0;owned" in screen.text()


# signals for who does not look


def test_our_name_and_what_is_for_us_alone_ring(screen: Screen, server: Served) -> None:
    begin = len(screen.written())
    server.say(Code.PUBLIC_MSG, b"Weather bert nothing much")
    screen.wait_for("nothing much")
    assert b"\a" not in screen.written()[begin:]
    server.say(Code.PUBLIC_MSG, b"Weather bert anna: look")
    screen.wait_for("look")
    server.say(Code.PUBLIC_MSG, b"Weather bert behind it")
    screen.wait_for("behind it")
    assert screen.written()[begin:].count(b"\a") == 1


def test_a_rule_stands_above_what_came_while_the_terminal_was_out_of_focus(
    screen: Screen, server: Served
) -> None:
    assert b"\x1b[?1004h" in screen.written()
    server.say(Code.PUBLIC_MSG, b"Weather bert seen")
    screen.wait_for("seen")
    screen.send(FOCUS_OUT)
    screen.type("x")  # once this is there, that was read, too
    screen.wait_for(r"\] x$")
    for text in (b"one", b"two"):
        server.say(Code.PUBLIC_MSG, b"Weather bert unseen " + text)
    screen.wait_for("unseen two")
    screen.send(FOCUS_IN)
    screen.type("y")
    screen.wait_for(r"\] xy$")
    server.say(Code.PUBLIC_MSG, b"Weather bert seen again")
    screen.wait_for("seen again")
    rows = [re.sub(f"^{TIME}", "", row) for row in screen.rows()]
    rules = [number for number, row in enumerate(rows) if row.startswith("---")]
    assert [rows[number + 1] for number in rules] == ["[Weather] bert: unseen one"]
    assert len(rows[rules[0]]) == COLUMNS - 1


# the end


def test_the_first_control_c_clears_the_line_and_the_second_leaves(
    screen: Screen, server: Served
) -> None:
    screen.type("never said", "C-c")
    screen.wait_for(r"^ \^C again leaves")
    screen.wait_for(r"^\[Weather\]$")
    screen.type("x")
    screen.wait_for("^ anna")
    screen.type("C-c")
    screen.wait_for(r"^ \^C again leaves")
    screen.type("C-c")
    assert screen.code() == 0
    assert screen.written().endswith(b"\x1b[?1004l") or b"\x1b[?1004l" in screen.written()
    assert server.server.had[-1] == (Code.LOGOFF, b"anna")


@pytest.mark.parametrize("key", ["C-d", "/quit"])
def test_it_is_left_by_the_keyboard(screen: Screen, server: Served, key: str) -> None:
    screen.type(key, *(["Enter"] if key == "/quit" else []))
    assert screen.code() == 0
    assert "-- logged off" in screen.text()
    assert server.server.had[-1] == (Code.LOGOFF, b"anna")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(
    screen: Screen, server: Served, number: signal.Signals
) -> None:
    screen.type("half a li")
    screen.wait_for("half a li")
    os.kill(screen.pid(), number)
    assert screen.code() == 128 + number
    assert b"\x1b[?1004l" in screen.written()
    assert server.server.had[-1] == (Code.LOGOFF, b"anna")
    assert screen.errors() in ("", "Terminated\n", "Hangup\n")  # a shell's


def test_who_is_sent_away_by_an_old_server_is_told_why(screen: Screen, server: Served) -> None:
    server.say(Code.LOGOFF, b"forged")  # no old server sends that
    server.say(Code.ERROR, b"be \x1b[31mgone")
    screen.wait_for(r"be \\x1b\[31mgone")
    assert "forged" not in screen.text()


def test_two_signals_in_a_row_leave_it_as_it_was_too(screen: Screen) -> None:
    pid = screen.pid()
    for _ in range(2):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert screen.code() == 128 + signal.SIGTERM
    assert b"\x1b[?1004l" in screen.written()


@pytest.mark.parametrize("key", ["C-c", "C-d"])
def test_who_gives_no_nickname_is_told_how(
    tmp_path: Path, home: dict[str, str], server: Served, key: str
) -> None:
    with on_screen(tmp_path / "screen", home, server.where) as screen:
        screen.wait_for("^nickname")
        screen.type(key)
        assert screen.code() == 2
        assert "--nick" in screen.errors()


def test_a_signal_at_the_first_question_leaves_the_terminal_as_it_was(
    tmp_path: Path, home: dict[str, str], server: Served
) -> None:
    with on_screen(tmp_path / "screen", home, server.where) as screen:
        screen.wait_for("^nickname")
        os.kill(screen.pid(), signal.SIGTERM)
        assert screen.code() == 128 + signal.SIGTERM
