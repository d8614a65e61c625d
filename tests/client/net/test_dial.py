"""Connections: which address is tried when, and what is said where nobody answers."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, NameNotFound, TimedOut, Unreachable, UsageFault
from sockd.client.net.dial import dial
from sockd.client.net.race import ATTEMPT_DELAY, MOST_ATTEMPTS, AllFailed, Race, interleave
from sockd.client.net.resolve import Address
from sockd.client.targets import Target, Transport
from sockd.testing.running import running_reactor, until
from tests.client.peers import Server, call, echo, known, serving

BOTH = known("::1", "127.0.0.1")
"""As localhost is on a machine with both families."""


def address(text: str) -> Address:
    """An address with port 7."""
    if ":" in text:
        return Address(socket.AF_INET6, (text, 7, 0, 0))
    return Address(socket.AF_INET, (text, 7))


def addresses(*texts: str) -> list[Address]:
    """Several of them."""
    return [address(text) for text in texts]


# the plan


def test_the_families_take_turns_and_the_first_ones_family_begins() -> None:
    assert interleave(addresses("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")) == addresses(
        "::1", "10.0.0.1", "::2", "10.0.0.2", "::3"
    )
    assert interleave(addresses("10.0.0.1", "10.0.0.2", "10.0.0.3", "::1")) == addresses(
        "10.0.0.1", "::1", "10.0.0.2", "10.0.0.3"
    )
    assert interleave([]) == []


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), unique=True))
def test_within_a_family_the_order_is_kept(found: list[Any]) -> None:
    given_ = [address(str(one)) for one in found]
    planned = interleave(given_)
    assert len(planned) == min(len(given_), MOST_ATTEMPTS)
    for family in (socket.AF_INET, socket.AF_INET6):
        kept = [one for one in planned if one.family == family]
        assert kept == [one for one in given_ if one.family == family][: len(kept)]


# the race


@define
class Track:
    """Attempts that end when the test says so."""

    clock: Clock = field(factory=Clock)
    attempts: dict[str, Deferred[str]] = field(factory=dict)
    cancelled: list[str] = field(factory=list)
    results: list[Any] = field(factory=list)

    def start(self, *texts: str, wait: float = 3.0) -> Deferred[Any]:
        race = Race(self.clock, self.connect, addresses(*texts), wait)
        running = race.run()
        running.addBoth(self.results.append)
        return running

    def connect(self, to: Address) -> Deferred[str]:
        attempt: Deferred[str] = Deferred(lambda _: self.cancelled.append(to.host))
        self.attempts[to.host] = attempt
        return attempt

    def fail(self, host: str) -> None:
        self.attempts[host].errback(OSError(host))

    @property
    def failures(self) -> dict[str, str]:
        (failure,) = self.results
        error = failure.value
        assert isinstance(error, AllFailed)
        return {to.host: str(failure) for to, failure in error.failures.items()}


def test_the_next_address_is_tried_a_quarter_second_later() -> None:
    track = Track()
    track.start("::1", "10.0.0.1", "::2")
    assert list(track.attempts) == ["::1"]
    track.clock.advance(ATTEMPT_DELAY - 0.001)
    assert list(track.attempts) == ["::1"]
    track.clock.advance(0.001)
    assert list(track.attempts) == ["::1", "10.0.0.1"]
    track.clock.advance(ATTEMPT_DELAY)
    assert list(track.attempts) == ["::1", "10.0.0.1", "::2"]


def test_after_a_failure_the_next_address_is_tried_at_once() -> None:
    track = Track()
    track.start("::1", "10.0.0.1", "::2")
    track.fail("::1")
    assert list(track.attempts) == ["::1", "10.0.0.1"]
    track.clock.advance(ATTEMPT_DELAY - 0.001)  # a quarter second from then, not from the first
    assert list(track.attempts) == ["::1", "10.0.0.1"]
    track.clock.advance(0.001)
    assert list(track.attempts) == ["::1", "10.0.0.1", "::2"]


def test_the_first_to_connect_wins_and_the_others_are_given_up() -> None:
    track = Track()
    track.start("::1", "10.0.0.1", "::2")
    track.clock.advance(ATTEMPT_DELAY)
    track.attempts["10.0.0.1"].callback("connected")
    assert track.results == [(address("10.0.0.1"), "connected")]
    assert track.cancelled == ["::1"]
    assert not track.clock.getDelayedCalls()
    assert "::2" not in track.attempts


def test_where_all_fail_each_failure_is_told() -> None:
    track = Track()
    track.start("::1", "10.0.0.1")
    track.fail("::1")
    assert not track.results
    track.fail("10.0.0.1")
    assert track.failures == {"::1": "::1", "10.0.0.1": "10.0.0.1"}
    assert not track.clock.getDelayedCalls()


def test_when_the_wait_is_over_so_is_the_race() -> None:
    track = Track()
    track.start("::1", "10.0.0.1", "::2", wait=0.3)
    track.clock.advance(0.25)
    track.fail("::1")
    track.clock.advance(0.05)
    assert track.failures == {"::1": "::1", "10.0.0.1": "None", "::2": "None"}
    assert track.cancelled == ["10.0.0.1", "::2"]
    assert not track.clock.getDelayedCalls()


def test_a_race_that_is_cancelled_leaves_nothing() -> None:
    track = Track()
    track.start("::1", "10.0.0.1").cancel()
    assert track.cancelled == ["::1"]
    assert isinstance(track.results[0].value, CancelledError)
    assert not track.clock.getDelayedCalls()


# real sockets


async def fault(kind: type[ClientError], port: int, host: str = "127.0.0.1", **options: Any) -> str:
    """What is said where a connection fails."""
    with pytest.raises(kind) as caught:
        await call(port, host, **options)
    return str(caught.value)


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue is full: who connects gets no answer."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listening:
        port = listening.getsockname()[1]
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                fillers.append(filler)
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens on, in both families: both are bound."""
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        four.bind(("127.0.0.1", 0))
        port = four.getsockname()[1]
        six.bind(("::1", port))
        yield port


