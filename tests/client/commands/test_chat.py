"""`sock chat` in a pipe: lines in, lines out, against a real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from attrs import define

from tests.client.running import SOCK, Done, sock
from tests.client.served import served, way
from tests.daemons import Daemon, inside, namespace
from tests.processes import PATIENCE, Running, finish, free_port, variables

Files = tuple[Path, Path, Path]
DOORS = ("udp", "tcp", "tls", "unix")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("chat")
    groups = 'listen_multicast = ["udp:0:interface=127.0.0.1"]'
    with served(folder, tls_files, {"chat": [*DOORS, groups]}) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has never chatted."""
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "USER": "rufus", "LOGNAME": "rufus"}


def to(daemon: Daemon, transport: str, tls_files: Files) -> list[str]:
    """The arguments by which `sock chat` gets there."""
    host = [] if transport == "unix" else ["127.0.0.1"]
    by = ["--tcp"] if transport == "tcp" else []
    return [*way(daemon, "chat", transport, tls_files), *by, *host]


def lines(done: Done) -> list[str]:
    """What it has printed."""
    return done.out.decode().splitlines()


@define(eq=False)
class Piped:
    """One that goes on until its input is closed."""

    running: Running

    def type(self, line: str) -> None:
        """A line for it."""
        pipe = self.running.process.stdin
        assert pipe is not None
        pipe.write(f"{line}\n".encode())
        pipe.flush()

    def end(self) -> int:
        """No more lines; its exit code."""
        self.close()
        return self.running.wait()

    def close(self) -> None:
        """No more lines."""
        pipe = self.running.process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()


@contextmanager
def chatting(environment: dict[str, str], *arguments: str) -> Iterator[Piped]:
    """`sock chat` with a pipe at each end."""
    process = subprocess.Popen(
        [SOCK, "chat", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables(environment),
    )
    found = Piped(Running(process))
    reader = threading.Thread(target=found.running.collect, daemon=True)
    reader.start()
    try:
        yield found
    finally:
        found.close()
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        assert process.stdout is not None
        process.stdout.close()


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


# while it runs


@pytest.fixture
def piped(daemon: Daemon, tls_files: Files, home: dict[str, str]) -> Iterator[Piped]:
    """One that is in a channel, by UDP."""
    there = to(daemon, "udp", tls_files)
    with chatting(home, "--nick", "anna", "--join", "Pets", *there) as found:
        found.running.wait_for("you are in Pets")
        yield found


def test_each_line_is_there_when_it_has_happened(piped: Piped) -> None:
    piped.type("hello")
    piped.running.wait_for(r"^\[Pets\] anna: hello$")
    assert piped.end() == 0
    assert piped.running.text().endswith("-- logged off\n")


def test_two_of_one_user_do_not_fight_for_a_session(
    piped: Piped, daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "ANNA", *there, stdin=b"hi\n", environment=home)
    assert done.code == 1
    assert "that nickname is taken" in done.err
    piped.type("still here")
    piped.running.wait_for(r"^\[Pets\] anna: still here$")
    assert "again" not in piped.running.text()


def test_who_was_killed_gets_in_again_by_the_same_name(
    piped: Piped, daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    piped.running.process.kill()
    piped.running.wait()
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "anna", "--join", "Pets", *there, stdin=b"hi", environment=home)
    assert (done.code, done.err) == (0, "")
    assert "[Pets] anna: hi" in lines(done)
    assert "did not arrive" not in done.out.decode()


def test_a_signal_logs_off_and_ends_as_if_nobody_had_caught_it(
    piped: Piped, daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    assert piped.running.stop() == -signal.SIGTERM
    there = to(daemon, "tcp", tls_files)
    elsewhere = {**home, "XDG_STATE_HOME": f"{home['XDG_STATE_HOME']}2"}
    done = sock("chat", "--nick", "anna", *there, environment=elsewhere)
    assert (done.code, done.err) == (0, "")


def test_who_has_read_enough_ends_it_quietly(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    argv = [SOCK, "chat", "--nick", "anna", "--join", "Pets"]
    argv += to(daemon, "udp", tls_files)
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables(home),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        while b"you are in" not in process.stdout.readline():
            pass
        process.stdout.close()
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b""


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
