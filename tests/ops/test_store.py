"""What of a daemon the service manager holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from sockd.daemon.daemon import StartError
from sockd.daemon.keeping import Keeping
from sockd.listen.inherited import Inheritance, inheritance, inode
from sockd.ops.notify import Notifier
from sockd.ops.store import LOOK_SECONDS, Store, room
from sockd.ops.switches import Switches
from tests.daemon.running import LOOPBACK, apply, aside, daemon_of, listeners, says
from tests.helpers import until
from tests.memory import REACTOR, Loop
from tests.ops.managing import Manager, manager
from tests.processes import PATIENCE, free_port

ROOM = 100
MANY = 20


def asked(port: int) -> bytes:
    """What is said to somebody new who asks by datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        sock.send(b"?")
        return sock.recv(100)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as found:
        yield found


@pytest.fixture
def tells(told: Manager) -> Iterator[Notifier]:
    found = Notifier(REACTOR, str(told.path))
    yield found
    found.close()


def held(told: Manager) -> set[tuple[int, int]]:
    """Which sockets are in the store."""
    told.hear_all()
    every = [os.fstat(one) for many in told.store.values() for one in many]
    return {(one.st_dev, one.st_ino) for one in every}


def left(told: Manager) -> Inheritance:
    """What the next daemon gets."""
    return inheritance([(name, os.dup(one)) for name, many in told.store.items() for one in many])


@ensureDeferred
async def test_what_is_bound_is_held_and_what_goes_is_let_go_of(
    told: Manager, tells: Notifier
) -> None:
    one, other = (f"tcp:{free_port()}:{LOOPBACK}" for _ in range(2))
    asks = f"udp:{free_port()}:{LOOPBACK}"
    async with daemon_of(says(one, asks)) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), ROOM)
        for wanted in ((one, asks), (one, other), (other,), (other, asks)):
            apply(daemon, says(*wanted))
            store.update()
            bound = {inode(each.bound_socket) for each in listeners(daemon) if each.bound_socket}
            assert held(told) == bound
        assert len(told.messages) == 2 + 2 + 1 + 1
        store.update()
        assert told.hear_all() == []


@ensureDeferred
async def test_an_address_that_is_bound_anew_is_held_anew(
    told: Manager, tells: Notifier, tmp_path: Path
) -> None:
    text = f"unix:{tmp_path}/file"
    async with daemon_of(says(text)) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), ROOM)
        store.update()
        before = held(told)
        apply(daemon)
        (tmp_path / "file").unlink(missing_ok=True)
        apply(daemon, says(text))
        store.update()
        assert len(held(told)) == 1
        assert held(told) != before


@ensureDeferred
async def test_a_service_can_be_had_again_though_what_was_let_go_of_is_still_held(
    told: Manager, tells: Notifier
) -> None:
    """A manager is another process, which closes what it holds when it comes to that."""
    texts = [f"{kind}:{free_port()}:{LOOPBACK}" for kind in ("udp", "tcp")]
    async with daemon_of(says(*texts)) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), ROOM)
        switches = Switches(daemon)
        switches.on_switch.append(store.update)
        store.begin()
        told.hear_all()
        switches.disable("says")
        await until(lambda: not daemon.draining)  # nothing of it is ours any more
        switches.enable("says")
        assert len(told.store) == 2
        for _ in range(MANY):
            assert await aside(asked, listeners(daemon)[0].entrance.port) == b"one"
        assert held(told) == {inode(each.port.socket) for each in listeners(daemon)}
        assert [next(iter(each)) for each in told.messages[2:]] == [
            *["FDSTOREREMOVE"] * 2,
            *["FDSTORE"] * 2,
        ]


@ensureDeferred
async def test_a_port_that_is_anothers_meanwhile_is_not_shared_with_him(
    told: Manager, tells: Notifier
) -> None:
    async with daemon_of(says(f"udp:{free_port()}:{LOOPBACK}")) as daemon:
        store, switches = Store(Loop(), tells, Keeping(daemon), ROOM), Switches(daemon)
        switches.on_switch.append(store.update)
        store.begin()
        place = ("127.0.0.1", listeners(daemon)[0].entrance.port)
        switches.disable("says")
        await until(lambda: not daemon.draining)
        assert held(told) == set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(place)
            with pytest.raises(StartError, match="address in use"):
                switches.enable("says")
        switches.enable("says")


@ensureDeferred
async def test_an_address_that_comes_later_is_found_by_a_look(
    told: Manager, tells: Notifier
) -> None:
    loop = Loop()
    async with daemon_of(says(f"tcp:0:{LOOPBACK}")) as daemon:
        store = Store(loop, tells, Keeping(daemon), ROOM)
        store.begin()
        assert len(held(told)) == 1
        apply(daemon, says(f"tcp:0:{LOOPBACK}", f"tcp:0:{LOOPBACK}"))
        loop.advance(LOOK_SECONDS)
        assert len(held(told)) == 2
        store.end()
        assert loop.getDelayedCalls() == []


@ensureDeferred
async def test_no_more_are_held_than_there_is_room_for_and_only_their_files_stay(
    told: Manager, tells: Notifier, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    async with daemon_of(says(*(f"unix:{folder}/{name}" for name in "abc"))) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), 2)
        store.begin()
        assert len(held(told)) == 2
        store.end()
    assert sorted(file.name for file in folder.iterdir()) == ["a", "b"]


@ensureDeferred
async def test_without_room_nothing_is_held_and_no_file_stays(
    told: Manager, tells: Notifier, tmp_path: Path
) -> None:
    async with daemon_of(says(f"unix:{tmp_path}/file")) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), 0)
        store.begin()
        store.forget("sockd/tcp/old/-/-/-/1")
        store.end()
    assert told.hear_all() == []
    assert not (tmp_path / "file").exists()


@ensureDeferred
async def test_a_room_without_a_manager_is_none(tmp_path: Path) -> None:
    async with daemon_of(says(f"unix:{tmp_path}/file")) as daemon:
        store = Store(Loop(), Notifier(None), Keeping(daemon), ROOM)
        store.begin()
        store.end()
    assert not (tmp_path / "file").exists()


@ensureDeferred
async def test_what_was_held_for_this_daemon_is_not_held_twice(
    told: Manager, tells: Notifier
) -> None:
    async with daemon_of(says(f"tcp:0:{LOOPBACK}")) as daemon:
        store = Store(Loop(), tells, Keeping(daemon), ROOM)
        store.begin()
        before = held(told)
        # as another one, which was given what is held, begins
        daemon.world.inherited = left(told)
        again = Store(Loop(), tells, Keeping(daemon), ROOM)
        again.begin()
        assert held(told) == before
        assert [len(many) for many in told.store.values()] == [1]
        for one in daemon.world.inherited.sockets:
            one.sock.close()


@pytest.mark.parametrize(
    ("given", "found"), [({}, 0), ({"FDSTORE": "1024"}, 1024), ({"FDSTORE": "many"}, 0)]
)
def test_the_room_is_what_the_manager_says(given: dict[str, str], found: int) -> None:
    assert room(given) == found
