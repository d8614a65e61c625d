"""By which interface what goes to groups leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.formats.chat.events import Code
from sockd.services.chat import ChatOptions, check
from tests.helpers import LogRecorder
from tests.services.chatters import UDP, Chat, Person, chat


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
