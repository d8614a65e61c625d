"""Host names: found without blocking, never waited for long, and a dead resolver costs little."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted

from sockd.net import names
from sockd.net.names import DEADLINE, KEPT, KEPT_SECONDS, THREADS, WAITING, Names
from tests.helpers import QuickNames, connect, make_context, make_host, until
from tests.memory import REACTOR, Loop


class Resolver:
    """A resolver that knows a few names, and answers only while it is open."""

    def __init__(self) -> None:
        self.known = {"192.0.2.1": "host.example", "192.0.2.2": "other.example"}
        self.is_open = threading.Event()
        self.asked: list[str] = []
        self.busy = 0
        self.busiest = 0
        self._lock = threading.Lock()

    def __call__(self, address: str) -> str:
        with self._lock:
            self.asked.append(address)
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        self.is_open.wait()
        with self._lock:
            self.busy -= 1
        if address not in self.known:
            raise OSError("no such host")
        return self.known[address]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver that is shut; its threads end with the test."""
    monkeypatch.setattr(names, "IDLE_SECONDS", 0.01)
    one = Resolver()
    yield one
    one.is_open.set()


def ask(found: Names, address: str) -> list[str]:
    """Where the name will be, once it is known."""
    results: list[str] = []
    found.name(address).addCallback(results.append)
    return results


@pytest_twisted.ensureDeferred
async def test_a_name_is_found(resolver: Resolver) -> None:
    loop = Loop()
    resolver.is_open.set()
    found = Names(loop, REACTOR, resolver)
    results = ask(found, "192.0.2.1")
    await until(lambda: results)
    assert results == ["host.example"]
    assert loop.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_an_address_without_a_name_is_its_own_name(resolver: Resolver) -> None:
    loop = Loop()
    resolver.is_open.set()
    results = ask(Names(loop, REACTOR, resolver), "192.0.2.99")
    await until(lambda: results)
    assert results == ["192.0.2.99"]


def test_a_resolver_that_does_not_answer_is_not_waited_for(resolver: Resolver) -> None:
    loop = Loop()
    results = ask(Names(loop, REACTOR, resolver), "192.0.2.1")
    loop.advance(DEADLINE - 0.01)
    assert results == []
    loop.advance(0.01)
    assert results == ["192.0.2.1"]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_comes_too_late_is_there_for_the_next_one(resolver: Resolver) -> None:
    loop = Loop()
    found = Names(loop, REACTOR, resolver)
    first = ask(found, "192.0.2.1")
    loop.advance(DEADLINE)
    resolver.is_open.set()
    second = ask(found, "192.0.2.1")
    await until(lambda: second)
    assert (first, second) == (["192.0.2.1"], ["host.example"])
    assert resolver.asked == ["192.0.2.1"]


@pytest_twisted.ensureDeferred
async def test_many_who_ask_for_one_address_are_one_question(resolver: Resolver) -> None:
    loop = Loop()
    found = Names(loop, REACTOR, resolver)
    answers = [ask(found, "192.0.2.1") for _ in range(100)]
    resolver.is_open.set()
    await until(lambda: all(answers))
    assert answers == [["host.example"]] * 100
    assert resolver.asked == ["192.0.2.1"]


@pytest_twisted.ensureDeferred
async def test_a_look_up_that_fails_in_any_way_costs_no_thread(resolver: Resolver) -> None:
    def fail(address: str) -> str:
        if address in resolver.known:
            return resolver(address)
        raise RuntimeError("by design")

    loop = Loop()
    resolver.is_open.set()
    found = Names(loop, REACTOR, fail)
    for number in range(2 * THREADS):
        wrong = ask(found, f"198.51.100.{number}")
        await until(lambda wrong=wrong: wrong)  # type: ignore[misc]
        assert wrong == [f"198.51.100.{number}"]
    results = ask(found, "192.0.2.1")
    await until(lambda: results)
    assert results == ["host.example"]


@pytest_twisted.ensureDeferred
async def test_an_address_that_no_thread_could_be_had_for_is_looked_up_when_asked_for_again(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    loop = Loop()
    resolver.is_open.set()
    found = Names(loop, REACTOR, resolver)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoThread)
        first = ask(found, "192.0.2.1")
        loop.advance(DEADLINE)
    assert first == ["192.0.2.1"]
    second = ask(found, "192.0.2.1")
    await until(lambda: second)
    assert second == ["host.example"]


@pytest_twisted.ensureDeferred
async def test_a_dead_resolver_holds_few_threads_and_few_questions(resolver: Resolver) -> None:
    loop = Loop()
    found = Names(loop, REACTOR, resolver)
    answers = [ask(found, f"198.51.100.{number}") for number in range(THREADS)]
    await until(lambda: resolver.busy == THREADS)
    answers += [ask(found, f"203.0.{number}.1") for number in range(200)]
    at_once = [number for number, results in enumerate(answers) if results]
    assert at_once == list(range(THREADS + WAITING, THREADS + 200))
    loop.advance(DEADLINE)
    assert all(answers)
    assert loop.getDelayedCalls() == []
    resolver.is_open.set()
    await until(lambda: len(resolver.asked) == THREADS + WAITING and not resolver.busy)
    assert resolver.busiest == THREADS


@pytest_twisted.ensureDeferred
async def test_a_name_is_remembered_for_a_while(resolver: Resolver) -> None:
    loop = Loop()
    resolver.is_open.set()
    found = Names(loop, REACTOR, resolver)
    first = ask(found, "192.0.2.1")
    await until(lambda: first)
    loop.advance(KEPT_SECONDS - 1)
    second = ask(found, "192.0.2.1")
    assert second == ["host.example"]
    assert resolver.asked == ["192.0.2.1"]
    loop.advance(1)
    third = ask(found, "192.0.2.1")
    await until(lambda: third)
    assert resolver.asked == ["192.0.2.1"] * 2


def test_what_is_remembered_is_bounded() -> None:
    loop = Loop()
    found: Any = make_host(loop).names
    for number in range(2 * KEPT):
        found.name(f"198.51.{number // 256}.{number % 256}")
        loop.settle()
    assert len(found._known) == KEPT
    assert found._waiting == {}


def test_a_greeting_starts_within_a_second_of_a_resolver_that_never_answers(
    resolver: Resolver,
) -> None:
    loop = Loop()
    context = make_context("greet", make_host(loop, names=Names(loop, REACTOR, resolver)))
    client = connect("greet", context)
    loop.advance(1)
    assert client.received.startswith(b"Hello there, 192.0.2.7, it's now ")
    assert client.saw_end


def test_a_client_that_leaves_before_its_name_is_found_does_no_harm(resolver: Resolver) -> None:
    loop = Loop()
    context = make_context("greet", make_host(loop, names=Names(loop, REACTOR, resolver)))
    connect("greet", context).vanish()
    loop.advance(1)
    assert context.guard.counts["errors"] == 0


def test_who_no_longer_waits_for_a_name_is_not_told() -> None:
    loop = make_host().reactor
    names = QuickNames(loop, {"192.0.2.1": "one.example"})
    cancelled, other = names.name("192.0.2.1"), names.name("192.0.2.1")
    failures: list[object] = []
    cancelled.addErrback(failures.append)
    cancelled.cancel()
    found: list[str] = []
    other.addCallback(found.append)
    loop.advance(2 * DEADLINE)
    assert found == ["one.example"]
    assert len(failures) == 1
    assert not loop.getDelayedCalls()
