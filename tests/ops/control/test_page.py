"""docs/control.md has every command with its arguments, and its examples are right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import succeed

from sockd.daemon.reload import Outcome
from sockd.net.states import STATES
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.commands import COMMANDS
from sockd.ops.control.frames import (
    LONGEST_REQUEST,
    VERSION,
    ControlError,
    Request,
    read_line,
    read_request,
)
from sockd.ops.control.server import MOST_CONNECTIONS
from sockd.ops.rates import NAMES
from tests.ops.control.standing import Standing

PAGE = (Path(__file__).parents[3] / "docs" / "control.md").read_text("utf-8")


def told() -> set[str]:
    """The commands in the page's table."""
    table = PAGE.split("\n## Commands\n")[1].split("\n### ")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def examples() -> list[Any]:
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_is_there() -> None:
    assert told() >= COMMANDS.keys()


def test_of_every_command_that_does_not_only_tell_the_log_says_who_has_asked() -> None:
    tell = {"status", "sessions", "log-level", "metrics", "refused", "test-access", "bans"}
    assert {name for name, command in COMMANDS.items() if not command.changes} == {
        *tell,
        "chat-who",
    }


def test_every_state_of_a_connection_and_every_total_is_there() -> None:
    for name in (*(state.name for state in STATES), *NAMES):
        assert f"`{name}`" in PAGE


def test_every_field_of_a_connection_and_of_a_reload_is_there() -> None:
    standing = Standing("echo")
    client = standing.connect("echo")
    [session] = standing.ask(COMMANDS["sessions"].run)["sessions"]
    client.vanish()
    reloader = SimpleNamespace(reload=lambda dry_run: succeed(Outcome(ok=True)))
    operations: Any = SimpleNamespace(reloader=reloader)
    reloaded: Any = COMMANDS["reload"].run(operations, Arguments({}))
    for name in (*session, *reloaded.result):
        assert f"`{name}`" in PAGE, name


def test_the_bounds_are_there() -> None:
    assert f"at most {LONGEST_REQUEST:,} bytes" in PAGE
    assert f"At most {MOST_CONNECTIONS} connections" in PAGE


@pytest.mark.parametrize("line", examples())
def test_each_line_that_is_shown_is_a_right_one(line: str) -> None:
    whole = json.loads(line)
    assert whole.get("version", VERSION) == VERSION
    if "command" in whole:
        assert read_request(line.encode()) == Request(whole["command"], whole["arguments"])
        assert whole["command"] in COMMANDS
    elif whole.get("ok") is False:
        with pytest.raises(ControlError):
            read_line(line.encode())
    else:
        assert read_line(line.encode()).what in ("answer", "part")
