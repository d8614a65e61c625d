"""The worker that factors large numbers is shared: by sources, and with clients that have left."""

from __future__ import annotations

import resource
from itertools import count
from pathlib import Path

import pytest
import pytest_twisted

from sockd.access.peer import Peer
from sockd.formats.factors import factors
from sockd.net.factoring import SCRATCH
from sockd.services.factor import LOOK_SECONDS, Worker
from tests.helpers import LogRecorder, open_port, until
from tests.services.factoring import BUSY, HARD, HARD_LINE, LARGE, LATE, OTHER_LARGE, Place

LINEAR = 10000000000000000141000000000000000459
"""A product of two primes of 19 and 20 digits, for which the library needs its file."""
SLOW = 3000000000000000000000000037880000000000000000000000009633893
"""Two primes of 31 digits: seconds of work, with the file nearly from the beginning."""
PORTS = count(50_000)


def peer(host: str) -> Peer:
    """One more client at an address."""
    return Peer(host, next(PORTS))


@pytest.mark.parametrize(
    ("greedy", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8:0:1::1"),
        ("127.0.0.1", "192.0.2.1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_source_that_has_all_places_gives_one_to_another(greedy: str, other: str) -> None:
    place = Place()
    clients = [place.client(HARD_LINE, peer=peer(greedy)) for _ in range(17)]
    assert place.client(HARD_LINE, peer=peer(greedy)).received == BUSY
    victim = place.client(LARGE[0], peer=peer(other))
    assert victim.received == b""
    assert [client.received for client in clients] == [b""] * 16 + [BUSY]
    # it is the next to have its turn but one: each source has one number worked on
    place.loop.advance(5)
    assert clients[0].received == LATE
    assert victim.received == b""
    place.loop.advance(5)
    await place.receive(victim, LARGE[1])


@pytest_twisted.ensureDeferred
async def test_addresses_of_one_network_of_ipv6_are_one_source() -> None:
    place = Place()
    for number in range(17):
        place.client(HARD_LINE, peer=peer(f"2001:db8::{number:x}"))
    assert place.client(HARD_LINE, peer=peer("2001:db8::ffff")).received == BUSY
    assert place.client(HARD_LINE, peer=peer("2001:db8:0:1::")).received == b""


@pytest_twisted.ensureDeferred
async def test_users_of_this_host_are_sources() -> None:
    place = Place()
    for _ in range(17):
        place.client(HARD_LINE, peer=Peer("", 0, 1, 1000))
    assert place.client(HARD_LINE, peer=Peer("", 0, 1, 1000)).received == BUSY
    assert place.client(HARD_LINE, peer=Peer("", 0, 1, 1001)).received == b""


def test_datagrams_have_one_share_together_whoever_they_say_has_sent_them() -> None:
    place = Place(reply_burst=1000)
    port = open_port("factor", place.context)
    for number in range(20):
        port.ask(HARD_LINE, (f"192.0.{number}.7", 50_007))
    assert port.answers == [BUSY] * 3
    clients = [place.client(HARD_LINE, peer=peer(f"192.0.2.{n}")) for n in range(1, 10)]
    assert [client.received for client in clients] == [b""] * 9
    port.stopListening()


def test_equals_keep_what_they_have() -> None:
    place = Place(max_waiting=3)
    first, *others = (place.client(HARD_LINE, peer=peer(f"192.0.2.{n}")) for n in range(1, 5))
    assert place.client(HARD_LINE, peer=peer("192.0.2.9")).received == BUSY
    assert {client.received for client in (first, *others)} == {b""}


# clients that have left


@pytest_twisted.ensureDeferred
async def test_who_closed_while_waiting_keeps_nobody_of_its_source_waiting() -> None:
    """An ordinary close: the end of its half, and nothing else that we could see."""
    place = Place(deadline="1m")
    gone = [place.client(HARD_LINE) for _ in range(10)]
    stays = place.client(LARGE[0])
    place.loop.advance(LOOK_SECONDS)
    for client in gone:
        client.end()
    assert stays.received == b""
    place.loop.advance(LOOK_SECONDS)
    await place.receive(stays, LARGE[1])
    # they may still read: their numbers are worked on when nobody else is there
    assert place.factoring._job is not None
    assert len(place.factoring._waiting) == 9


@pytest_twisted.ensureDeferred
async def test_who_ends_its_half_behind_its_number_is_worked_for_in_its_turn() -> None:
    place = Place()
    first = place.client(LARGE[0])
    first.end()
    second = place.client(OTHER_LARGE[0])
    place.loop.advance(2 * LOOK_SECONDS)
    assert not any(job.has_left for job in place.factoring._waiting)
    await place.receive(first, LARGE[1])
    await place.receive(second, OTHER_LARGE[1])


@pytest_twisted.ensureDeferred
async def test_the_place_of_who_has_left_is_the_first_that_is_taken_back() -> None:
    place = Place(max_waiting=3, deadline="1m")
    _, gone, *others = (place.client(HARD_LINE, peer=peer("192.0.2.1")) for _ in range(4))
    place.loop.advance(LOOK_SECONDS)
    gone.end()
    place.loop.advance(LOOK_SECONDS)
    assert place.client(HARD_LINE, peer=peer("192.0.2.2")).received == b""
    assert gone.received == BUSY
    assert [client.received for client in others] == [b"", b""]


@pytest_twisted.ensureDeferred
async def test_a_place_of_who_has_left_is_given_to_another_of_its_source() -> None:
    place = Place(max_waiting=2, deadline="1m")
    _, gone, _ = (place.client(HARD_LINE) for _ in range(3))
    assert place.client(HARD_LINE).received == BUSY
    place.loop.advance(LOOK_SECONDS)
    gone.end()
    place.loop.advance(LOOK_SECONDS)
    assert place.client(HARD_LINE).received == b""
    assert place.client(HARD_LINE).received == BUSY
    assert gone.received == BUSY


# the worker


@pytest_twisted.ensureDeferred
async def test_a_number_for_which_the_library_needs_a_file_is_factored() -> None:
    place = Place()
    client = place.client(b"%d\n" % LINEAR)
    await place.receive(client, factors(LINEAR) + b"\r\n")


def scratch_files() -> set[Path]:
    """The library's files."""
    folder, _, prefix = SCRATCH.rpartition("/")
    return set(Path(folder).glob(f"{prefix}*"))


@pytest.mark.parametrize("how", ["late", "left", "stopped"])
@pytest_twisted.ensureDeferred
async def test_a_worker_that_is_ended_leaves_no_file(how: str, log: LogRecorder) -> None:
    place = Place()
    client = place.client(b"%d\n" % SLOW)
    pid = place.worker
    await place.come_to(lambda: [file for file in open_files(pid) if file.startswith(SCRATCH)])
    [file] = [Path(file) for file in open_files(pid) if file.startswith(SCRATCH)]
    if how == "late":
        place.loop.advance(5)
    elif how == "left":
        client.vanish()
    else:
        await place.factoring.stop()
        assert log.events("child-reaped")
    await until(lambda: log.events("child-reaped"))
    assert file not in scratch_files()


def open_files(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:  # it has closed it
            continue
    return found


@pytest_twisted.ensureDeferred
async def test_what_the_library_prints_when_it_gives_up_is_no_answer(log: LogRecorder) -> None:
    place = Place()
    first = place.client(LARGE[0])
    await place.receive(first, LARGE[1])
    resource.prlimit(place.worker, resource.RLIMIT_FSIZE, (0, 0))
    client = place.client(b"%d\n" % LINEAR)
    await place.receive(client, b"error: the worker ended (signal SIGABRT)\r\n")
    [said] = log.events("child-said")
    assert "FLINT" in said["text"]
    for file in scratch_files():
        if not file.stat().st_size:
            file.unlink()


@pytest_twisted.ensureDeferred
async def test_a_worker_that_cannot_begin_is_no_answer_and_told_in_a_line(
    log: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is where the host has no descriptor for it: Python tells that at length."""
    monkeypatch.setattr("sockd.services.factor.WORKER_DESCRIPTORS", 3)
    place = Place()
    client = place.client(b"%d\n" % HARD)
    await place.receive(client, BUSY)
    assert all("Traceback" not in one["text"] for one in log.events("child-said"))
    assert all("\n" not in one["text"] for one in log.events("child-said"))
    assert Worker.is_ready is False
