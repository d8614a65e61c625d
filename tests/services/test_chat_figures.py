"""Users and deliveries of the chat, counted by door."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pytest_twisted import ensureDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from sockd.formats.chat.events import Code
from sockd.testing.running import running_reactor
from tests.services.chatters import TRANSPORTS, Chat, Person, chat, everywhere

QUICK = {"event_burst": 1000, "old_clients": 1000}


def counted_now(there: Chat, name: str) -> dict[tuple[str, str], int]:
    """A figure of each door."""
    return {(transport, role): getattr(traffic, name) for transport, role, traffic in there.counts}


def counted(there: Chat, name: str) -> dict[tuple[str, str], int]:
    """The same from another thread, once the reactor is done with what it does."""
    return blockingCallFromThread(running_reactor(), counted_now, there, name)


@ensureDeferred
async def test_a_user_is_counted_at_the_door_that_it_came_by_until_it_is_gone(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            people = []
            for transport in TRANSPORTS:
                person = stack.enter_context(Person(there, transport, transport))
                person.open()
                people.append(person)
            assert counted(there, "users") == {
                **dict.fromkeys(
                    [(one, "") for one in ("udp", "unixgram", "tcp", "tls", "unix")], 1
                ),
                ("udp", "multicast"): 2,
            }
            mover = people[0]
            moved = stack.enter_context(Person(there, "tcp", mover.name.decode()))
            moved.session, moved.key = mover.session, mover.key
            moved.number, moved.keys = mover.number, mover.keys
            moved.open()
            assert counted(there, "users")["udp", ""] == 0
            assert counted(there, "users")["tcp", ""] == 2
            for person in [moved, *people[1:]]:
                person.say(Code.LOGOFF, person.name)
                assert person.hear()[0] == Code.ACK
        assert set(counted(there, "users").values()) == {0}

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)


@ensureDeferred
async def test_what_is_said_in_a_channel_is_a_delivery_for_each_who_is_in_it(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            people = []
            for transport in ("udp", "multicast", "multicast6", "tcp"):
                person = stack.enter_context(Person(there, transport, transport))
                person.open()
                person.join(b"Pets")
                people.append(person)
            before = counted(there, "deliveries")
            people[0].say(Code.SEND_PUBLIC, b"hello")
            for person in people:
                assert person.hear_room(b"hello") == [b"Pets udp hello"]
            after = counted(there, "deliveries")
            more = {
                door: after[door] - before[door] for door in after if after[door] > before[door]
            }
            assert more == {("udp", ""): 1, ("udp", "multicast"): 2, ("tcp", ""): 1}

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)


@ensureDeferred
async def test_who_is_there_when_a_door_closes_is_not_counted_any_more(tmp_path: Path) -> None:
    async with chat(tmp_path, "tcp:0:interface=127.0.0.1", **QUICK) as there:

        def come() -> Person:
            person = Person(there, "tcp", "ada")
            person.open()
            return person

        person = await deferToThread(come)
        with person:
            assert counted_now(there, "users")["tcp", ""] == 1
            await there.instance.stop()
            assert counted_now(there, "users")["tcp", ""] == 0