@pytest_twisted.ensureDeferred
async def test_a_refusal_names_the_port() -> None:
    with free_port() as port:
        said = await fault(Unreachable, port)
        assert said == f"nobody answers at 127.0.0.1:{port}: connection refused"


@pytest_twisted.ensureDeferred
async def test_all_failures_are_in_the_message() -> None:
    with free_port() as port:
        said = await fault(Unreachable, port, "both", lookups=BOTH)
        assert said == (
            f"nobody answers at both:{port}: "
            "[::1]: connection refused; 127.0.0.1: connection refused"
        )


@pytest_twisted.ensureDeferred
async def test_a_service_of_one_family_costs_no_wait() -> None:
    # the fastest of some: whatever else runs may stop any of them
    async with serving(Server()) as server:
        took = []
        for _ in range(5):
            began = time.monotonic()
            stream = await call(server.port, "both", lookups=BOTH)
            took.append(time.monotonic() - began)
            assert stream.peer == "127.0.0.1"
            stream.close()
        assert min(took) < ATTEMPT_DELAY / 2


@pytest_twisted.ensureDeferred
async def test_an_address_that_does_not_answer_is_not_waited_for() -> None:
    with silent_port() as port:
        said = await fault(TimedOut, port, wait=0.05)
        assert said == f"nobody answers at 127.0.0.1:{port} within 0.05 s"
        async with serving(Server(port=port), interface="::1"):
            stream = await call(port, "both", lookups=known("127.0.0.1", "::1"))
            assert stream.peer == "::1"
            stream.close()


