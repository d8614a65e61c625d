"""The chat at a switch that sends groups only where it knows members, and may forget them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from sockd.formats.chat.events import Code
from tests.daemons import Daemon
from tests.processes import wait_until
from tests.real.chatnet import (
    CHAT,
    SERVER,
    SNOOPING,
    Net,
    Talker,
    Tap,
    all_join,
    net,
    talking,
    tell,
)

GROUPS = f"{SERVER}:2029"
WEATHER, HEARTBEATS = "225.1.0.2", "225.1.0.6"
NOTICES = 35.0
"""Seconds without heartbeats until a client says so: three of 10 s, and half a one."""


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    folder = tmp_path_factory.mktemp("chat")
    with net(SNOOPING) as made, Daemon(folder, CHAT, namespace=made.server):
        yield made


def is_member(lan: Net, port: str) -> bool:
    return lan.members(port) >= {WEATHER, HEARTBEATS}


@pytest.fixture(scope="module")
def users(lan: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Talker]]:
    """Two that hear groups, in one channel."""
    home = tmp_path_factory.mktemp("homes")
    with ExitStack() as stack:
        made = [
            stack.enter_context(talking(host, name, home, GROUPS))
            for host, name in ((lan.anna, "anna"), (lan.bert, "bert"))
        ]
        all_join(made, "Weather")
        for one in made:
            name = one.nickname
            wait_until(partial(is_member, lan, name), f"the switch knows {name}")
        yield made


def test_a_port_without_members_carries_nothing_of_groups(
    lan: Net, users: list[Talker], tmp_path: Path
) -> None:
    """Carl's carries what comes to him by unicast."""
    anna, bert = users
    with talking(lan.carl, "carl", tmp_path, SERVER) as carl:
        all_join([carl], "Weather")
        with Tap(lan.switch, "carl") as to_carl, Tap(lan.switch, "bert") as to_bert:
            anna.says("who hears me?")
            for one in (anna, bert, carl):
                one.hears("Weather", "anna", "who hears me?")
            beside, there = to_carl.read(), to_bert.read()
        carl.leaves()
    assert [one.to for one in there if one.code == Code.PUBLIC_MSG] == [WEATHER]
    assert [one.to for one in beside if one.code == Code.PUBLIC_MSG] == ["10.79.1.4"]
    assert not [one for one in beside if one.is_multicast]


def test_a_client_that_the_switch_forgets_notices_and_talks_on_by_unicast(
    lan: Net, users: list[Talker]
) -> None:
    anna, bert = users

    def is_forgotten() -> bool:
        """Until no report that is still on its way has the switch remember."""
        lan.forget("anna", known := lan.members("anna"))
        return not known and "what the server sends to groups does not come" in anna.child.text()

    begin = time.monotonic()
    wait_until(is_forgotten, "she notices", NOTICES + 20)
    tell(f"noticed {time.monotonic() - begin:.1f} s after the switch forgot")
    with Tap(lan.switch, "server") as tap:
        anna.says("do you hear me?")
        bert.hears("Weather", "anna", "do you hear me?")
        bert.says("yes")
        for one in users:
            one.hears("Weather", "bert", "yes")
        said = [one.to for one in tap.read() if one.code == Code.PUBLIC_MSG]
    assert sorted(said) == ["10.79.1.2", "10.79.1.2", WEATHER, WEATHER]
    assert not lan.members("anna")
    assert "not sent" not in anna.child.text()
