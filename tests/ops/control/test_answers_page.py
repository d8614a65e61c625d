"""docs/control.md has every field of every answer, as a daemon gives it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import succeed

from sockd.formats.chat.events import Code, pack, unpack
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.client import ControlClient
from sockd.ops.control.commands import COMMANDS
from tests.daemons import Daemon
from tests.processes import PATIENCE, wait_until

PAGE = (Path(__file__).parents[3] / "docs" / "control.md").read_text("utf-8")
CONFIG = """
[service.echo]
listen = ["tcp:0:interface=127.0.0.1"]
[service.discard]
listen = ["tcp:0:interface=127.0.0.1"]
[service.chat]
listen = ["udp:0:interface=127.0.0.1"]
listen_multicast = []
state = "chat.state"
"""
HERE, THERE = "127.0.0.1", "127.0.0.5"
QUESTIONS: dict[str, dict[str, Any]] = {
    "sessions": {},
    "kill": {"services": ["discard"]},
    "log-level": {},
    "set-log-level": {"level": "debug"},
    "metrics": {},
    "ban": {"prefixes": [THERE]},
    "bans": {},
    "refused": {},
    "test-access": {"service": "echo", "address": THERE},
    "unban": {"prefixes": [THERE]},
    "chat-who": {},
    "chat-mute": {"nickname": "ada"},
    "chat-unmute": {"nickname": "ada"},
    "chat-kick": {"nickname": "ada"},
    "chat-ban": {"prefixes": [THERE]},
    "chat-unban": {"prefixes": [THERE]},
    "disable": {"service": "discard"},
    "status": {},
    "enable": {"service": "discard"},
    "reload": {},
}
"""What is asked of a daemon, in this order; an upgrade is not."""


def part(heading: str) -> str:
    return PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]


def told() -> dict[str, set[str]]:
    """The fields of each answer, as the page has them."""
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| .* \|$", part("What is answered"), re.M)
    return {
        name: set(re.findall("`([^`]+)`", fields))
        for names, fields in rows
        for name in re.findall("`([^`]+)`", names)
    }


def told_of_status() -> set[str]:
    cells = re.findall(r"^\| (`.*?) \| ", part("What `status` tells"), re.M)
    return {name for cell in cells for name in re.findall("`([^`]+)`", cell)}


def fields(answer: Any) -> Iterator[str]:
    """The names of all that an answer has, inside of it too."""
    if isinstance(answer, list):
        for one in answer:
            yield from fields(one)
    elif isinstance(answer, dict):
        for name, value in answer.items():
            yield name
            if name != "refused":  # by reason, which a page of its own has
                yield from fields(value)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a daemon answers that has a connection, a user of its chat and a refusal to tell of."""
    folder = tmp_path_factory.mktemp("answers")
    with (
        Daemon(folder, CONFIG, environment={"XDG_STATE_HOME": str(folder)}) as daemon,
        socket.create_connection(daemon.address("echo", "tcp"), PATIENCE) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as user,
        ControlClient(str(daemon.runtime / "control.sock"), PATIENCE) as client,
    ):
        sock.sendall(b"x")
        sock.recv(1)
        user.settimeout(PATIENCE)
        user.connect(daemon.address("chat", "udp"))
        user.send(pack(Code.LOGIN_REQ, b"ada"))
        event = unpack(user.recv(2048))
        assert event is not None
        assert event.code == Code.LOGIN_ACK
        found = {}
        for command, arguments in QUESTIONS.items():
            found[command] = client.ask(command, **arguments)
            if command == "ban":
                address = daemon.address("echo", "tcp")
                socket.create_connection(address, PATIENCE, source_address=(THERE, 0)).close()
                wait_until(lambda: client.ask("refused")["groups"], "a refusal")
        return found


def test_every_command_is_asked_and_has_a_row() -> None:
    assert told().keys() == COMMANDS.keys() == {*QUESTIONS, "upgrade"}


@pytest.mark.parametrize("command", [name for name in QUESTIONS if name != "status"])
def test_an_answer_has_the_fields_that_are_told(
    answers: dict[str, dict[str, Any]], command: str
) -> None:
    assert answers[command].keys() == told()[command]


def test_the_answer_to_status_has_the_fields_that_are_told(
    answers: dict[str, dict[str, Any]],
) -> None:
    assert answers["status"].keys() == told_of_status()


def test_the_answer_to_an_upgrade_has_the_fields_that_are_told() -> None:
    operations: Any = SimpleNamespace(
        upgrade=SimpleNamespace(begin=lambda: succeed(None)), uptime=1.0
    )
    answered: Any = COMMANDS["upgrade"].run(operations, Arguments({}))
    assert answered.result.keys() == told()["upgrade"]


def test_what_stands_inside_of_answers_is_told_too(answers: dict[str, dict[str, Any]]) -> None:
    for lists in ("sessions", "groups", "bans", "users", "services", "disabled"):
        assert any(answer.get(lists) for answer in answers.values()), f"nothing in {lists}"
    for name in fields([*answers.values()]):
        assert f"`{name}`" in PAGE, name