@pytest_twisted.ensureDeferred
async def test_the_steps_are_timed() -> None:
    async with serving(Server(received=echo)) as server:
        stream = await call(server.port, "localhost", family=4)
        steps = stream.timing
        assert (steps.resolve_ns or 0) > 0
        assert (steps.connect_ns or 0) > 0
        assert (steps.tls_ns, steps.first_byte_ns, steps.total_ns) == (None, None, None)
        stream.write(b"x")
        await stream.read()
        steps = stream.timing
        assert (steps.first_byte_ns or 0) > 0
        assert (steps.total_ns or 0) >= (steps.first_byte_ns or 0) + (steps.connect_ns or 0)
        stream.close()
        stream = await call(server.port)
        assert stream.timing.resolve_ns is None  # an address is not asked for
        stream.close()


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_not_found_is_said_so() -> None:
    assert "a..b" in await fault(NameNotFound, 7, "a..b")
    assert "no name server" in await fault(NameNotFound, 7, "localhost", is_numeric=True)


@pytest_twisted.ensureDeferred
async def test_who_connects_comes_from_the_address_that_was_chosen() -> None:
    async with serving(Server()) as server:
        stream = await call(server.port, interface="127.0.0.9")
        await until(lambda: server.peers)
        assert server.peer.wire.getPeer().host == "127.0.0.9"
        stream.close()
        stream = await call(server.port, "both", lookups=BOTH, interface="127.0.0.9")
        assert stream.peer == "127.0.0.1"
        stream.close()
        stream = await call(server.port, interface="lo")
        stream.close()


@pytest.mark.parametrize(
    ("interface", "said"),
    [
        ("nosuch0", "-I nosuch0: there is no such interface"),
        ("x" * 16, "-I xxxxxxxxxxxxxxxx: there is no such interface"),
        ("a\0b", "-I a\0b: there is no such interface"),
        ("192.0.2.1", "-I 192.0.2.1: it is none of this host's own addresses"),
        ("::1", "-I ::1: it is of IPv6, what is asked of IPv4"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_interface_that_is_not_ours_is_a_fault_of_usage(interface: str, said: str) -> None:
    with free_port() as port:
        assert said in await fault(UsageFault, port, interface=interface)


@pytest_twisted.ensureDeferred
async def test_who_gives_up_leaves_nothing_behind() -> None:
    with silent_port() as port:
        dialling = Deferred.fromCoroutine(call(port))
        dialling.cancel()
        with pytest.raises(CancelledError):
            await dialling


# socket files


def path_target(path: Path) -> Target:
    """A socket file."""
    return Target(Transport.UNIX, path=str(path))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket's."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest_twisted.ensureDeferred
async def test_a_socket_file_is_connected_to(folder: Path) -> None:
    server = Server(received=echo)
    port = running_reactor().listenUNIX(str(folder / "s"), server.factory)
    stream = await dial(running_reactor(), path_target(folder / "s"), Asking(wait=30.0))
    assert (stream.peer, stream.port) == (str(folder / "s"), None)
    assert stream.timing.resolve_ns is None
    stream.write(b"hello")
    stream.finish()
    assert await stream.read_all(100) == b"hello"
    assert stream.tcp_info() is None
    stream.close()
    await port.stopListening()
    await until(lambda: server.peer.is_lost)


@pytest_twisted.ensureDeferred
async def test_a_socket_file_that_does_not_answer_is_named(folder: Path) -> None:
    (folder / "file").touch()
    left = folder / "left"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left))
    expected = {
        folder / "none": "no such file or directory",
        folder / "file": "connection refused",
        left: "connection refused",
        folder / ("x" * 200): "path too long",
    }
    for path, why in expected.items():
        with pytest.raises(Unreachable) as caught:
            await dial(running_reactor(), path_target(path), Asking(wait=30.0))
        assert str(caught.value).startswith(f"nobody answers at {path}: ")
        assert why in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_a_socket_file_whose_queue_is_full_is_tried_until_there_is_room(
    folder: Path,
) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as filler:
        listening.bind(os.fspath(path))
        listening.listen(0)
        filler.connect(os.fspath(path))
        with pytest.raises(TimedOut, match=r"within 0\.03 s"):
            await dial(running_reactor(), path_target(path), Asking(wait=0.03))
        dialling = Deferred.fromCoroutine(
            dial(running_reactor(), path_target(path), Asking(wait=30.0))
        )
        accepted, _ = listening.accept()
        accepted.close()
        stream = await dialling
        stream.close()
