"""Names to addresses."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from typing import Any

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, NameNotFound, TimedOut, Unreachable
from sockd.client.net.dial import dial
from sockd.client.net.resolve import MOST_ADDRESSES, Address, Lookups, resolve
from sockd.client.targets import Target, Transport
from sockd.testing.running import running_reactor, until
from tests.client.peers import Server, known, serving

Infos = list[tuple[int, int, int, str, tuple[Any, ...]]]


def info(host: str) -> tuple[int, int, int, str, tuple[Any, ...]]:
    """What the system says of one address."""
    if ":" in host:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 7, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 7)


def lookups(answer: Callable[[str], Infos], most: int = 16) -> Lookups:
    """Threads that ask a resolver of the test's."""
    return Lookups(most, lambda host, *_: answer(host))


async def ask(host: str, **options: Any) -> list[Address]:
    """The addresses of a host with port 7; there is long for it unless the options say so."""
    given = {"kind": socket.SOCK_STREAM, "family": 0, "is_numeric": False, "wait": 30.0, **options}
    return (await resolve(running_reactor(), host, 7, **given)).addresses


async def fault(host: str, kind: type[ClientError] = NameNotFound, **options: Any) -> str:
    """What is said of a host that is not found."""
    with pytest.raises(kind) as caught:
        await ask(host, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def never(host: str) -> Infos:
    """A resolver that is not to be asked."""
    raise AssertionError(host)


@pytest_twisted.ensureDeferred
async def test_an_address_is_its_own_name_and_nobody_is_asked() -> None:
    (address,) = await ask("127.0.0.1", lookups=lookups(never))
    assert address == Address(socket.AF_INET, ("127.0.0.1", 7))
    assert (address.host, address.port) == ("127.0.0.1", 7)
    (address,) = await ask("::1", is_numeric=True, lookups=lookups(never))
    assert address == Address(socket.AF_INET6, ("::1", 7, 0, 0))


@pytest_twisted.ensureDeferred
async def test_an_address_keeps_its_interface() -> None:
    index = socket.if_nametoindex("lo")
    (address,) = await ask("fe80::1%lo")
    assert address.sockaddr == ("fe80::1", 7, 0, index)
    assert address.host == "fe80::1%lo"
    assert Address(socket.AF_INET6, ("fe80::1", 7, 0, 2**31 - 1)).host == f"fe80::1%{2**31 - 1}"


@pytest_twisted.ensureDeferred
async def test_the_systems_order_is_kept_and_each_address_comes_once() -> None:
    names = ["192.0.2.1", "2001:db8::1", "192.0.2.1", "192.0.2.2"]
    found = await ask("x", lookups=lookups(lambda _: [info(name) for name in names]))
    assert [address.host for address in found] == ["192.0.2.1", "2001:db8::1", "192.0.2.2"]


@pytest_twisted.ensureDeferred
async def test_a_name_has_at_most_so_many_addresses() -> None:
    many = [info(f"10.0.{at // 256}.{at % 256}") for at in range(1000)]
    assert len(await ask("x", lookups=lookups(lambda _: many))) == MOST_ADDRESSES


@pytest_twisted.ensureDeferred
async def test_what_is_no_family_of_the_internet_is_left_out() -> None:
    odd = lookups(lambda _: [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", ("x", 7))])
    assert "no address of 'x'" in await fault("x", lookups=odd)


@pytest_twisted.ensureDeferred
async def test_localhost_is_found_in_either_family() -> None:
    (address, *_) = await ask("localhost", family=4)
    assert address.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("number", "text", "kind", "said"),
    [
        (
            socket.EAI_NONAME,
            "Name or service not known",
            NameNotFound,
            "there is no host 'x' (Name or service not known)",
        ),
        (
            socket.EAI_NODATA,
            "No address associated with hostname",
            NameNotFound,
            "there is no host 'x' (No address associated with hostname)",
        ),
        (
            socket.EAI_AGAIN,
            "Temporary failure in name resolution",
            TimedOut,
            "no answer from the name service for x (Temporary failure in name resolution)",
        ),
        (
            socket.EAI_FAIL,
            "Non-recoverable failure in name resolution",
            Unreachable,
            "the name service fails for x (Non-recoverable failure in name resolution)",
        ),
        (
            socket.EAI_SYSTEM,
            "Too many open files",
            Unreachable,
            "the name service fails for x (Too many open files)",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_name_that_does_not_exist_is_told_from_one_that_nobody_told_of(
    number: int, text: str, kind: type[ClientError], said: str
) -> None:
    def answer(host: str) -> Infos:
        raise socket.gaierror(number, text)

    assert await fault("x", kind, lookups=lookups(answer)) == said


@pytest_twisted.ensureDeferred
async def test_an_address_of_the_other_family_is_not_found() -> None:
    assert "'127.0.0.1' has no address of IPv6" in await fault("127.0.0.1", family=6)


@pytest_twisted.ensureDeferred
async def test_a_name_is_no_address() -> None:
    assert "'localhost' is no address, and no name" in await fault("localhost", is_numeric=True)
    assert "address of IPv6, and" in await fault("localhost", is_numeric=True, family=6)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 64, "a\0b", "\udc80", "x" * 10_000, "-", "%lo"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_name_is_not_found(host: str) -> None:
    def answer(name: str) -> Infos:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    await fault(host, lookups=lookups(answer))


@define
class Hanging:
    """A resolver that does not answer until it is let go."""

    go: threading.Event = field(factory=threading.Event)
    asked: list[str] = field(factory=list)

    def answer(self, host: str) -> Infos:
        self.asked.append(host)
        assert self.go.wait(60)
        return [info("192.0.2.1")]


@pytest_twisted.ensureDeferred
async def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    hanging = Hanging()
    said = await fault("x", TimedOut, wait=0.01, lookups=lookups(hanging.answer))
    assert said == "no answer from the name service for x within 0.01 s"
    hanging.go.set()


@pytest_twisted.ensureDeferred
async def test_threads_are_bounded_and_the_rest_waits_its_turn() -> None:
    hanging = Hanging()
    threads = lookups(hanging.answer, most=2)
    asking = [Deferred.fromCoroutine(ask(f"host{at}", lookups=threads)) for at in range(5)]
    await until(lambda: len(hanging.asked) == 2)
    asking[4].addErrback(lambda _: None).cancel()  # nobody waits for it any more
    hanging.go.set()
    for answer in asking[:4]:
        assert len(await answer) == 1
    assert sorted(hanging.asked) == ["host0", "host1", "host2", "host3"]


@define(eq=False)
class Scene:
    """Names that are asked for on a clock that is moved, and answered when the test says so."""

    threads: Lookups
    clock: Clock = field(factory=Clock)
    asking: list[Deferred[Any]] = field(factory=list)
    told: dict[str, Any] = field(factory=dict)
    """By name: what was answered, or the failure."""
    asked: Queue[str] = field(factory=Queue)
    calls: Queue[Callable[[], None]] = field(factory=Queue)
    """What threads have the reactor call."""
    _go: defaultdict[str, threading.Event] = field(factory=lambda: defaultdict(threading.Event))

    def __attrs_post_init__(self) -> None:
        reactor: Any = self.clock
        reactor.callFromThread = lambda call, *args: self.calls.put(partial(call, *args))

    def ask(self, *hosts: str) -> None:
        """Ask for each of them, for 3 s."""
        reactor: Any = self.clock
        for host in hosts:
            look = partial(self._look, host, self._go[host])
            asking = Deferred.fromCoroutine(self.threads.ask(reactor, host, look, 3.0))
            self.asking.append(asking.addBoth(partial(self.told.__setitem__, host)))

    def _look(self, host: str, go: threading.Event) -> Infos:
        self.asked.put(host)
        assert go.wait(60)
        return []

    def answer(self, *hosts: str) -> None:
        """Have them answered, and the reactor told of it."""
        for host in hosts:
            self._go[host].set()
            self.calls.get(timeout=60)()

    def next_asked(self) -> str:
        """The name that is asked for next."""
        return self.asked.get(timeout=60)

    def fault(self, host: str) -> str:
        """What was told of a host that was not answered in time."""
        return str(self.told[host].check(TimedOut) and self.told[host].value)


LATE = "no answer from the name service for {} within 3 s"


def test_the_wait_for_a_name_begins_when_its_turn_has_come() -> None:
    scene = Scene(Lookups(most=1))
    scene.ask("first", "second")
    scene.clock.advance(2.5)
    scene.answer("first")
    scene.clock.advance(2.5)
    assert set(scene.told) == {"first"}
    scene.clock.advance(0.5)
    assert scene.fault("second") == LATE.format("second")
    scene.answer("second")  # nobody waits for it any more
    assert not scene.clock.getDelayedCalls()


def test_a_name_that_is_not_answered_in_time_leaves_its_turn_to_the_next() -> None:
    scene = Scene(Lookups(most=1))
    scene.ask("first", "second")
    scene.clock.advance(3)
    assert scene.fault("first") == LATE.format("first")
    assert [scene.next_asked(), scene.next_asked()] == ["first", "second"]
    scene.answer("second")
    assert set(scene.told) == {"first", "second"}
    scene.ask("third", "fourth")  # its thread is still there, but in nobody's way
    assert scene.next_asked() == "third"
    scene.answer("first")
    assert scene.asked.empty(), "one more thread is no second turn"
    scene.answer("third", "fourth")
    assert len(scene.told) == 4


def test_threads_that_nobody_waits_for_are_bounded_too() -> None:
    scene = Scene(Lookups(most=1, most_threads=2))
    scene.ask("first", "second", "third")
    scene.clock.advance(3)
    assert set(scene.told) == {"first"}, "the third waits for the end of the second's wait"
    scene.clock.advance(3)
    assert scene.fault("second") == LATE.format("second")
    assert scene.fault("third").endswith("no look-up is free: 2 names have had no answer")
    scene.answer("first")
    scene.ask("fourth")
    scene.answer("fourth", "second")
    assert isinstance(scene.told["fourth"], tuple)


def test_who_gives_up_has_no_other_name_asked_for() -> None:
    """A run that ends gives up all of them, one after the other."""
    scene = Scene(Lookups(most=1))
    scene.ask("first", "second", "third")
    for asking in scene.asking:
        asking.cancel()
    scene.answer("first")
    assert not scene.clock.getDelayedCalls()
    scene.ask("fourth")
    assert [scene.next_asked(), scene.next_asked()] == ["first", "fourth"]
    scene.answer("fourth")


def test_where_the_system_has_no_thread_left_one_that_comes_back_makes_room() -> None:
    scene = Scene(Lookups())
    scene.ask("first")
    with no_more_threads():
        scene.ask("second")
        assert not scene.told
    scene.answer("first", "second")
    assert set(scene.told) == {"first", "second"}
    with no_more_threads():
        scene.ask("third")
    assert scene.told["third"].check(Unreachable)
    assert "cannot look up third: can't start new thread" in str(scene.told["third"].value)
    scene.ask("fourth")
    with no_more_threads():
        scene.ask("fifth")
        scene.clock.advance(3)
    assert scene.told["fifth"].check(Unreachable), "it is not known when the fourth comes back"
    scene.answer("fourth")


@contextmanager
def no_more_threads() -> Iterator[None]:
    """The system gives no memory for the stack of another one."""
    before = threading.stack_size(2**48)
    try:
        yield
    finally:
        threading.stack_size(before)


@define
class Ahead:
    """The running reactor, whose clock a test can move on; its timers stay as they are."""

    by: float = 0.0

    def seconds(self) -> float:
        now: float = running_reactor().seconds()
        return now + self.by

    def __getattr__(self, name: str) -> Any:
        return getattr(running_reactor(), name)


@pytest_twisted.ensureDeferred
async def test_the_wait_for_a_connection_begins_when_its_name_has_its_turn() -> None:
    reactor: Any = Ahead()
    go = threading.Event()
    threads = known("127.0.0.1")
    threads.most = 1
    asking = Asking(wait=30.0)

    def look() -> list[Any]:
        assert go.wait(60)
        return []

    first = Deferred.fromCoroutine(threads.ask(reactor, "first", look, 60.0))
    async with serving(Server()) as server:
        target = Target(Transport.TCP, "second", server.port)
        dialling = Deferred.fromCoroutine(dial(reactor, target, asking, lookups=threads))
        reactor.by += 100
        turn_ns = time.monotonic_ns()
        go.set()
        await first
        stream = await dialling
        assert stream.began_ns >= turn_ns
        assert 0 < (stream.timing.resolve_ns or 0) < time.monotonic_ns() - turn_ns
        stream.close()


HANGS = """
import threading
from twisted.internet import selectreactor
selectreactor.install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from sockd.client.net.resolve import Lookups
def look():
    reactor.callFromThread(reactor.stop)
    threading.Event().wait()
asking = Deferred.fromCoroutine(Lookups().ask(reactor, "x", look, 1e6))
reactor.run()
print("over")
"""


def test_a_resolver_that_hangs_holds_up_no_exit() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (b"over\n", b"", 0)
