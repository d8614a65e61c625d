"""`sock chat` in a pipe: lines in, lines out, against a real daemon."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.client.commands.chatting import (
    DOORS,
    Files,
    chat_server,
    lines,
    to,
    user,
)
from tests.client.running import SOCK, sock
from tests.daemons import Daemon, inside, namespace
from tests.processes import PATIENCE, finish, free_port, variables


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    with chat_server(tmp_path_factory.mktemp("chat"), tls_files) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return user(tmp_path)


@pytest.mark.parametrize("transport", DOORS)
def test_what_is_piped_in_is_said_and_confirmed_by_every_door(
    daemon: Daemon, tls_files: Files, home: dict[str, str], transport: str
) -> None:
    there = to(daemon, transport, tls_files)
    done = sock(
        *("chat", "--nick", "anna", "--join", "weather", *there),
        stdin=b"hello\n/msg anna psst\nbye",
        environment=home,
    )
    assert done.err == ""
    assert done.code == 0
    first, *others = lines(done)
    assert first.startswith("-- logged in at ")
    assert first.endswith(" as anna")
    assert others[0] == "-- you are in Weather (1 user)"
    assert others[-1] == "-- logged off"
    assert sorted(others[1:-1]) == [  # what goes to all and what goes to one have no order
        "[Weather] anna: bye",
        "[Weather] anna: hello",
        "[private] anna: psst",
        "[private] to anna: psst",
    ]


def test_lists_are_printed_to_their_end(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "anna", *there, stdin=b"/channels\n", environment=home)
    rows = [line for line in lines(done) if line.startswith("   ")]
    assert [row.split()[0] for row in rows] == [
        *("CurrentEvents", "Weather", "Gardening", "Hobbies", "Pets")
    ]


def test_what_is_not_sent_is_told_and_the_exit_code_says_so(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "anna", *there, stdin=b"to nobody\n", environment=home)
    assert "!! not sent: to nobody" in lines(done)
    assert lines(done)[-1] == "-- logged off"
    assert done.code == 1


def test_what_the_output_s_encoding_has_not_is_printed_as_an_escape(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    done = sock(
        *("chat", "--nick", "anna", "--join", "weather", *there),
        stdin="grüß\n".encode(),
        environment={**home, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.code, done.err) == (0, "")
    assert "[Weather] anna: gr\\xfc\\xdf" in lines(done)


def test_input_that_cannot_be_read_is_told_and_the_exit_code_says_so(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    unreadable = os.open(os.devnull, os.O_WRONLY)
    try:
        done = sock("chat", "--nick", "anna", *there, stdin=unreadable, environment=home)
    finally:
        os.close(unreadable)
    assert done.err == "sock: cannot read standard input: bad file descriptor\n"
    assert done.code == 2


def test_a_refused_nickname_ends_it(daemon: Daemon, tls_files: Files, home: dict[str, str]) -> None:
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "a.b", *there, stdin=b"hello\n", environment=home)
    assert done.code == 1
    assert "a nickname has letters, digits" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("nickname", ["", " ", "a b"])
def test_a_name_that_can_be_none_is_refused_before_anything_is_asked(nickname: str) -> None:
    done = sock("chat", "--nick", nickname, "127.0.0.1")
    assert (done.code, done.out) == (2, b"")
    assert "--nick needs a name without white space" in done.err
    assert sock("chat", "--join", nickname, "127.0.0.1").code == 2


def test_without_a_name_it_is_the_user_s_own(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "tcp", tls_files)
    done = sock("chat", *there, environment={**home, "LOGNAME": "Jo.hn Doe"})
    assert lines(done)[0].endswith(" as JohnDoe")
    done = sock("chat", *there, environment={**home, "LOGNAME": "§§"}, stdin=b"hi")
    assert done.code == 2
    assert "--nick" in done.err


@pytest.mark.parametrize("options", [["--udp"], ["--tcp"]])
def test_a_server_that_is_not_there_is_told_as_by_other_commands(
    home: dict[str, str], options: Sequence[str]
) -> None:
    where = f"127.0.0.1:{free_port()}"
    done = sock("chat", *options, "--nick", "anna", where, stdin=b"hello\n", environment=home)
    assert done.code == 1
    assert where in done.err
    assert done.err.count("\n") == 1


def test_where_datagrams_bring_nothing_the_other_way_is_named(home: dict[str, str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        done = sock("chat", "--nick", "anna", where, stdin=b"hello\n", environment=home)
    assert done.err.startswith(f"sock: {where}: the server does not answer")
    assert "--tcp" in done.err
    assert "!! not sent: hello" in lines(done)
    assert done.code == 3


def test_an_error_that_cannot_be_written_is_told_by_the_exit_code(home: dict[str, str]) -> None:
    argv = [SOCK, "chat", "--nick", "anna", f"127.0.0.1:{free_port()}"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            env=variables(home),
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, b"")


def test_bots_have_each_event_as_a_line_of_json(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "unix", tls_files)
    argv = ["chat", "-J", "--nick", "bot", "--join", "Pets", *there]
    done = sock(*argv, stdin=b"h\xc3\xa9llo \xff\n/nope\n", environment=home)
    events = [json.loads(line) for line in lines(done)]
    assert done.out.isascii()
    assert {one["type"]: one for one in events}["notice"]["level"] == "error"
    said = next(one for one in events if one["type"] == "message")
    assert said.pop("time_ms") > 1_600_000_000_000
    assert said == {
        "type": "message",
        "user": "bot",
        "text": "héllo \\xff",
        "channel": "Pets",
        "is_own": True,
        "to": "",
        "is_marked": False,
    }
    assert [one["type"] for one in events if one["type"] not in ("notice", "message")] == [
        *("logged_in", "joined", "ended")
    ]


def test_a_nickname_of_a_script_is_not_the_user_s_next_time(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    assert sock("chat", "--nick", "bot", *there, environment=home).code == 0
    kept = json.loads((Path(home["XDG_STATE_HOME"]) / "sockd" / "chat.json").read_text())
    assert kept["nickname"] == ""
    assert kept["server"]["port"] == daemon.address("chat", "udp")[1]


def test_what_is_kept_is_for_its_user_alone(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    sock("chat", "--nick", "anna", *there, environment=home)
    folder = Path(home["XDG_STATE_HOME"]) / "sockd"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}


# finding


def test_it_finds_a_server_by_itself_and_says_which(tmp_path: Path, home: dict[str, str]) -> None:
    config = '[service.chat]\nlisten = ["udp:2027:interface=0.0.0.0", "tcp:2027"]\n'
    with namespace() as host, Daemon(tmp_path, config, namespace=host) as daemon:
        found = inside(host, "env", *settings(home), SOCK, "chat", "--nick", "anna").decode()
        assert "-- talking to " in found
        assert "(127.0.0.1:2027)" in found
        assert "as anna" in found
        by_tcp = inside(host, "env", *settings(home), SOCK, "chat", "--tcp").decode()
        assert "by tcp" in by_tcp
        assert daemon.wait_for("opened", transport="tcp")


def test_a_server_that_is_found_at_its_door_of_groups_is_spoken_to_there(
    tmp_path: Path, home: dict[str, str]
) -> None:
    config = '[service.chat]\nlisten = ["tcp:2027"]\n'
    config += 'listen_multicast = ["udp:2029:interface=127.0.0.1"]\n'
    with namespace() as host, Daemon(tmp_path, config, namespace=host):
        found = inside(host, "env", *settings(home), SOCK, "chat", "--nick", "anna").decode()
        assert "(127.0.0.1:2029)" in found
        assert "as anna" in found


def test_where_nobody_answers_it_says_what_can_be_done(home: dict[str, str]) -> None:
    with namespace() as host:
        argv = ["ip", "netns", "exec", host, SOCK, "chat", "--nick", "anna"]
        done = finish(argv, environment=home)
    assert done.returncode == 3
    for hint in (b"HOST", b"--doctor", b"sockd run"):
        assert hint in done.stderr


def settings(environment: dict[str, str]) -> list[str]:
    """As `env` has it."""
    return [f"{name}={value}" for name, value in environment.items()]
