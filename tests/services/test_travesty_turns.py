"""travesty: long texts share each pass of the loop with all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pytest

from sockd.net.requests import BYTES_PER_TURN
from sockd.net.turns import PASS_SECONDS, TURN_SECONDS
from sockd.travesty.model import Travesty
from sockd.travesty.uploads import BLOCK_BYTES
from sockd.travesty.walk import PLENTY, Chances, Room
from tests.helpers import connect, make_context
from tests.memory import Client, Loop

COST = PASS_SECONDS / 8
"""Seconds of a block here."""
CLIENTS = 5
BLOCKS = 40
PIECE = b"word " * 600 + b"\r\n"


class Slow(Travesty):
    """Learns and makes up in blocks that take their time on a clock, and writes down whose."""

    loop: Loop
    done: list[Slow]

    def add(self, text: bytes) -> None:
        self.work()
        super().add(text)

    def generate(self, count: int, random: Chances, room: Room = PLENTY) -> Iterator[bytes]:
        for _ in range(count):
            self.work()
            yield PIECE

    def work(self) -> None:
        self.loop.rightNow += COST
        self.done.append(self)


def slow_clients() -> tuple[list[Client], Loop, list[Slow]]:
    """Clients of one instance, and whose blocks were done."""
    context: Any = make_context("travesty")
    loop, done = context.world.reactor, list[Slow]()

    def new() -> Slow:
        travesty = Slow(10**7, 10**9)
        travesty.loop, travesty.done = loop, done
        return travesty

    context.shared.new = new
    return [connect("travesty", context) for _ in range(CLIENTS)], loop, done


def passes_of(loop: Loop, work: Callable[[], None]) -> list[float]:
    """Do that and what comes of it; the seconds that the passes of the loop took."""
    passes: list[float] = []

    def look(since: float) -> None:
        passes.append(loop.seconds() - since)
        if passes[-1] or len(passes) < 3:
            loop.callLater(0, look, loop.seconds())

    loop.callLater(0, look, loop.seconds())
    work()
    loop.settle()
    return passes


def upload(clients: list[Client]) -> None:
    for client in clients:
        client.socket.inbox.append(b"DATA\r\n" + (b"w" * 15 + b" ") * (BLOCKS * BLOCK_BYTES // 16))


def ask(clients: list[Client]) -> None:
    for client in clients:
        client.socket.inbox.append(b"GENERATE %d\r\n" % BLOCKS)


@pytest.mark.parametrize("work", [upload, ask])
def test_long_texts_take_turns_and_nobody_waits_longer_than_a_pass(
    work: Callable[[list[Client]], None],
) -> None:
    clients, loop, done = slow_clients()
    passes = passes_of(loop, lambda: work(clients))
    assert max(passes) <= PASS_SECONDS + COST * 1.01
    assert sum(passes) >= CLIENTS * BLOCKS * COST * 0.99
    assert len(set(done)) == CLIENTS
    # nobody has more than a pass and a turn in a row, and they come along together
    row = max(len(list(run)) for _, run in groupby(done[: BLOCKS * 2]))
    assert row <= (PASS_SECONDS + TURN_SECONDS) / COST + 1
    came = Counter[Slow]()
    for one in done:
        came[one] += 1
        if came[one] == BLOCKS:
            break
    assert min(came.values()) >= BLOCKS / 2
    for client in clients:
        client.vanish()


@pytest.mark.parametrize("work", [upload, ask])
def test_what_comes_meanwhile_is_answered_in_the_next_passes(
    work: Callable[[list[Client]], None],
) -> None:
    clients, loop, done = slow_clients()
    [*busy, quick] = clients
    waited: list[float] = []

    def ask_in_the_middle() -> None:
        if len(done) < BLOCKS:
            loop.callLater(0, ask_in_the_middle)
            return
        start, heard = loop.seconds(), len(quick.received)

        def look() -> None:
            if len(quick.received) == heard:
                loop.callLater(0, look)
            else:
                waited.append(loop.seconds() - start)

        quick.socket.inbox.append(b"RESET\r\n")
        look()

    loop.callLater(0, ask_in_the_middle)
    work(busy)
    loop.settle()
    # those that wait come before it, each with one turn
    assert waited[0] <= len(busy) * (TURN_SECONDS + COST) + 2 * (PASS_SECONDS + COST)
    assert quick.received.endswith(b"205 forgotten\r\n")


def test_a_turn_writes_no_more_than_its_share_so_that_a_stop_is_soon_noticed() -> None:
    clients, loop, _ = slow_clients()
    [client, *_] = clients
    client.take(0)
    ask([client])
    loop.settle()
    assert client.protocol.is_blocked
    assert client.held <= BYTES_PER_TURN + 2 * len(PIECE)
