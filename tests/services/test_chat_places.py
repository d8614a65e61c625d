"""A UDP door of the chat whose address another takes the place of: nobody has to come anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.formats.chat.events import Code
from sockd.testing.running import until
from tests.daemon.running import apply, daemon_of
from tests.helpers import LogRecorder, make_settings
from tests.processes import free_port
from tests.services.chatters import Chat, Person

HOSTS = [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")]


@pytest.mark.parametrize(("one", "every"), HOSTS, ids=["IPv4", "IPv6"])
@ensureDeferred
async def test_who_is_here_goes_on_by_the_wildcard_and_back_and_hears_all(
    one: str, every: str, tmp_path: Path, log: LogRecorder
) -> None:
    port = free_port()

    def wanted(host: str) -> Any:
        table = {"state": str(tmp_path / "state"), "event_burst": 100, "drain": "1s"}
        return make_settings("chat", [f"udp:{port}:interface={host}"], **table)

    def come() -> None:
        ada.open(), bob.open(), old.log_in()
        for person in (ada, bob, old):
            person.join(b"Pets")
        ada.barrier()

    def talk(text: bytes) -> Callable[[], None]:
        def talk() -> None:
            for speaker in (ada, bob, old):
                speaker.say(Code.SEND_PUBLIC, text)
                for person in (ada, bob, old):
                    assert person.hear_room(text)[-1].endswith(text)

        return talk

    async with daemon_of(wanted(one)) as daemon:
        [(_, instance)] = daemon.instances
        there = Chat(instance, tmp_path, 0)
        by = "udp6" if ":" in one else "udp"
        ada, bob, old = (Person(there, by, name) for name in ("ada", "bob", "old"))
        with ada, bob, old:
            await deferToThread(come)
            for number, host in enumerate((every, one, every)):
                apply(daemon, wanted(host))
                await deferToThread(talk(b"now %d" % number))
                await until(lambda: not instance.leaving)
                await deferToThread(talk(b"then %d" % number))
            assert not log.events("logged-off")
            assert len(log.events("logged-in")) == 3
