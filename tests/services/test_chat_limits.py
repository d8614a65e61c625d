"""The chat's limits and refusals, over real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.chat.members import Patience
from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, RESERVED, Code
from sockd.formats.chat.hello import HELLO_BYTES
from sockd.formats.frames import frame
from sockd.reactor.ancillary import Told
from sockd.testing.memory import Loop
from sockd.testing.sockets import address_of
from tests.helpers import connect, make_context, make_world, open_port
from tests.services.chatters import Chat, DatagramLink, Person, chat, told

HEADERS = 28
"""Of IPv4 and UDP."""


@ensureDeferred
async def test_a_wildcard_hears_broadcasts_and_answers_from_the_address_that_was_asked(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        _, port = address_of(there.listener("udp"))
        for asked, answers in (
            ("127.255.255.255", "127.0.0.1"),
            ("127.0.0.5", "127.0.0.5"),
            ("127.0.0.1", "127.0.0.1"),
        ):
            for is_new in (False, True):
                link = DatagramLink((asked, port), tmp_path)
                with Person(there, "udp", "ada", link) as ada:
                    ada.link.send(b"\0\0")
                    assert ada.hear() == (Code.ERROR, b"please log in")
                    assert link.came_from == (answers, port)
                    ada.open() if is_new else ada.log_in()
                    ada.join(b"Pets")
                    assert link.came_from == (answers, port)
                    ada.say(Code.SEND_PUBLIC, b"end")  # from where a channel is sent to, too
                    assert ada.hear_room(b"end") == [b"Pets ada end"]
                    assert link.came_from == (answers, port)
                    ada.say(Code.LOGOFF, b"ada")
                    if is_new:
                        ada.hear()
                    else:
                        assert ada.barrier() == []

    async with chat(tmp_path, "udp:0") as there:
        await deferToThread(talk, there)


@ensureDeferred
async def test_a_strict_server_asks_for_a_number_in_the_first_answer_and_takes_it(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "eve") as eve:
            ada.say(Code.LOGIN_REQ, b"ada")
            code, text = ada.hear()
            assert (code, text[:14]) == (Code.ERROR, b"log in as ada/")
            typed = text.removeprefix(b"log in as ")
            assert eve.ask(Code.LOGIN_REQ, typed)[0][0] == Code.ERROR  # it is ada's
            assert ada.ask(Code.LOGIN_REQ, typed) == [(Code.LOGIN_ACK, typed)]
            ada.say(Code.LOGOFF, b"ada")
            assert ada.ask(Code.JOIN_REQ, b"Pets")[0][0] == Code.JOIN_ACK
            ada.say(Code.LOGOFF, typed)
            assert ada.ask(Code.JOIN_REQ, b"Pets") == [(Code.ERROR, b"please log in")][:0]

    async with chat(tmp_path, strict=True) as there:
        await deferToThread(talk, there)
        assert there.server.desk.rooms.users == {}


@ensureDeferred
async def test_eight_old_clients_of_one_address_are_enough_and_new_ones_are_not_counted(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        people = [Person(there, "udp", f"u{number}") for number in range(10)]
        for one in people[:8]:
            assert one.log_in() == [(Code.LOGIN_ACK, one.name)]
        enough = [(Code.ERROR, b"8 old clients at your address are enough")]
        assert people[8].log_in() == enough
        assert people[9].open()[0][0] == Code.OPENED
        people[0].say(Code.LOGOFF, people[0].name)
        people[0].barrier()
        people[8].say(Code.LOGIN_REQ, people[8].name)
        assert people[8].hear() == (Code.LOGIN_ACK, people[8].name)
        for one in people:
            one.link.close()

    async with chat(tmp_path, trusted=[]) as there:
        await deferToThread(talk, there)


@ensureDeferred
async def test_an_address_is_sent_no_more_a_second_than_it_may_have_for_old_clients(
    tmp_path: Path,
) -> None:
    most = 2048

    def talk(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada:
            ada.log_in()
            begin = time.monotonic()
            titles = 0
            size = 0
            while titles < 3 * len(CHANNELS):
                ada.say(Code.LIST_CHANNELS)
                while (event := ada.hear())[0] != Code.CHANNEL_ITEM:
                    continue  # the list before is on its way still
                while event[0] == Code.CHANNEL_ITEM:
                    size += 2 + len(event[1])
                    titles += 1
                    if titles % len(CHANNELS) == 0:
                        break
                    event = ada.hear()
            # it is paced, and nothing of it is lost
            assert size <= most + most * (time.monotonic() - begin)

    channels = {f"c{number}": "x" * 400 for number in range(8)}
    CHANNELS = channels
    async with chat(
        tmp_path, trusted=[], old_bytes=most, channels=channels, event_burst=99
    ) as there:
        await deferToThread(talk, there)


@pytest.mark.parametrize("legacy", ["on-link", "off"])
def test_who_is_not_on_the_link_has_one_error_a_minute_for_all_of_its_network(
    legacy: str, tmp_path: Path
) -> None:
    context = make_context("chat", legacy=legacy, state=str(tmp_path / "state"))
    port = open_port("chat", context)
    facts = Told(None, 99, "192.0.2.1")
    first = port.ask(b"\0\x14ada", ("192.0.2.7", 50_007), told=facts)
    words = {"on-link": b"not on this link", "off": b"this server needs"}[legacy]
    assert [one[2:].startswith(words) for one in first] == [True]
    for number in range(100):
        assert port.ask(b"\0\x14ada", (f"192.0.2.{number}", 50_007), told=facts) == []
    assert port.counted["stranger"] == 100
    context.world.reactor.advance(60)
    assert len(port.ask(b"\0\x14ada", ("192.0.2.9", 50_007), told=facts)) == 1
    assert context.shared.desk.rooms.users == {}


def test_to_serve_old_clients_everywhere_is_an_option(tmp_path: Path) -> None:
    context = make_context("chat", legacy="everywhere", state=str(tmp_path / "state"))
    port = open_port("chat", context)
    assert port.ask(b"\0\x14ada", told=Told(None, 1, "192.0.2.1")) == [b"\0\x1eada"]


QUESTIONS = [
    b"\0\0",
    b"\0\x14a",
    b"\0\x14" + b"x" * 1000,
    b"\0\x5a",
    b"\0\x32Pets",
    b"\0\x28a",
    b"\0\x0a",
    b"\0\xc8",
    b"\x03\xf2",
    b"\x03\xf2a " + b"0" * 32 + b" " + b"0" * 16,
    b"\x03\xe8",
    b"\xff\xff",
    b"\0\0" + b"HELLO 1 0123456789abcdef ".ljust(HELLO_BYTES - 2, b"."),
    b"\0\x5ahello\n" + b"s" * 8 + b"\0\0\0\1C" + b"m" * 8,
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: repr(question[:12]))
@pytest.mark.parametrize("strict", [False, True])
def test_a_stranger_is_sent_three_times_what_it_has_sent_at_most(
    question: bytes, strict: bool, tmp_path: Path
) -> None:
    context = make_context(
        "chat", legacy="everywhere", strict=strict, state=str(tmp_path / "state")
    )
    port = open_port("chat", context, role="multicast")
    for _ in range(20):
        answers = port.ask(question)
        out = sum(HEADERS + len(answer) for answer in answers)
        assert out <= 3 * (HEADERS + len(question))


@ensureDeferred
async def test_what_fits_an_event_with_its_trailer_is_handed_on_whole_and_what_does_not_is_refused(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            ada.open(), bob.log_in(), ada.join(b"Pets"), bob.join(b"Pets"), ada.barrier()
            room = MAX_TEXT - len(b"Pets ada ")
            ada.say(Code.SEND_PUBLIC, b"x" * room)
            assert ada.hear() == (Code.PUBLIC_MSG, b"Pets ada " + b"x" * room)
            data = bob.link.receive()
            assert MAX_EVENT - RESERVED < len(data) <= MAX_EVENT
            assert data[2 : 2 + MAX_TEXT] == b"Pets ada " + b"x" * room
            for text, more in ((b"x" * (room + 1), 1), (b"\x01" * room, 3 * room)):
                why = b"too long: %d bytes more than an event holds" % more
                assert ada.ask(Code.SEND_PUBLIC, text) == [(Code.ERROR, why)]
            private = MAX_TEXT - len(b"ada ")
            ada.say(Code.SEND_PRIVATE, b"bob " + b"y" * private)
            assert bob.hear() == (Code.PRIVATE_MSG, b"ada " + b"y" * private)
            assert told(ada.ask(Code.SEND_PRIVATE, b"bob " + b"y" * (private + 1)), Code.ERROR)
            assert bob.barrier() == []

    async with chat(tmp_path, event_burst=100) as there:
        await deferToThread(talk, there)


class Ticking(Loop):
    """A loop whose clock goes on with each look at it: work takes time."""

    def seconds(self) -> float:
        self.rightNow += 0.0001
        return float(self.rightNow)


def test_a_flood_by_one_connection_keeps_the_others_waiting_for_a_moment_only(
    tmp_path: Path,
) -> None:
    world = make_world(Ticking())
    context = make_context("chat", world, legacy="everywhere", state=str(tmp_path / "state"))
    server, order = context.shared, []
    received = server.received

    def watched(place: Any, *rest: Any) -> None:
        order.append(place.address)
        received(place, *rest)

    server.received = watched
    flood, other = connect("chat", context), connect("chat", context)
    flood.socket.inbox.append(frame(b"\0\xa0") * 5000)
    other.socket.inbox.append(frame(b"\0\x14ada"))
    context.world.reactor.settle()
    assert len(order) == 5001
    assert order.index(other.protocol.number) < 200


def test_a_connection_that_ends_within_a_flood_is_served_to_its_end(tmp_path: Path) -> None:
    world = make_world(Ticking())
    context = make_context("chat", world, legacy="everywhere", state=str(tmp_path / "state"))
    client = connect("chat", context)
    client.socket.inbox.append(frame(b"\0\0") * 1000)
    client.socket.has_end = True
    context.world.reactor.settle()
    assert client.received == frame(b"\0\x0aplease log in") * 1000
    assert client.is_closed


def test_a_connection_that_vanishes_within_a_flood_does_no_harm(tmp_path: Path) -> None:
    world = make_world(Ticking())
    context = make_context("chat", world, legacy="everywhere", state=str(tmp_path / "state"))
    client = connect("chat", context)
    client.socket.inbox.append(frame(b"\0\x14ada") + frame(b"\0\xc8") * 1000)
    client.loop._turn()
    assert list(context.shared.desk.rooms.users) == [b"ada"]
    client.vanish()
    assert (context.shared.desk.rooms.users, context.guard.sessions) == ({}, ())


@ensureDeferred
async def test_the_network_that_reaches_nobody_shortens_a_users_time_and_ends_it_not_at_once(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        ada = Person(there, "udp", "ada")
        ada.log_in(), ada.join(b"Pets")
        with Person(there, "udp", "bob") as bob:
            bob.open(), bob.join(b"Pets")
            ada.link.socket.connect(ada.link.socket.getsockname())  # it hears itself alone
            bob.say(Code.SEND_PUBLIC, b"end")
            bob.hear_room(b"end")
            while there.server.desk.rooms.users[b"ada"].patience is not Patience.SUSPECT:
                bob.barrier()
        ada.link.close()

    async with chat(tmp_path, event_burst=10**6) as there:
        await deferToThread(talk, there)
        assert sorted(there.server.desk.rooms.users) == [b"ada", b"bob"]
