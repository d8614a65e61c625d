"""The chat over real sockets: all doors lead to the same rooms."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.formats.chat.events import Code
from sockd.testing.running import until
from tests.helpers import LogRecorder
from tests.services.chatters import TRANSPORTS, Chat, Person, chat, everywhere, told

QUICK = {"event_burst": 1000, "old_clients": 1000}


@ensureDeferred
async def test_what_is_said_reaches_every_member_once_whatever_door_each_came_by(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            people = []
            for number, transport in enumerate(TRANSPORTS):
                for is_new in (True,) if transport == "multicast6" else (False, True):
                    name = f"{transport}-{'new' if is_new else 'old'}"
                    person = stack.enter_context(Person(there, transport, name))
                    came = person.open() if is_new else person.log_in()
                    assert came[0] == (
                        Code.OPENED if is_new else Code.LOGIN_ACK,
                        person.name,
                    )
                    person.join(b"Weather" if number % 2 else b"weather")
                    people.append(person)
                    for one in people:
                        one.barrier()  # a Unix socket holds few datagrams that nobody reads
            for speaker in people:
                speaker.say(Code.SEND_PUBLIC, b"by " + speaker.name)
                speaker.say(Code.SEND_PUBLIC, b"end")
                wanted = [
                    b"Weather %b %b" % (speaker.name, text)
                    for text in (b"by " + speaker.name, b"end")
                ]
                for person in people:
                    assert person.hear_room(b"end") == wanted, (speaker.name, person.name)

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)
        assert not there.counts["errors"]


@ensureDeferred
async def test_a_private_message_and_a_list_come_by_every_door(tmp_path: Path) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            people = []
            for transport in TRANSPORTS:
                person = stack.enter_context(Person(there, transport, transport))
                assert person.open()[0][0] == Code.OPENED
                people.append(person)
            for person in people:
                for peer in people:
                    person.say(Code.SEND_PRIVATE, peer.name + b" psst")
                    heard = person.barrier()
                    if peer is not person:
                        heard = [peer.hear()]
                    assert told(heard, Code.PRIVATE_MSG) == [person.name + b" psst"]
                listed = told(person.ask(Code.LIST_CHANNELS), Code.CHANNEL_ITEM)
                assert [text.split()[0] for text in listed] == [
                    b"CurrentEvents",
                    b"Weather",
                    b"Gardening",
                    b"Hobbies",
                    b"Pets",
                ]

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)
        assert not there.counts["errors"]


@ensureDeferred
async def test_the_port_of_groups_comes_after_the_log_in_and_never_elsewhere(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        for transport in TRANSPORTS:
            for is_new in (False, True):
                with Person(there, transport, "ada") as ada:
                    came = ada.open() if is_new else ada.log_in()
                    port = [(Code.SET_MCAST_PORT, b"%d" % there.group_port)]
                    beats = [code for code, _ in came if code == Code.HEARTBEAT_AT]
                    has_groups = ada.has_groups
                    assert came[1:2] == (port if has_groups else [])
                    assert len(beats) == (has_groups and is_new)
                    ada.ask(Code.LOGOFF, b"ada") if not is_new else ada.say(Code.LOGOFF, b"ada")
                    if is_new:
                        assert ada.hear()[0] == Code.ACK

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)


@ensureDeferred
async def test_a_session_moves_from_door_to_door_and_is_heard_and_hears_once(
    tmp_path: Path,
) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            bob = stack.enter_context(Person(there, "udp", "bob"))
            bob.open(), bob.join(b"Pets")
            ada = stack.enter_context(Person(there, "tls", "ada"))
            ada.open(), ada.join(b"Pets")
            for transport in ("udp", "tcp", "multicast", "unixgram", "multicast6", "unix", "udp"):
                there_too = stack.enter_context(Person(there, transport, "ada"))
                there_too.session, there_too.key = ada.session, ada.key
                there_too.number, there_too.keys = ada.number, ada.keys
                before, ada = ada, there_too
                assert ada.open()[0] == (Code.OPENED, b"ada")
                ada.join(b"Pets")
                for speaker in (ada, bob):
                    speaker.say(Code.SEND_PUBLIC, b"end")
                    wanted = [b"Pets %b end" % speaker.name]
                    assert ada.hear_room(b"end") == wanted
                    assert bob.hear_room(b"end") == wanted
                before.link.send(b"\0\0")
                came = before.hear()
                assert came == (Code.ERROR, b"please log in")  # and nothing before it
            assert told(bob.barrier(), Code.USER_JOINS, Code.USER_PARTS) == [b"Pets ada"][:0]

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)
        assert not there.counts["errors"]


@ensureDeferred
async def test_who_comes_and_goes_is_logged_with_its_address_and_why_and_no_key(
    tmp_path: Path, log: LogRecorder
) -> None:
    keys = []

    def talk(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "tcp", "bob") as bob:
            ada.open(), bob.log_in(), bob.join(b"Pets")
            keys.append(ada.key.hex())
            ada.say(Code.LOGOFF, b"ada")
            assert ada.hear()[0] == Code.ACK

    async with chat(tmp_path, "udp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1") as there:
        await deferToThread(talk, there)
        await until(lambda: not there.server.desk.rooms.users)
    ada, bob = log.events("logged-in")
    assert (ada["user"], ada["peer"].host, ada["local"].transport) == ("ada", "127.0.0.1", "udp")
    assert (bob["user"], bob["local"].transport) == ("bob", "tcp")
    gone = {event["user"]: str(event["reason"]) for event in log.events("logged-off")}
    assert gone == {"ada": "logged off", "bob": "the connection has ended"}
    text = "\n".join([*log.lines(), *map(str, log.logged)])
    assert keys[0] not in text


@ensureDeferred
async def test_a_flood_of_log_ins_does_not_fill_the_log(tmp_path: Path, log: LogRecorder) -> None:
    count = 0

    def talk(there: Chat) -> None:
        nonlocal count
        with Person(there, "udp", "ada") as ada:
            while there.server._unreported < 50:  # however slow it is here
                ada.name = b"ada%d" % count
                ada.log_in()
                count += 1

    async with chat(tmp_path, event_burst=100_000) as there:
        await deferToThread(talk, there)
        there.server.kick(f"ada{count - 1}")
    told_of = len(log.events("logged-in")) + len(log.events("logged-off"))
    assert told_of <= 2 * count - 50
    suppressed = sum(event["suppressed"] for event in log.logged if "suppressed" in event)
    assert told_of + suppressed + there.server._unreported == 2 * count


@ensureDeferred
async def test_who_is_turned_away_is_logged_with_the_reason(
    tmp_path: Path, log: LogRecorder
) -> None:
    turned_away = []

    def talk(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            ada.open()
            assert bob.log_in() == [(Code.ERROR, b"the server is full")]
            turned_away.append(there.counts["refused"])
            key, ada.key = ada.key, bytes(16)
            ada.say(Code.LOGOFF, b"ada")
            ada.key = key
            assert ada.barrier() == []

    async with chat(tmp_path, max_users=1) as there:
        await deferToThread(talk, there)
        assert (there.counts["refused"] - turned_away[0], there.counts["forged"]) == (1, 1)
    reasons = [event["reason"].name for event in log.events("refused")]
    assert reasons == ["max_users", "forged"]


@ensureDeferred
async def test_a_channel_that_nobody_is_in_any_more_costs_a_door_nothing(tmp_path: Path) -> None:
    def talk(there: Chat) -> None:
        with ExitStack() as stack:
            for transport in TRANSPORTS:
                for is_new in (False, True):
                    ada = stack.enter_context(Person(there, transport, f"{transport}-{is_new}"))
                    ada.open() if is_new else ada.log_in()
                    ada.join(b"Pets")
                    ada.ask(Code.PART_REQ, b"Pets")

    async with everywhere(tmp_path, **QUICK) as there:
        await deferToThread(talk, there)
        for door in there.server.doors.values():
            kept = {**getattr(door, "_here", {}), **getattr(door, "_members", {})}
            assert kept == {}, door
