"""A server of the chat is killed, and started again on the socket that a service manager holds: old
clients live on, as nobody tells them that the port is closed, and ours come back by themselves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.listen.test_systemd import command
from tests.processes import Running, free_port, on_suite_reactor, running, wait_until
from tests.real.old_chat import CLIENT, Person, new, old, perl

CONFIG = """
[service.talk]
kind = "chat"
listen = ["systemd:name=chat:type=datagram"]
state = "{folder}/chat.state"
event_burst = 100
"""


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """What the service manager holds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def daemon(folder: Path) -> list[str]:
    """The command of the daemon."""
    file = folder / "sockd.toml"
    file.write_text(CONFIG.format(folder=folder), "utf-8")
    return [*on_suite_reactor("run"), "--log-format", "json", "--config", str(file)]


@contextmanager
def serving(held: socket.socket, folder: Path) -> Iterator[Running]:
    """The daemon, with the socket handed over as systemd does."""
    with running(
        command([("chat", held.fileno())], daemon(folder)),
        environment={"LISTEN_FDNAMES": "chat", "RUNTIME_DIRECTORY": str(folder)},
        pass_fds=[held.fileno()],
    ) as child:
        child.wait_for('"event": "started"')
        yield child
        assert "Traceback" not in child.text()


def wait_for_names(folder: Path, *names: str) -> None:
    """Until the server has written down who can come back."""
    state = folder / "chat.state"
    wait_until(
        lambda: state.exists() and all(name.encode() in state.read_bytes() for name in names),
        f"{names} in the state",
    )


def test_old_clients_outlive_the_server_and_new_ones_are_back_in_their_channels(
    held: socket.socket, tmp_path: Path
) -> None:
    port = held.getsockname()[1]
    with (
        serving(held, tmp_path) as first,
        old("rufus", port) as rufus,
        new("anna", port) as anna,
        new("bert", port) as bert,
    ):
        rufus.says("/join weather").hears("joined Weather, 1 there")
        anna.says("/join weather").hears("-- you are in Weather (2 users)")
        rufus.hears("[Weather] anna comes")
        bert.says("/join weather").hears("-- you are in Weather (3 users)")
        rufus.hears("[Weather] bert comes")
        for name, person in (("anna", anna), ("bert", bert)):
            person.says("hello")
            for one in (rufus, anna, bert):
                one.hears(f"[Weather] {name}: hello")
        anna.says("/join pets").hears("-- you are in Pets (1 user)")
        wait_for_names(tmp_path, "anna", "bert")
        first.process.kill()
        first.wait()
        rufus.says("who is there?")  # what is sent now waits in the socket
        with Person(*perl(CLIENT, "127.0.0.1", str(port))) as otto:
            otto.hears("name?").says("otto").hears("try 1")
            with serving(held, tmp_path):
                otto.skips_to("in as otto")
                rufus.hears("error: please log in")
                rufus.says("/login").hears("name?").says("rufus").hears("try 1", "in as rufus")
                rufus.says("/join weather").skips_to("joined Weather, ")
                come_back(rufus, anna, bert)


def come_back(rufus: Person, anna: Person, bert: Person) -> None:
    """Two of them do it by themselves, in Weather, and without a word to others."""
    anna.says("one")
    bert.says("two")
    anna.skips_to("-- you are in Weather (").hears("-- you are in Pets (1 user)")
    bert.skips_to("-- you are in Weather (").says("back")
    for one in (anna, bert, rufus):
        one.skips_to("[Weather] bert: back")
        assert b" come" not in one.output.partition(b"[Weather] bert: hello")[2]
    anna.says("all").hears("[Pets] anna: all")


def test_an_old_client_for_whom_systemd_starts_the_server_gets_in(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    activate = ["systemd-socket-activate", "--datagram", "--listen", where, "--fdname=chat"]
    runtime = f"--setenv=RUNTIME_DIRECTORY={tmp_path}"
    with running([*activate, runtime, *daemon(tmp_path)]) as child:
        child.wait_for("Listening")
        with Person(*perl(CLIENT, *where.split(":"))) as otto:
            otto.hears("name?").says("otto").hears("try 1")
            # what it sent first came before anybody could ask by which interface
            otto.skips_to("in as otto")
            otto.says("/join pets").skips_to("joined Pets, 1 there").says("hi")
            otto.hears("[Pets] otto: hi").says("/quit").ends()
        child.stop()
        assert "Traceback" not in child.text()
