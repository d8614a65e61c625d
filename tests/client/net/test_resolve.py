"""Names to addresses."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet.defer import Deferred

from sockd.client.errors import NameNotFound
from sockd.client.net.resolve import MOST_ADDRESSES, Address, Lookups, resolve
from sockd.testing.running import running_reactor, until

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
    return await resolve(running_reactor(), host, 7, **given)


async def fault(host: str, **options: Any) -> str:
    """What is said of a host that is not found."""
    with pytest.raises(NameNotFound) as caught:
        await ask(host, **options)
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
    ("number", "text", "said"),
    [
        (socket.EAI_NONAME, "Name or service not known", "there is no host 'x' (Name or service"),
        (socket.EAI_AGAIN, "Temporary failure", "nobody can tell who 'x' is (no name server"),
        (socket.EAI_FAIL, "Failure", "nobody can tell who 'x' is (a name server fails)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_it_is_said_why_a_name_is_not_found(number: int, text: str, said: str) -> None:
    def answer(host: str) -> Infos:
        raise socket.gaierror(number, text)

    assert said in await fault("x", lookups=lookups(answer))


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
    assert "nobody told within 0.01 s who 'x' is" in await fault(
        "x", wait=0.01, lookups=lookups(hanging.answer)
    )
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
