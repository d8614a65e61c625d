"""What of the chat stays: over a reload, and over a start."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from sockd.chat import memory
from sockd.daemon.instance import InstanceError, make_instance
from sockd.formats.chat.events import Code, pack
from sockd.testing.running import until
from sockd.testing.sockets import address_of
from tests.daemon.running import apply, daemon_of
from tests.helpers import LogRecorder, make_context, make_settings, make_world
from tests.services.chatters import UDP, Chat, Person, chat, told

PLACES = (("udp", "ada"), ("multicast", "bob"), ("tcp", "eve"))


def wanted(folder: Path, **table: Any) -> Any:
    """The chat as a configuration has it."""
    table = {"listen_multicast": [UDP], "state": str(folder / "state"), "event_burst": 100, **table}
    return make_settings("chat", [UDP], **table)


@ensureDeferred
async def test_a_reload_keeps_who_is_here_and_other_options_hold_at_once(tmp_path: Path) -> None:
    def come() -> None:
        ada.open(), bob.log_in()
        ada.join(b"Pets"), bob.join(b"Pets"), ada.barrier()

    def talk() -> None:
        bob.say(Code.SEND_PUBLIC, b"end")
        for one in (ada, bob):
            assert one.hear_room(b"end") == [b"Pets bob end"]
        listed = told(ada.ask(Code.LIST_CHANNELS), Code.CHANNEL_ITEM)
        assert listed == [b"Pets 2 Dogs", b"Roses 0 Red"]
        why = [(Code.ERROR, b"you are in 1 channels already")]
        assert bob.ask(Code.JOIN_REQ, b"Roses") == why

    async with daemon_of(wanted(tmp_path)) as daemon:
        [(_, instance)] = daemon.instances
        there = Chat(instance, tmp_path, 0)
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            await deferToThread(come)
            changed = wanted(tmp_path, channels={"Pets": "Dogs", "Roses": "Red"}, max_channels=1)
            apply(daemon, changed)
            assert there.instance.context.shared is there.server
            await deferToThread(talk)


@ensureDeferred
async def test_a_reload_that_takes_a_channel_or_old_clients_away_tells_them(tmp_path: Path) -> None:
    def come() -> None:
        ada.open(), bob.log_in()
        ada.join(b"Pets"), bob.join(b"Pets"), ada.barrier()

    def part() -> None:
        assert ada.hear() == (Code.PART_ACK, b"Pets 1 Animals at home")
        assert bob.hear() == (Code.PART_ACK, b"Pets 0 Animals at home")
        assert bob.hear() == (Code.ERROR, b"this server needs a newer client")
        ada.join(b"Roses")

    async with daemon_of(wanted(tmp_path)) as daemon:
        [(_, instance)] = daemon.instances
        there = Chat(instance, tmp_path, 0)
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            await deferToThread(come)
            apply(daemon, wanted(tmp_path, channels={"Roses": "Red"}, legacy="off"))
            await deferToThread(part)
        assert list(there.server.desk.rooms.users) == [b"ada"]


@ensureDeferred
async def test_after_a_start_sessions_are_taken_up_and_their_names_are_kept_for_them(
    tmp_path: Path,
) -> None:
    sessions = []

    def come(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            ada.open(), bob.log_in()
            sessions.append((ada.session, ada.key, ada.number))

    def come_back(there: Chat) -> None:
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            kept = [(Code.ERROR, b"that nickname is kept for its owner")]
            assert (ada.log_in(), ada.open()) == (kept, kept)
            [(ada.session, ada.key, ada.number)] = sessions
            assert ada.open() == [(Code.OPENED, b"ada")]
            assert bob.log_in() == [(Code.LOGIN_ACK, b"bob")]  # nobody can prove to be an old one

    state = tmp_path / "chat.state"
    async with chat(tmp_path) as there:
        await deferToThread(come, there)
        await until(lambda: state.exists() and (memory.read(state) or (b"", ()))[1] == {b"ada"})
    # it was stopped in order, and all were logged off: that is no reason to forget them
    assert (memory.read(state) or (b"", ()))[1] == {b"ada"}
    async with chat(tmp_path) as there:
        await deferToThread(come_back, there)


@ensureDeferred
async def test_who_is_cut_off_by_the_stop_is_written_down_though_it_takes_seconds(
    tmp_path: Path,
) -> None:
    state = tmp_path / "chat.state"
    async with chat(tmp_path, "tcp:0:interface=127.0.0.1") as there:
        ada = Person(there, "tcp", "ada")
        await deferToThread(ada.open)
        await until(lambda: state.exists() and (memory.read(state) or (b"", ()))[1] == {b"ada"})
        there.instance.guard.abort_all()
        await until(lambda: not there.server.desk.rooms.users)
        written = state.stat().st_mtime_ns
        await until(lambda: state.stat().st_mtime_ns != written)
        assert (memory.read(state) or (b"", ()))[1] == {b"ada"}
        ada.link.close()


@ensureDeferred
async def test_nobody_is_told_that_others_are_gone_where_the_whole_chat_stops(
    tmp_path: Path,
) -> None:
    def come(there: Chat) -> None:
        for one in people:
            one.open()
            one.join(b"Pets")
        people[-1].say(Code.SEND_PUBLIC, b"end")
        for one in people:
            one.hear_room(b"end")

    def parted() -> list[bytes]:
        ada, bob, eve = people
        assert bob.groups is not None
        found = []
        for sock in (ada.link.socket, bob.link.socket, bob.groups.socket):
            sock.setblocking(False)  # on loopback what was sent is there
            with suppress(BlockingIOError):
                while True:
                    found.append(sock.recv(65536))
        while data := eve.link.receive():
            found.append(data)
        return [data for data in found if data[:2] == pack(Code.USER_PARTS, b"")[:2]]

    listens = (UDP, "tcp:0:interface=127.0.0.1")
    async with chat(tmp_path, *listens) as there:
        people = [Person(there, kind, name) for kind, name in PLACES]
        await deferToThread(come, there)
    with ExitStack() as stack:
        for one in people:
            stack.enter_context(one)
        assert await deferToThread(parted) == []


@ensureDeferred
async def test_where_a_door_alone_is_closed_the_others_hear_that_who_came_by_it_is_gone(
    tmp_path: Path,
) -> None:
    def come() -> None:
        for one in (ada, bob):
            one.open()
            one.join(b"Pets")
        ada.barrier()

    async with daemon_of(wanted(tmp_path)) as daemon:
        [(_, instance)] = daemon.instances
        there = Chat(instance, tmp_path, 0)
        with Person(there, "udp", "ada") as ada, Person(there, "udp", "bob") as bob:
            bob.link.target = address_of(there.listener("multicast"))
            await deferToThread(come)
            apply(daemon, wanted(tmp_path, listen_multicast=[]))
            assert await deferToThread(ada.hear) == (Code.USER_PARTS, b"Pets bob")


def test_two_instances_have_a_state_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    world = make_world()
    paths = []
    for name in ("chat", "talk"):
        settings = evolve(make_settings("chat"), name=name)
        context = make_instance(settings, world).context
        assert settings.kind.shared is not None
        shared: Any = settings.kind.shared(context)
        paths.append(shared._state)
        shared.stop()
    assert paths == [tmp_path / "chat.state", tmp_path / "talk.state"]


def test_each_start_has_its_epoch_though_the_clock_says_the_same(tmp_path: Path) -> None:
    world = make_world(wall=lambda: 0.0)
    epochs = {
        make_context("chat", world, state=str(tmp_path / "s")).shared.desk.rooms.epoch
        for _ in range(3)
    }
    assert len(epochs) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "state: .*/state: Is a directory"),
        (lambda path: path.write_text("[service.chat]\n"), "is no state of a chat"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
)
def test_a_state_that_cannot_be_read_stops_the_start_with_its_name(
    make: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    make(path)
    settings = make_settings("chat", state=str(path))
    with pytest.raises(InstanceError, match=message) as caught:
        make_instance(settings, make_world()).start()
    assert str(path) in str(caught.value)


@ensureDeferred
async def test_a_state_that_cannot_be_written_is_told_once_and_tried_again(
    tmp_path: Path, log: LogRecorder
) -> None:
    state = tmp_path / "gone" / "chat.state"
    state.parent.mkdir()
    blocked = state.with_name("chat.state.new")
    blocked.mkdir()
    async with chat(tmp_path, state=str(state)) as there:
        with Person(there, "udp", "ada") as ada:
            await deferToThread(ada.open)
            await until(lambda: log.events("warning"))
            ticks = there.server._ticks
            await until(lambda: there.server._ticks > ticks + 1)
            blocked.rmdir()
            await until(state.exists)
    [warning] = log.events("warning")
    assert str(warning["reason"]).startswith("who can come back after a start is not remembered:")
    assert (memory.read(state) or (b"", ()))[1] == {b"ada"}
