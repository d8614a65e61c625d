"""Options of the chat whose values alone do not show that they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.formats.chat.events import Code
from sockd.options.option import OptionError
from sockd.services.chat import MOST_DESCRIPTION, ChatOptions, check
from tests.helpers import LogRecorder
from tests.services.chatters import UDP, Chat, Person, chat

NO_ADDRESS = "is no address: one of the interface, not its name"


@pytest.mark.parametrize(
    ("table", "option", "message"),
    [
        ({"channels": {}}, "channels", "there must be one at least"),
        (
            {"channels": {"Lab": "x", "lab": "y"}},
            "channels",
            "Lab and lab are the same",
        ),
        ({"channels": {"Lab": " "}}, "channels", "Lab needs a description"),
        ({"channels": {"Lab": "x" * (MOST_DESCRIPTION + 1)}}, "channels", "at most 400 bytes"),
        ({"channels": {"A B": "x"}}, "channels", "a title has no white space"),
        ({"groups": {"Lab": "225.1.2.3"}}, "groups", "there is no channel Lab"),
        ({"groups": {"Pets": "10.0.0.1"}}, "groups", "'10.0.0.1' is no multicast group"),
        ({"first_group": "ff12::1"}, "first_group", "'ff12::1' is no multicast group of IPv4"),
        (
            {"first_group6": "225.1.0.1"},
            "first_group6",
            "'225.1.0.1' is no multicast group",
        ),
        ({"group_interface": "eth0"}, "group_interface", f"'eth0' {NO_ADDRESS}"),
        ({"group_interface": "fe80::1%eth0"}, "group_interface", f"'fe80::1%eth0' {NO_ADDRESS}"),
    ],
)
def test_each_mistake_is_told_with_the_option_and_what_is_wrong(
    table: Mapping[str, Any], option: str, message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check(ChatOptions(**table))
    [(name, why)] = caught.value.mistakes
    assert name == option
    assert message in why


@pytest.mark.parametrize("interface", ["", "192.0.2.1", "fe80::1"])
def test_groups_may_leave_by_the_interface_of_an_address(interface: str) -> None:
    check(ChatOptions(group_interface=interface))


@ensureDeferred
async def test_the_interface_of_groups_holds_for_doors_of_its_family_alone(
    tmp_path: Path, log: LogRecorder
) -> None:
    def talk(there: Chat) -> None:
        with Person(there, "multicast", "ada") as ada:
            ada.open(), ada.join(b"Pets")
            ada.say(Code.SEND_PUBLIC, b"end")
            assert ada.hear_room(b"end") == [b"Pets ada end"]

    async with chat(tmp_path, UDP, group_interface="::1") as there:
        await deferToThread(talk, there)
    assert log.events("failed") == []
