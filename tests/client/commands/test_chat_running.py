"""`sock chat` in a pipe: what happens while it goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.commands.chatting import (
    Files,
    Piped,
    chat_server,
    chatting,
    lines,
    to,
    user,
)
from tests.client.running import SOCK, sock
from tests.daemons import Daemon
from tests.processes import PATIENCE, free_port, variables, wait_until


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, tls_files: Files) -> Iterator[Daemon]:
    with chat_server(tmp_path_factory.mktemp("chat"), tls_files) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return user(tmp_path)


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


def test_who_was_killed_gets_in_again_by_the_same_name_and_into_the_same_channels(
    piped: Piped, daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    sessions = Path(home["XDG_STATE_HOME"], "sockd")
    wait_until(
        lambda: any("Pets" in one.read_text() for one in sessions.glob("session-*-anna")),
        "the channel in the session's file",
        PATIENCE,
    )
    piped.running.process.kill()
    piped.running.wait()
    there = to(daemon, "udp", tls_files)
    done = sock("chat", "--nick", "anna", *there, stdin=b"hi", environment=home)
    assert (done.code, done.err) == (0, "")
    assert "[Pets] anna: hi" in lines(done)
    assert "did not arrive" not in done.out.decode()
    done = sock("chat", "--nick", "anna", *there, stdin=b"hi", environment=home)  # it has left
    assert "!! not sent: hi" in lines(done)


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
        while b"you are in" not in (line := process.stdout.readline()):
            assert line, "it has ended"
        process.stdout.close()
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("options", "is_told"), [([], False), (["-v"], True)])
def test_by_v_it_is_told_of_all_who_come_and_go(
    daemon: Daemon, tls_files: Files, home: dict[str, str], options: list[str], is_told: bool
) -> None:
    there = to(daemon, "tcp", tls_files)
    with chatting(home, "--nick", "anna", "--join", "Pets", *options, *there) as found:
        found.running.wait_for("you are in Pets")
        sock("chat", "--nick", "bert", "--join", "pets", *there, environment=home)
        found.type("the last")
        found.running.wait_for("anna: the last")
        for what in ("bert has come to Pets", "bert has left Pets"):
            assert (what in found.running.text()) is is_told


def test_where_nothing_can_be_written_that_is_told(
    daemon: Daemon, tls_files: Files, home: dict[str, str]
) -> None:
    argv = [SOCK, "chat", "--nick", "anna", *to(daemon, "tcp", tls_files)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=variables(home),
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"sock: cannot write the output: no space left on device\n"


# a server that starts anew


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_is_said_while_the_server_is_gone_is_said_when_it_is_back(
    tmp_path: Path, home: dict[str, str], transport: str
) -> None:
    port = free_port()
    config = (
        "[service.chat]\n"
        f'listen = ["udp:{port}:interface=127.0.0.1", "tcp:{port}:interface=127.0.0.1"]\n'
        'listen_multicast = ["udp:0:interface=127.0.0.1"]\n'
    )
    arguments = ("--nick", "anna", "--join", "Pets", f"--{transport}", f"127.0.0.1:{port}")
    with Daemon(tmp_path, config, may_crash=True) as daemon, chatting(home, *arguments) as found:
        found.running.wait_for("you are in Pets")
        daemon.kill()
        if transport == "tcp":
            found.running.wait_for("!! the connection has ended; trying again")
        found.type("hello again")
        if transport == "udp":
            found.running.wait_for("!! .*: port unreachable")
        daemon.start()
        found.running.wait_for("-- logged in again")
        found.type("all is well")
        found.running.wait_for(r"^\[Pets\] anna: all is well$")
        assert found.end() == ("not sent" in found.running.text())
        assert ("[Pets] anna: hello again\n" in found.running.text()) == (
            "not sent" not in found.running.text()
        )
        assert found.running.text().count("unreachable") <= 2  # before, and while it comes back


def test_a_server_that_is_back_at_its_socket_file_is_found_there(
    tmp_path: Path, home: dict[str, str]
) -> None:
    """The file is another one then: nothing comes by it to who was connected to the first."""
    path = tmp_path / "chat.sock"
    config = f'[service.chat]\nlisten = ["unixgram:{path}"]\nlisten_multicast = []\n'
    arguments = ("--nick", "anna", "--join", "Pets", "--udp", "--unix", str(path))
    with Daemon(tmp_path, config, may_crash=True) as daemon, chatting(home, *arguments) as found:
        found.running.wait_for("you are in Pets")
        daemon.kill()
        daemon.start()
        found.type("hello again")
        found.running.wait_for("-- logged in again")
        found.type("all is well")
        found.running.wait_for(r"^\[Pets\] anna: all is well$")
        found.end()
