"""Losses that look like a server's budget for one source: a note says so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.client.liars import datagram_liar
from tests.client.running import sock, unspoilt
from tests.daemons import Daemon

BUDGET = """
[defaults]
trusted = []
reply_rate = "4/s"
reply_burst = 2
[service.daytime]
listen = ["udp:0:interface=127.0.0.1"]
"""
SAID = "as if the server had a budget for one source"


def notes(*arguments: str) -> list[str]:
    """The notes of a run's only host."""
    done = sock(*arguments[:1], "-J", *arguments[1:])
    [host] = json.loads(done.out.splitlines()[-1])["hosts"]
    assert host["counts"]["lost"] > 0
    return list(host["notes"])


def is_noticed(told: Sequence[str]) -> bool:
    """Whether the losses are said to look like a budget."""
    return any(SAID in note for note in told)


def every(count: int) -> Callable[[int], bool]:
    """Of `count` and one, one is not answered."""
    return lambda number: number % (count + 1) != count


def losing(answered: Callable[[int], bool]) -> Callable[[bytes], Sequence[bytes]]:
    """A server that answers each datagram or not, by its number."""
    numbers = itertools.count()
    return lambda data: [data or b"an answer\r\n"] if answered(next(numbers)) else []


def test_our_own_server_s_budget_is_noticed(tmp_path: Path) -> None:
    with Daemon(tmp_path, BUDGET) as daemon:
        port = daemon.address("daytime", "udp")[1]
        asked = f"127.0.0.1:{port}"
        told = unspoilt(
            lambda: notes("daytime", "--udp", "-c18", "-i0.02", "-W0.5", asked), is_noticed
        )
    assert is_noticed(told)


def test_an_even_loss_of_questions_is_noticed() -> None:
    def told() -> list[str]:
        with datagram_liar(losing(every(7))) as server:
            return notes("daytime", "--udp", "-c24", "-i0.01", "-W1", f"127.0.0.1:{server.port}")

    assert is_noticed(unspoilt(told, is_noticed))


def test_a_loss_by_chance_of_questions_is_not() -> None:
    lost = {3, 4, 17}
    with datagram_liar(losing(lambda number: number not in lost)) as server:
        told = notes("daytime", "--udp", "-c25", "-i0.01", "-W0.5", f"127.0.0.1:{server.port}")
    assert told == []
