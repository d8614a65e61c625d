"""Whatever arguments come, they are answered, or it is said what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from sockd.ops.bans import BanKeeper
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.commands import access, bans, chat
from sockd.ops.control.frames import ControlError, answer_line
from tests.helpers import make_context, make_settings, make_world

COMMANDS = {**access.COMMANDS, **bans.COMMANDS, **chat.COMMANDS}
TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["::1", "192.0.2.7", "10.0.0.0/8", "echo", "chat", "user:root", "ada"]),
    st.sampled_from(["\ud800", "\x1b[2J", "0.0.0.0/0", "::ffff:10.0.0.1", "fe80::1%eth0"]),
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.lists(TEXTS, max_size=5)
)
WORDS = "prefixes duration services from note leave_open service address nickname why"
REQUESTS = st.dictionaries(st.sampled_from(WORDS.split()), VALUES, max_size=5)


@pytest.fixture
def operations(tmp_path: Path) -> Any:
    """A daemon in memory with a chat and an echo service, one connection each."""
    world = make_world()
    instances = []
    for kind, table in (("echo", {}), ("chat", {"state": str(tmp_path / "state")})):
        context = make_context(kind, world, **table)
        instance = SimpleNamespace(guard=context.guard, context=context)
        instances.append((make_settings(kind, ["tcp:7"]), instance))
    daemon = SimpleNamespace(world=world, instances=instances, draining=())
    keeper = BanKeeper(world.state.bans, "", world.reactor, world.wall)
    switches = SimpleNamespace(off=())
    return SimpleNamespace(daemon=daemon, bans=keeper, switches=switches)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(sorted(COMMANDS)), given_=REQUESTS)
def test_any_arguments_are_answered(operations: Any, command: str, given_: dict[str, Any]) -> None:
    try:
        answer = COMMANDS[command].run(operations, Arguments(given_))
    except ControlError:
        return
    found: list[Any] = []
    if isinstance(answer, Deferred):
        answer.addCallback(found.append)
    else:
        found += answer if isinstance(answer, Iterator) else [answer]
    assert found
    assert all(json.loads(answer_line(one))["ok"] for one in found)
